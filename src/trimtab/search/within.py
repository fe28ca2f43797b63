"""The SLO as a constraint on what is planned: what a profile may hold, as far as can be told."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

from trimtab.metrics import geometric_mean
from trimtab.model import BASELINE, Factor, Start
from trimtab.search.looks import Analysis, usable

_SHOWN: Final = 0.05
"""One-sided p from which on a latency's change counts."""


def within(analysis: Analysis, factors: Iterable[Factor]) -> tuple[Factor, ...]:
    """Return the factors that keep every limit, as their estimates add up.

    The one that costs most of a latency is left out until the rest is expected to keep its limit;
    where the baseline is above the limit itself, until the rest is no worse than that. A latency
    of which no baseline start is known limits nothing here; the confirmation judges all the same.
    """
    kept = tuple(factors)
    for metric, limit in analysis.space.limits:
        before = _baseline(analysis.starts, metric)
        if before is not None:
            room = max(0.0, math.log(limit / before))
            kept = _within(analysis, kept, metric, room)
    return kept


def _within(
    analysis: Analysis, factors: tuple[Factor, ...], metric: str, room: float
) -> tuple[Factor, ...]:
    cost = {factor: _cost(analysis, factor, metric) for factor in factors}
    kept = list(factors)
    while kept and sum(cost[factor] for factor in kept) > room:
        worst = max(kept, key=lambda factor: cost[factor])
        kept.remove(worst)
    return tuple(kept)


def _cost(analysis: Analysis, factor: Factor, metric: str) -> float:
    """Return by how much a factor is shown to raise a latency, or to lower it (log); else 0.

    What is not beyond chance costs nothing: many such estimates add up to any limit.
    """
    looks = analysis.looks(factor, metric)
    if not looks:
        return 0.0
    last = looks[-1].estimate
    p = [one for one in (last.p_greater, last.p_less) if one is not None]
    return -last.value if p and min(p) <= _SHOWN else 0.0


def _baseline(starts: Sequence[Start], metric: str) -> float | None:
    values = [
        start.metrics[metric]
        for start in starts
        if start.request.candidate == BASELINE and usable(start, metric)
    ]
    return geometric_mean(values) if values else None
