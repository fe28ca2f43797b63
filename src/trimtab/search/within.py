"""The SLO as a constraint on what is planned: what a profile may hold, as far as can be told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from trimtab.model import Factor
from trimtab.search.arms import together
from trimtab.search.limits import latency
from trimtab.search.looks import Analysis

_SHOWN: Final = 0.05
"""One-sided p from which on a latency's change counts."""


def within(analysis: Analysis, factors: Iterable[Factor]) -> tuple[Factor, ...]:
    """Return the factors that are expected to keep every limit together.

    The one that costs most of a latency is left out until the rest is shown to keep its limit, or
    where the baseline is above the limit itself, to be no worse than that. What no start tells
    limits nothing here: a start of the profile itself must show it before it is written.
    """
    kept = list(factors)
    for metric, limit in analysis.space.limits:
        cost = {factor: _cost(analysis, factor, metric) for factor in kept}
        while kept:
            known = latency(analysis.space, analysis.starts, together(kept), metric, limit)
            if known is None or known.allowed:
                break
            kept.remove(max(kept, key=lambda factor: cost[factor]))
    return tuple(kept)


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
