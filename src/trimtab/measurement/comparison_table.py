"""The table of a comparison: every metric of A and B side by side, with the paired ratio. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from trimtab.measurement.blocks import starts_of_target
from trimtab.metrics.table import METRICS
from trimtab.model import Start
from trimtab.stats.sequential import mean_interval

ENOUGH_DF: Final = 3
"""Degrees of freedom below which no interval is shown."""

WIDEST: Final = 10.0
"""An interval whose ends differ by more than this factor says nothing."""

_ORDER: Final = (
    *("output_throughput", "request_throughput", "total_throughput", "goodput"),
    *("ttft", "tpot", "itl", "e2e", "startup"),
)
"""What users ask first comes first; a latency's statistics follow each other."""

_STATISTICS: Final = ("p50", "p99", "mean", "p90", "p95")
_MAIN: Final = ("p50", "p99")


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One metric of both sides, geometric means over the pairs that have it on both.

    ``ratio`` is better-is-greater; ``low`` and ``high`` bound it at 95 %, and are ``None`` where
    the pairs are too few to say.
    """

    metric: str
    unit: str
    a: float
    b: float
    ratio: float
    low: float | None
    high: float | None
    pairs: int


def table(starts: Sequence[Start]) -> tuple[ComparisonRow, ...]:
    """Return a row for each metric that both sides have in a pair, in order of importance."""
    first, second = starts_of_target(starts, 0), starts_of_target(starts, 1)
    pairs = [(first[block], second[block]) for block in sorted(first.keys() & second.keys())]
    names = dict.fromkeys(name for a, b in pairs for name in a.metrics if name in b.metrics)
    found = (_row(name, pairs) for name in sort_metrics(names))
    return tuple(row for row in found if row is not None)


def sort_metrics(names: Iterable[str]) -> list[str]:
    """Return metrics in order of importance, unknown ones last."""
    return sorted(names, key=_rank)


def is_main_metric(name: str) -> bool:
    """Whether a metric is one that everybody asks for: no further statistic of a latency."""
    return name.rpartition("_")[2] not in {*_STATISTICS} - {*_MAIN}


def informative_interval(
    low: float | None, high: float | None, starts: int
) -> tuple[float, float] | None:
    """Return an interval if it says something, ``None`` if the starts are too few for one."""
    if low is None or high is None or low <= 0 or starts <= ENOUGH_DF:
        return None
    return (low, high) if high / low <= WIDEST else None


def _rank(name: str) -> tuple[int, int, str]:
    stem, _, statistic = name.rpartition("_")
    known = name if name in _ORDER else stem
    place = _ORDER.index(known) if known in _ORDER else len(_ORDER)
    return place, _STATISTICS.index(statistic) if statistic in _STATISTICS else 0, name


def _row(name: str, pairs: Sequence[tuple[Start, Start]]) -> ComparisonRow | None:
    values = [(a.metrics.get(name, 0.0), b.metrics.get(name, 0.0)) for a, b in pairs]
    logs = [(math.log(a), math.log(b)) for a, b in values if a > 0 and b > 0]
    if not logs:
        return None
    known = METRICS.get(name)
    sign = 1.0 if known is not None and known.higher_is_better else -1.0
    value, low, high = mean_interval([sign * (b - a) for a, b in logs])
    ends = (
        None
        if low is None or high is None
        else informative_interval(math.exp(low), _exp(high), len(logs))
    )
    return ComparisonRow(
        metric=name,
        unit="s" if known is None else known.unit,
        a=math.exp(sum(a for a, _ in logs) / len(logs)),
        b=math.exp(sum(b for _, b in logs) / len(logs)),
        ratio=math.exp(value),
        low=None if ends is None else ends[0],
        high=None if ends is None else ends[1],
        pairs=len(logs),
    )


def _exp(value: float) -> float:
    return math.exp(min(value, 690.0))
