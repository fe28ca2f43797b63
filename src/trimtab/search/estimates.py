"""The looks at each factor: its effect in the lead phase, in the screen and in its second stage.

The phases are fitted apart, because a lead alone is compared with the baseline and a screened
factor around the centre; their residual noise is pooled where an F test lets it be one. A lead
that is looked at twice pays for it: its p-values are doubled, whichever look is used. Screen and
second stage are combined by the inverse normal method, which charges for both looks.

The gate's readings as a covariate: how fast the machine itself was before each start.

One arm of the confirmation against another, from the blocks that hold both.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

import numpy as np

from trimtab.metrics.table import METRICS
from trimtab.model import BASELINE, Effect, Factor, Phase, Space, Start
from trimtab.search.arms import BASELINE_ARM, is_on, is_preset, starts_of_phase
from trimtab.search.host_effects import host_effect
from trimtab.stats.effects import LEAST_DF, Column, Estimate, Fit, Noise, are_poolable, fit
from trimtab.stats.multiplicity import two_looks

NAME: Final = "machine speed"
"""The column's name in a fit; no tuning or arm has a space in its name."""

_LEVEL: Final = 0.01
"""Two-sided p up to which its slope is worth a degree of freedom: blocks have taken out what is
slow already, and a column that explains nothing only costs power. By p and not by a number of
standard errors, for with the one degree of freedom of a small screen three are nothing rare (one
case in five), and what is left of the noise then is next to nothing by chance: 91.6 % of the
intervals held the truth there instead of 94.2 (3,000 screens of 8 rows and 5 columns)."""

_READINGS: Final = ("gflops", "copy_gbps")
"""What the clock, heat, the hypervisor and others leave of the machine. To ask each of these for
itself costs honesty: the best of five columns that explain nothing passes the rule above in 8 % of
screens instead of 1 %, narrows the intervals (93.6 % of them hold the truth instead of 94.6), and
something null passes a test among 11 tunings in 7 % instead of 3 % (800 screens of 24 rows)."""


def fit_with_speed(
    y: Sequence[float], starts: Sequence[Start], columns: Mapping[str, Column]
) -> Fit:
    """Fit logs on blocks and columns, and on the machine's speed where that explains them.

    Whether it does is asked of the covariate alone, never of an arm's effect.
    """
    blocks = [start.request.block for start in starts]
    found = fit(y, blocks, columns)
    speed = machine_speed(starts)
    if speed is None or found.noise.df < 2:
        return found
    wider = fit(y, blocks, {**columns, NAME: speed})
    slope = wider.estimate(NAME)
    if slope is None or not slope.se or not _explains(slope):
        return found
    return wider if _variance(wider, columns) < _variance(found, columns) else found


def _explains(slope: Estimate) -> bool:
    p = slope.p_greater
    return p is not None and 2 * min(p, 1 - p) <= _LEVEL


def _variance(fitted: Fit, columns: Mapping[str, Column]) -> float:
    """Return the mean variance of the columns' estimates, infinite where one has none.

    Where the machine was faster for one arm than for another, an estimate rests on the slope, and
    can be less sure with the covariate than without, although there is less noise.
    """
    estimates = [fitted.estimate(name) for name, column in columns.items() if np.any(column)]
    if not estimates:
        return fitted.noise.ss / fitted.noise.df
    return float(
        np.mean(
            [
                math.inf if estimate is None or estimate.se is None else estimate.se**2
                for estimate in estimates
            ]
        )
    )


def machine_speed(starts: Sequence[Start]) -> Column | None:
    """Return the log speed of the machine before each start, centred; ``None`` if not known.

    The mean over those readings of the gate that every start has. The gate runs before the server
    and cannot see the arm, so what it explains of the noise can be taken out without bias (CUPED;
    Deng et al., WSDM 2013): with a correlation of rho the variance falls by 1 - rho**2.
    """
    read = [key for key in _READINGS if all(start.gate.get(key, 0.0) > 0 for start in starts)]
    if not starts or not read:
        return None
    logs = np.array([[math.log(start.gate[key]) for key in read] for start in starts])
    speed = logs.mean(axis=1)
    speed -= speed.mean()
    return speed if float(np.ptp(speed)) > 0 else None


ALPHA = 0.05
"""Family-wise error of the verdicts, in each direction."""

LOOKS = (Phase.LEAD, Phase.SCREEN, Phase.FOLLOW)

SETTLING = (*LOOKS, Phase.HOST)
"""The phases that verdicts rest on."""

_TESTED = (*LOOKS, Phase.CONFIRM)
"""The phases that claims rest on; the refinement only chooses."""

ENOUGH_DF = 3
"""Degrees of freedom from which on lead phase and screen know their noise."""

ENOUGH_FRESH_DF = LEAST_DF
"""The same for the confirmation."""

LEAST_FOLLOWED = 0.03
"""The smallest p-value that counts of the second stage: of eight starts one may be a bad one,
which no t of so few allows for. With it something null is kept in 4.1 % of 1,500 studies in which
nothing works, without it in 4.5 % (L0, 40 starts, 2 % noise, benchmarks/search.py)."""


@dataclass(frozen=True, slots=True)
class FactorEstimate:
    """One estimate of a factor's effect: better-is-greater, log scale.

    ``starts`` are those that inform it: of the lead's own arm and of the baseline's, all rows of
    a screen's design, those that toggle a host setting, or its whole plots.
    """

    phase: Phase
    estimate: Estimate
    starts: int


@dataclass(frozen=True, slots=True)
class Analysis:
    """The fits of a study by phase and metric, and the noise to use with each.

    Lead phase, screen and second stage share their noise; the confirmation speaks with its own,
    so that a verdict does not change by what the confirmation sees. Where that
    leaves fewer than 3 degrees of freedom the other starts are witness
    too, because a noise on one degree of freedom makes any interval useless. Nothing is shared
    between phases whose noise differs (:func:`alike`). Estimates never mix.
    """

    space: Space
    starts: Sequence[Start]
    fits: Mapping[tuple[Phase, str], Fit]
    noise: Mapping[tuple[Phase, str], Noise]

    def looks(self, factor: Factor, metric: str | None = None) -> tuple[FactorEstimate, ...]:
        """Return the looks at a factor that give an estimate, the screen's last."""
        metric = metric or metric_of(self.space, factor)
        found = []
        for phase in LOOKS:
            model = self.fits[phase, metric]
            estimate = model.estimate(factor.tuning, self.noise[phase, metric])
            if estimate is not None:
                found.append(
                    FactorEstimate(phase, estimate, self._informing(factor, phase, metric))
                )
        if rested := host_effect(self.starts, factor, metric, sign_of(self.space, metric)):
            found.append(FactorEstimate(Phase.HOST, rested.estimate, rested.many))
        return tuple(found)

    def _informing(self, factor: Factor, phase: Phase, metric: str) -> int:
        """Return how many starts of a phase an estimate rests on."""
        rows = [
            start.request
            for start in starts_of_phase(self.starts, phase)
            if is_usable(start, metric) and not is_preset(start.request.stem)
        ]
        if phase is not Phase.LEAD:
            return len(rows)
        return sum(row.candidate == BASELINE or is_on(factor, row.candidate) for row in rows)

    def expected(self, factor: Factor, metric: str | None = None) -> float | None:
        """Return the estimate that decides about a factor by itself; ``None`` without one.

        It is the last look's. Where the second stage looked too, it is the mean of its estimate
        and the screen's: it has fewer rows, but they are toggled around what is to be shipped.
        """
        estimates = self.looks(factor, metric)
        if not estimates or estimates[-1].estimate.se is None:
            return None
        values = [look.estimate.value for look in estimates if look.phase is not Phase.LEAD]
        return fmean(values or [estimates[-1].estimate.value])

    def p_better(self, factor: Factor, metric: str | None = None) -> float:
        """Return the p-value of "better", all looks considered; 1 when there is none.

        It is 1 as well where the screen, the look around the centre, points the other way.
        """
        return self._p(factor, metric, 1.0)

    def p_worse(self, factor: Factor, metric: str | None = None) -> float:
        """Return the p-value of "worse", in the same way."""
        return self._p(factor, metric, -1.0)

    def _p(self, factor: Factor, metric: str | None, sign: float) -> float:
        found = {look.phase: look.estimate for look in self.looks(factor, metric)}
        first = [estimate for phase, estimate in found.items() if phase is not Phase.FOLLOW]
        if not first or sign * first[-1].value <= 0:
            return 1.0
        p = {
            phase: estimate.p_greater if sign > 0 else estimate.p_less
            for phase, estimate in found.items()
        }
        screened, weight = p.get(Phase.SCREEN), self._weight()
        if screened is not None and weight < 1.0:
            followed = p.get(Phase.FOLLOW)
            followed = None if followed is None else max(followed, LEAST_FOLLOWED)
            screened = two_looks(screened, followed, weight)
        times = 2 if factor.lead else 1
        known = [
            one for one in (p.get(Phase.LEAD), screened, p.get(Phase.HOST)) if one is not None
        ]
        return min([1.0, *(times * one for one in known)])

    def harms(self, factor: Factor) -> bool:
        """Whether a factor judged on another metric lowers the study's objective."""
        objective = self.space.objective
        if metric_of(self.space, factor) == objective:
            return False
        return any(
            look.estimate.p_less is not None and look.estimate.p_less <= ALPHA
            for look in self.looks(factor, objective)
        )

    def is_likely_gain(self, factor: Factor, metric: str | None = None) -> bool:
        """Whether a factor is more likely than not better, on its own metric or another."""
        value = self.expected(factor, metric)
        return value is not None and value > 0

    def sort_by_effect(
        self, factors: Iterable[Factor], metric: str | None = None
    ) -> tuple[Factor, ...]:
        """Return factors that have estimates, the largest effect first."""

        def largest(factor: Factor) -> float:
            return max((look.estimate.value for look in self.looks(factor, metric)), default=0.0)

        return tuple(sorted(factors, key=largest, reverse=True))

    def _weight(self) -> float:
        """Return the screen's share of its starts and those of its second stage, as asked for."""
        screened, followed = (
            len({s.request.stem for s in starts_of_phase(self.starts, phase)})
            for phase in (Phase.SCREEN, Phase.FOLLOW)
        )
        return screened / (screened + followed) if followed else 1.0


def analyse(space: Space, starts: Sequence[Start]) -> Analysis:
    """Fit every phase on every metric that a factor is about."""
    fits: dict[tuple[Phase, str], Fit] = {}
    noise: dict[tuple[Phase, str], Noise] = {}
    for metric in metrics_of(space):
        for phase in _TESTED:
            fits[phase, metric] = fit_phase(space, starts, phase, metric)
        shared = _shared({phase: fits[phase, metric].noise for phase in _TESTED})
        noise |= {(phase, metric): shared[phase] for phase in _TESTED}
    return Analysis(space, starts, fits, noise)


def _shared(own: Mapping[Phase, Noise]) -> dict[Phase, Noise]:
    """Return the noise to use in each phase, from each phase's own."""
    lead, screen, fresh = own[Phase.LEAD], own[Phase.SCREEN], own[Phase.CONFIRM]
    if are_poolable(lead, screen):
        lead = screen = lead.pooled(screen)
    follow = own[Phase.FOLLOW]
    if are_poolable(follow, screen):
        screen = screen.pooled(follow)
        follow = _at_least(screen, follow)
    witness = screen if are_poolable(fresh, screen) else lead
    return {
        Phase.LEAD: _enough(lead, fresh, ENOUGH_DF),
        Phase.SCREEN: _enough(screen, fresh, ENOUGH_DF),
        Phase.FOLLOW: follow,
        Phase.CONFIRM: _enough(fresh, witness, ENOUGH_FRESH_DF),
    }


def _at_least(pooled: Noise, own: Noise) -> Noise:
    """Return pooled noise, no less than a small stage's own: one bad start weighs much in it."""
    if own.df == 0 or own.ss / own.df <= pooled.ss / pooled.df:
        return pooled
    return Noise(own.ss / own.df * pooled.df, pooled.df)


def _enough(noise: Noise, witness: Noise, df: int) -> Noise:
    if noise.df >= df or not are_poolable(noise, witness):
        return noise
    return noise.pooled(witness)


def fit_phase(
    space: Space,
    starts: Sequence[Start],
    phase: Phase,
    metric: str,
    reference: str = BASELINE_ARM,
) -> Fit:
    """Fit the starts of one phase on one metric, logs better-is-greater.

    In the lead phase and the screen the columns are the factors and the guide; in the
    confirmation they are the arms other than ``reference``, the one they are compared with.
    """
    sign = sign_of(space, metric)
    rows = [start for start in starts_of_phase(starts, phase) if is_usable(start, metric)]
    y = [sign * math.log(start.metrics[metric]) for start in rows]
    arms: Sequence[str] = (space.preset,)
    if phase is Phase.CONFIRM:
        arms = sorted({start.request.stem for start in rows} - {reference})
    columns = {
        arm: np.array([float(start.request.stem == arm) for start in rows], dtype=np.float64)
        for arm in arms
    }
    if phase is not Phase.CONFIRM:
        for factor in space.factors:
            columns[factor.tuning] = np.array(
                [
                    float(
                        not is_preset(start.request.stem)
                        and is_on(factor, start.request.candidate)
                    )
                    for start in rows
                ],
                dtype=np.float64,
            )
    return fit_with_speed(y, rows, columns)


def is_usable(start: Start, metric: str) -> bool:
    """Whether a start has a value of a metric whose log exists."""
    value = start.metrics.get(metric)
    return start.valid and value is not None and 0.0 < value < math.inf


def metric_of(space: Space, factor: Factor) -> str:
    """Return the metric that a factor is judged on."""
    return factor.metric or space.objective


def metrics_of(space: Space) -> tuple[str, ...]:
    """Return the objectives and every other metric that a factor or a limit is about."""
    judged = (metric_of(space, factor) for factor in space.factors)
    limits = (metric for metric, _ in space.limits)
    return tuple(dict.fromkeys([*space.all_objectives, *judged, *limits]))


def higher_is_better(space: Space, metric: str) -> bool:
    """Return the direction of a metric."""
    return (
        space.higher_is_better if metric == space.objective else METRICS[metric].higher_is_better
    )


def sign_of(space: Space, metric: str) -> float:
    """Return what a log of the metric is multiplied by, so that better is greater."""
    return 1.0 if higher_is_better(space, metric) else -1.0


def as_effect(estimate: Estimate | None, starts: int, level: float = 0.95) -> Effect:
    """Return an estimate on the log scale as a ratio with its interval."""
    if estimate is None:
        return Effect(None, None, None, None, starts)
    interval = estimate.interval(level)
    low, high = (
        (None, None) if interval is None else (math.exp(interval[0]), to_ratio(interval[1]))
    )
    return Effect(math.exp(estimate.value), low, high, estimate.p_greater, starts)


def to_ratio(value: float) -> float:
    """Return exp(value), at most 1e300: an interval on one df can be wider than a float."""
    return math.exp(min(value, 690.0))


def contrast(analysis: Analysis, arm: str, other: str, metric: str) -> Estimate | None:
    """Return how much better ``arm`` is than ``other``, log scale, better-is-greater.

    ``None`` when either was not measured, or the starts cannot tell them apart. The noise is the
    confirmation's, pooled over its arms.
    """
    rows = [s for s in starts_of_phase(analysis.starts, Phase.CONFIRM) if is_usable(s, metric)]
    if not {arm, other} <= {start.request.stem for start in rows}:
        return None
    model = fit_phase(analysis.space, rows, Phase.CONFIRM, metric, reference=other)
    return model.estimate(arm, analysis.noise[Phase.CONFIRM, metric])
