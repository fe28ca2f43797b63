"""Effects by ordinary least squares on log metrics: one estimator for arms and for factors.

The model of a start is ``log(metric) = block + sum of the columns that are on + noise``. With
indicator columns for arms it is the randomised complete block analysis (the variance
is pooled over arms, df = (blocks - 1)(arms - 1)); with one column for each factor it is
the main-effects analysis of a two-level design. Missing starts only make it unbalanced.

Whether two noises are alike, so that their degrees of freedom may be taken together.

The smallest effect that a test finds: what a study can and cannot say.

Variance components: how much starts differ, how much windows of one start, and what follows.

The model of a window is ``log(metric) = mean + arm + block + start + window`` with independent
``start ~ (0, s_r^2)`` and ``window ~ (0, s_w^2)``, so the mean of a start over n_w windows varies
by ``s_r^2 + s_w^2 / n_w``. Both are estimated by the method of moments.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

Column = NDArray[np.float64]

LEAST_DF: Final = 3
"""Degrees of freedom below which no interval is given: on two, Student's t is 4.3 standard errors
wide at 95 %, and the error itself is known within a factor of six only."""


@dataclass(frozen=True, slots=True)
class Noise:
    """Residual sum of squares (log scale) and its degrees of freedom."""

    ss: float
    df: int

    @property
    def sd(self) -> float | None:
        """Standard deviation of one start, ``None`` without degrees of freedom."""
        return math.sqrt(self.ss / self.df) if self.df > 0 else None

    def pooled(self, other: Noise) -> Noise:
        """Return the noise of two independent fits taken together."""
        return Noise(self.ss + other.ss, self.df + other.df)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A difference of logs with its standard error; ``se`` is ``None`` without any df."""

    value: float
    se: float | None
    df: int

    @property
    def p_greater(self) -> float | None:
        """One-sided p of "the effect is above 0", ``None`` without a standard error."""
        if self.se is None:
            return None
        if self.se == 0.0:
            return 0.5 if self.value == 0.0 else float(self.value < 0.0)
        return float(special.stdtr(self.df, -self.value / self.se))

    @property
    def p_less(self) -> float | None:
        """One-sided p of "the effect is below 0"."""
        p = self.p_greater
        return None if p is None else 1.0 - p

    def interval(self, level: float = 0.95) -> tuple[float, float] | None:
        """Return the two-sided t interval on the log scale.

        ``None`` without a standard error, and on fewer than three degrees of freedom.
        """
        if self.se is None or self.df < LEAST_DF:
            return None
        half = float(special.stdtrit(self.df, 0.5 + level / 2)) * self.se
        return (self.value - half, self.value + half)


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted model.

    ``slopes`` maps each estimable column to its coefficient and to the ratio of its standard
    error to the residual sd; columns that the rows cannot tell apart from others are absent.
    """

    slopes: Mapping[str, tuple[float, float]]
    noise: Noise
    rows: int

    def estimate(self, name: str, noise: Noise | None = None) -> Estimate | None:
        """Return the effect of a column, ``None`` when the rows cannot give one.

        Args:
            name: the column.
            noise: the residual noise to use, by default this fit's own (pass a pooled one).
        """
        slope = self.slopes.get(name)
        if slope is None:
            return None
        noise = noise or self.noise
        sd = noise.sd
        return Estimate(slope[0], None if sd is None else slope[1] * sd, noise.df)


EMPTY = Fit({}, Noise(0.0, 0), 0)


def fit(y: Sequence[float], blocks: Sequence[Hashable], columns: Mapping[str, Column]) -> Fit:
    """Fit log metrics ``y`` (one for each start) on block dummies and ``columns``.

    Args:
        y: the logs of the metric.
        blocks: the block of each start.
        columns: name → one number for each start (1.0 where the arm or factor is on).
    """
    if not y:
        return EMPTY
    labels = list(dict.fromkeys(blocks))
    dummies = np.array([[float(block == label) for label in labels] for block in blocks])
    names = [name for name, column in columns.items() if np.any(column)]
    x = np.column_stack([dummies, *(columns[name] for name in names)])
    values = np.asarray(y, dtype=np.float64)
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    rank = int(np.sum(s > s[0] * 1e-9))
    u, s, vt = u[:, :rank], s[:rank], vt[:rank]
    projected = u.T @ values
    beta = vt.T @ (projected / s)
    scale = np.sqrt(np.sum((vt.T / s) ** 2, axis=1))
    # A coefficient is determined exactly when its unit vector lies in the row space.
    known = np.abs(np.sum(vt**2, axis=0) - 1.0) < 1e-8
    residual = values - u @ projected
    slopes = {
        name: (float(beta[j]), float(scale[j]))
        for j, name in enumerate(names, start=len(labels))
        if known[j]
    }
    return Fit(slopes, Noise(float(residual @ residual), len(y) - rank), len(y))


def predict(
    y: Sequence[float],
    blocks: Sequence[Hashable | None],
    columns: Mapping[str, Column],
    at: Mapping[str, float],
    *,
    level: bool = True,
) -> Estimate | None:
    """Return the expected log metric of a start in which the columns have the values ``at``.

    It is the mean over the blocks, each weighed by its rows; its error holds what blocks differ
    by. ``None`` where the rows cannot tell it, as with a column that was never on.

    Args:
        y: the logs of the metric, one for each start.
        blocks: the block of each start; ``None`` for a start by itself, taken as of a mean block.
        columns: name to one number for each start.
        at: name to the value of that column; a column that is not named is 0.
        level: whether to return the level itself, or else the difference to all columns at 0.
    """
    if not y:
        return None
    dummies = _dummies(blocks)
    x = np.column_stack([dummies, *columns.values()])
    shares = dummies.mean(axis=0)
    wanted = np.concatenate([shares * level, [at.get(name, 0.0) for name in columns]])
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    rank = int(np.sum(s > s[0] * 1e-9))
    u, s, vt = u[:, :rank], s[:rank], vt[:rank]
    seen = vt @ wanted
    if float(np.max(np.abs(vt.T @ seen - wanted))) > 1e-8:
        return None
    values = np.asarray(y, dtype=np.float64)
    projected = u.T @ values
    residual = values - u @ projected
    noise = Noise(float(residual @ residual), len(y) - rank)
    if noise.sd is None:
        return Estimate(float(seen @ (projected / s)), None, 0)
    variance = float(np.sum((seen / s) ** 2)) * noise.sd**2
    if level and len(shares) > 1:
        means = (vt.T @ (projected / s))[: len(shares)]
        each = float(np.var(means, ddof=1)) - noise.sd**2 * len(shares) / len(y)
        variance += max(0.0, each) * float(np.sum(shares**2))
    return Estimate(float(seen @ (projected / s)), math.sqrt(variance), noise.df)


def _dummies(blocks: Sequence[Hashable | None]) -> Column:
    """Return a column for each block; a start without one belongs to all, by their shares."""
    labels = [label for label in dict.fromkeys(blocks) if label is not None]
    if not labels:
        return np.ones((len(blocks), 1))
    dummies = np.array([[float(block == label) for label in labels] for block in blocks])
    alone = np.array([block is None for block in blocks])
    dummies[alone] = dummies[~alone].mean(axis=0)
    return dummies


def variance_p(noise: Noise, other: Noise) -> float:
    """Return the two-sided p-value of the F test that two residual variances are equal.

    It is 1 where one of them has no degree of freedom: nothing then speaks against it.
    """
    if noise.df == 0 or other.df == 0 or noise.ss == other.ss == 0.0:
        return 1.0
    if noise.ss == 0.0 or other.ss == 0.0:
        return 0.0
    f = (noise.ss / noise.df) / (other.ss / other.df)
    tails = special.fdtr(noise.df, other.df, f), special.fdtrc(noise.df, other.df, f)
    return min(1.0, 2.0 * float(min(tails)))


def are_poolable(noise: Noise, other: Noise, alpha: float = 0.01) -> bool:
    """Whether two noises may be pooled: the F test does not reject at ``alpha``.

    Pooling a quiet phase with a noisy one would make intervals of the noisy one too narrow.
    """
    return variance_p(noise, other) >= alpha


def detectable_effect(
    se: float, df: int, tests: int, alpha: float = 0.05, power: float = 0.8
) -> float:
    """Return the smallest log effect that the first Holm step finds with the given power.

    The one-sided t test at ``alpha / tests`` rejects above its critical value c; the answer is
    ``se`` times the noncentrality at which a noncentral t exceeds c with probability ``power``.

    Args:
        se: standard error of the estimate, log scale.
        df: degrees of freedom of the residual variance, at least 1.
        tests: size of the family.
        alpha: family-wise error.
        power: probability to find the effect.
    """
    critical = float(special.stdtrit(df, 1.0 - alpha / tests))
    return se * float(special.nctdtrinc(df, 1.0 - power, critical))


def window_noise(blocks: Iterable[Sequence[Sequence[float]]]) -> Noise:
    """Return the noise of one window: what is left of logs after their start and their place.

    Each block holds a row of logs for each of its starts, all rows of one length, because the
    starts of a block send the same requests: a window whose requests are harder is harder for
    every arm, and does not count as noise. Where a block has a single start that cannot be told
    apart, and does count.
    """
    total = Noise(0.0, 0)
    for rows in blocks:
        logs = np.asarray(rows, dtype=np.float64)
        starts, windows = logs.shape
        residual = logs - logs.mean(axis=1, keepdims=True)
        if starts > 1:
            residual = residual - residual.mean(axis=0, keepdims=True)
        df = max(1, starts - 1) * (windows - 1)
        total = total.pooled(Noise(float(np.sum(residual**2)), df))
    return total


def between_start_sd(starts: Noise, windows: Noise, each: float) -> float:
    """Return s_r, the sd between starts beyond what their windows explain.

    ``s_r^2 = max(0, Var(start means) - s_w^2 / n_w)``.

    Args:
        starts: the residual noise of start means, after arms and blocks; df above 0.
        windows: the noise of one window; df above 0.
        each: windows of a start, n_w.
    """
    share = windows.ss / windows.df / each
    return math.sqrt(max(0.0, starts.ss / starts.df - share))


def best_windows(s_r: float, s_w: float, start_cost: float, window_cost: float, most: int) -> int:
    """Return the windows for each start that give the most precision for a budget of time.

    ``n_w* = ceil(sqrt((start_cost / window_cost) * (s_w^2 / s_r^2)))`` (Kalibera and Jones, ISMM
    2013), at least 1 and at most ``most``: an s_r that is estimated as 0 would ask for infinitely
    many. ``start_cost`` is what a start costs without its windows, in the unit of both.
    """
    if s_w == 0.0:
        return 1
    if s_r == 0.0:
        return most
    wanted = math.sqrt(start_cost / window_cost) * s_w / s_r
    return int(min(most, max(1, math.ceil(wanted))))


@dataclass(frozen=True, slots=True)
class Trend:
    """A least-squares line: its first and last value, and Student's t of its slope.

    ``t`` has two degrees of freedom fewer than there are values; it is infinite for a slope
    without any residual, 0 for a constant.
    """

    first: float
    last: float
    t: float

    @property
    def rise(self) -> float:
        """The slope times the span."""
        return self.last - self.first


def trend(values: Sequence[float]) -> Trend:
    """Return the ordinary least-squares line of the values over their position.

    Raises:
        ValueError: fewer than three values leave no residual.
    """
    n = len(values)
    if n < 3:
        raise ValueError(f"a trend needs at least 3 values, but got {n}")
    middle, level = (n - 1) / 2, math.fsum(values) / n
    spread = n * (n * n - 1) / 12
    slope = math.fsum((i - middle) * (one - level) for i, one in enumerate(values)) / spread
    residual = math.fsum((one - level - slope * (i - middle)) ** 2 for i, one in enumerate(values))
    error = math.sqrt(residual / (n - 2) / spread)
    if error > 1e-12 * abs(slope):
        t = slope / error
    else:
        t = math.copysign(math.inf, slope) if slope else 0.0
    return Trend(level - slope * middle, level + slope * middle, t)
