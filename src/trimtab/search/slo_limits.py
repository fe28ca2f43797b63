"""The SLO as a constraint: a profile is adopted only if the starts show that it holds.

A latency of a combination is estimated from all starts of the study, as the sum of what each of
its tunings costs (ordinary least squares on logs, blocks apart). Where three starts or more ran
the very combination, they alone say what it is. What counts is the upper bound, not the estimate:
of a profile that just breaks a limit half of the estimates would lie below it.

The SLO as a constraint on what is planned: what a profile may hold, as far as can be told.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import special

from trimtab import formatting
from trimtab.metrics.table import METRICS, geometric_mean
from trimtab.model import BASELINE, Candidate, Factor, Phase, Space, Start
from trimtab.search.arms import candidate_of, is_preset
from trimtab.search.estimates import Analysis
from trimtab.stats.effects import LEAST_DF, Column, Estimate, predict

SHOWN: Final = 0.01
"""One-sided error at which one combination is shown to keep a limit. A study asks it of several
and writes the best that passes; with this level its profiles keep the SLO in 95 % of the studies
(benchmarks/shipped.py)."""

_DIRECT: Final = 3
"""Starts of a combination that say by themselves what its latency is."""

_EXACT: Final = 1 + 1e-9
"""Room for rounding, where starts repeat exactly."""

_OWN: Final = "this combination"


@dataclass(frozen=True, slots=True)
class LatencyEstimate:
    """A latency of a combination, in the metric's unit.

    ``value`` is its estimate and ``high`` its upper bound (one-sided, 99 %). ``seen`` is the
    geometric mean of the starts that ran the very combination, ``None`` if none did. ``over`` is
    the upper bound of its ratio to the baseline's.
    """

    metric: str
    limit: float
    value: float
    high: float
    seen: float | None
    over: float
    stock: float

    @property
    def held(self) -> bool:
        """Whether the combination is shown to keep the limit."""
        return max(self.high, self.seen or 0.0) <= self.limit * _EXACT

    @property
    def allowed(self) -> bool:
        """Whether it may be adopted: it keeps the limit, or the baseline breaks it more."""
        lower = self.over <= _EXACT and (self.seen or 0.0) <= self.stock * _EXACT
        return self.held or (self.stock > self.limit and lower)

    def sentence(self) -> str:
        """Return the latency beside its limit."""
        unit = METRICS[self.metric].unit
        limit = f"{formatting.number(self.limit)} {unit}"
        if max(self.value, self.seen or 0.0) > self.limit:
            value = formatting.number(max(self.value, self.seen or 0.0))
            return f"{self.metric} {value} {unit} > {limit}"
        return (
            f"{self.metric} {formatting.number(self.value)} {unit}, but up to "
            f"{formatting.number(self.high)} {unit} cannot be excluded, and the limit is {limit}"
        )


@dataclass(frozen=True, slots=True)
class SloLimits:
    """What the starts of a study say of its limits: which a combination keeps, and which not."""

    space: Space
    starts: Sequence[Start]

    def broken(self, values: Candidate) -> tuple[str, ...]:
        """Return which limits a combination is not shown to keep, a phrase for each.

        Where the baseline itself is above a limit, the combination must be shown not to be above
        the baseline. The baseline may always be adopted: it is what runs today.
        """
        if values == BASELINE:
            return ()
        phrases = []
        for metric, limit in self.space.limits:
            known = self.latency(values, metric, limit)
            if known is None:
                if any(metric in start.metrics for start in self.starts if start.valid):
                    phrases.append(f"{metric} is not known well enough")
            elif not known.allowed:
                phrases.append(known.sentence())
        return tuple(phrases)

    def are_broken(self, values: Candidate) -> bool:
        """Whether a combination is expected to break a limit, and to be worse there than stock."""
        known = (self.latency(values, *limit) for limit in self.space.limits)
        return any(one is not None and one.value > max(one.limit, one.stock) for one in known)

    def are_kept(self, values: Candidate) -> bool:
        """Whether a combination, the baseline too, is shown to keep every limit."""
        known = [self.latency(values, *limit) for limit in self.space.limits]
        return all(one is not None and one.held for one in known)

    def latency(self, values: Candidate, metric: str, limit: float) -> LatencyEstimate | None:
        """Return what the starts say of a combination's latency; ``None`` where they cannot."""
        rows = _rows(self.starts, metric)
        own = [start for start in rows if start.request.candidate == values]
        level = self._estimate(rows, values, metric)
        over = self._estimate(rows, values, metric, level=False)
        stock = self._estimate(rows, BASELINE, metric)
        if level is None or level.se is None or level.df < LEAST_DF:
            return None
        direct = [start.metrics[metric] for start in own]
        return LatencyEstimate(
            metric,
            limit,
            math.exp(level.value),
            math.exp(_high(level)),
            geometric_mean(direct) if direct else None,
            math.inf if over is None else math.exp(_high(over)),
            0.0 if stock is None else math.exp(stock.value),
        )

    def _estimate(
        self, rows: Sequence[Start], values: Candidate, metric: str, *, level: bool = True
    ) -> Estimate | None:
        """Return the log of a combination's latency, or its ratio to the baseline's.

        The latter without ``level``. ``None`` where the rows cannot tell it.
        """
        own = [start.request.candidate == values for start in rows]
        columns, at = _columns(self.space, rows, values)
        if sum(own) >= _DIRECT and values != BASELINE:
            columns[_OWN], at[_OWN] = np.array(own, dtype=np.float64), 1.0
        y = [math.log(start.metrics[metric]) for start in rows]
        blocks = [
            None
            if start.request.phase is Phase.ANSWERS
            else (start.request.phase, start.request.block)
            for start in rows
        ]
        return predict(y, blocks, columns, at, level=level)

    def notes(self) -> Iterator[str]:
        """Yield what must be said of the limits, whatever is adopted.

        That no start has a value of a limit's metric, so that nothing kept it, or that the
        baseline itself breaks the limit.
        """
        measured = [start for start in self.starts if start.valid]
        for metric, limit in self.space.limits:
            unit = METRICS[metric].unit
            if measured and not any(metric in start.metrics for start in measured):
                yield (
                    f"no start has a value of {metric}: its limit of {formatting.number(limit)} "
                    f"{unit} was not enforced"
                )
                continue
            stock = self._estimate(_rows(measured, metric), BASELINE, metric)
            if stock is not None and math.exp(stock.value) > limit:
                yield (
                    f"the baseline itself breaks the SLO: {metric} "
                    f"{formatting.number(math.exp(stock.value))} {unit} > "
                    f"{formatting.number(limit)} {unit}"
                )

    def fitting(self, analysis: Analysis, factors: Iterable[Factor]) -> tuple[Factor, ...]:
        """Return the factors that are expected to keep every limit together.

        The one that costs most of a latency is left out until the rest is shown to keep its limit,
        or where the baseline is above the limit itself, to be no worse than that. What no start
        tells limits nothing here: a start of the profile itself must show it before it is written.
        """
        kept = list(factors)
        for metric, limit in self.space.limits:
            cost = {factor: _cost(analysis, factor, metric) for factor in kept}
            while kept:
                known = self.latency(candidate_of(kept), metric, limit)
                if known is None or known.allowed:
                    break
                kept.remove(max(kept, key=lambda factor: cost[factor]))
        return tuple(kept)


def _columns(
    space: Space, rows: Sequence[Start], values: Candidate
) -> tuple[dict[str, Column], dict[str, float]]:
    """Return one column for each setting that any row or the combination has."""
    settings = list(dict.fromkeys(pair for start in rows for pair in start.request.candidate))
    settings += [pair for pair in values if pair not in settings]
    dummies = {(factor.tuning, factor.value) for factor in space.factors if factor.dummy}
    columns = {
        formatting.setting(*pair): np.array(
            [float(pair in start.request.candidate) for start in rows], dtype=np.float64
        )
        for pair in settings
        if pair not in dummies
    }
    return columns, {formatting.setting(*pair): 1.0 for pair in values if pair not in dummies}


def _rows(starts: Sequence[Start], metric: str) -> list[Start]:
    return [
        start
        for start in starts
        if start.valid
        and not start.request.live
        and not is_preset(start.request.stem)
        and 0.0 < start.metrics.get(metric, 0.0) < math.inf
    ]


def _high(found: Estimate) -> float:
    se = found.se or 0.0
    return min(found.value + float(special.stdtrit(found.df, 1 - SHOWN)) * se, 690.0)


_SHOWN: Final = 0.05
"""One-sided p from which on a latency's change counts."""


def _cost(analysis: Analysis, factor: Factor, metric: str) -> float:
    """Return by how much a factor is shown to raise a latency, or to lower it (log); else 0.

    What is not beyond chance costs nothing: of many such estimates the largest would go first.
    """
    looks = analysis.looks(factor, metric)
    if not looks:
        return 0.0
    last = looks[-1].estimate
    p = [one for one in (last.p_greater, last.p_less) if one is not None]
    return -last.value if p and min(p) <= _SHOWN else 0.0
