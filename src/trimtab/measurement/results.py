"""What ``bench``, ``compare`` and ``capacity`` found, as frozen records and tables. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from trimtab.measurement.blocks import MetricSummary, starts_of_target
from trimtab.metrics.table import METRICS
from trimtab.model import Header, Start, VarianceComponents
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


@dataclass(frozen=True, slots=True)
class BenchResult:
    """One target under a workload, over some starts."""

    measures: Header
    """Engine, model, workload and machine."""
    target: str
    """What was measured, as it was named: a preset, a file, a profile, or an address."""
    starts: int
    """Starts that were measured."""
    attempts: int
    """Starts that were made."""
    metrics: tuple[MetricSummary, ...]
    """Each metric with its 95 % interval over starts."""
    noise: VarianceComponents | None = None
    """How much starts and windows differ, ``None`` while unknown."""
    time: Mapping[str, float | None] | None = None
    """Wall seconds by part; ``None`` of a server that runs already."""
    notes: tuple[str, ...] = ()
    """Sentences that must stand beside the numbers."""

    def metric(self, name: str) -> MetricSummary:
        """Return one metric.

        Raises:
            KeyError: it was not measured; the message names those that were.
        """
        for summary in self.metrics:
            if summary.metric == name:
                return summary
        raise KeyError(f"{name} was not measured: {', '.join(m.metric for m in self.metrics)}")

    def as_data(self) -> dict[str, Any]:
        """Return the object that ``trimtab bench --json`` prints."""
        return {
            "measures": self.measures.as_data(),
            "target": self.target,
            "starts": self.starts,
            "attempts": self.attempts,
            **({} if self.time is None else {"time": dict(self.time)}),
            "metrics": [asdict(metric) for metric in self.metrics],
            "noise": None if self.noise is None else asdict(self.noise),
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class CompareResult:
    """Two targets against each other, in pairs of starts."""

    measures: Header
    """Engine, model, workload and machine of the first target."""
    a: str
    b: str
    """The targets, as they were named."""
    metric: str
    """The metric that decides."""
    answer: str
    """Of ``b`` against ``a``: better, worse, equivalent, or not proven."""
    ratio: float
    """b / a on ``metric``, better is greater."""
    low: float | None
    high: float | None
    """Its interval, at the level of the look that ended the comparison."""
    pairs: int
    most_pairs: int
    """Pairs that were made, and those that were allowed."""
    margin: float
    """Within this (0.01 = 1 %) two targets are equivalent."""
    detectable_effect: float | None
    """The smallest difference that so many pairs find, at the noise as measured."""
    noise: VarianceComponents | None
    starts: int
    """Starts that were made."""
    metrics: tuple[tuple[MetricSummary, ...], tuple[MetricSummary, ...]]
    """Each side's metrics with their 95 % intervals over starts."""
    table: tuple[ComparisonRow, ...]
    """Every metric of both sides, with the paired ratio."""
    notes: tuple[str, ...] = ()

    def as_data(self) -> dict[str, Any]:
        """Return the object that ``trimtab compare --json`` prints."""
        first, second = self.metrics
        return {
            "measures": self.measures.as_data(),
            "a": self.a,
            "b": self.b,
            "metric": self.metric,
            "answer": self.answer,
            "ratio": self.ratio,
            "low": self.low,
            "high": self.high,
            "pairs": self.pairs,
            "most_pairs": self.most_pairs,
            "margin": self.margin,
            "detectable_effect": self.detectable_effect,
            "noise": None if self.noise is None else asdict(self.noise),
            "starts": self.starts,
            "metrics": {
                "a": [asdict(summary) for summary in first],
                "b": [asdict(one) for one in second],
            },
            "table": [asdict(row) for row in self.table],
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class CapacityProbe:
    """One load at a rate of arrivals, in a search for a capacity."""

    rate: float
    """Requests a second."""
    margin: float
    """How far the SLO was missed (above 0) or met, on the log scale."""
    requests: int
    void: tuple[str, ...]
    """Why it does not count; empty where it does."""
    e2e: float | None
    """How long it was, in mean end-to-end times of its requests."""

    def as_data(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {**asdict(self), "void": list(self.void)}


@dataclass(frozen=True, slots=True)
class CapacityResult:
    """The highest rate of arrivals at which a target meets its SLO."""

    measures: Header
    target: str
    slo: str
    requests: int
    """Requests of a probe."""
    capacity: float
    """Requests a second: the mean of ``each``."""
    low: float | None
    """Lower 95 % bound over starts; ``None`` from too few."""
    verified: bool | None
    """Whether ``low`` met the SLO in fresh windows; ``None`` where it was not tried."""
    each: tuple[float, ...]
    """The capacity of each start."""
    starts: int
    probe_e2e: float | None
    """The shortest deciding probe, in mean end-to-end times of a request."""
    probes: tuple[tuple[CapacityProbe, ...], ...]
    """Those of each start in ``each``."""
    notes: tuple[str, ...] = ()

    def as_data(self) -> dict[str, Any]:
        """Return the object that ``trimtab capacity --json`` prints."""
        return {
            "measures": self.measures.as_data(),
            "target": self.target,
            "slo": self.slo,
            "requests": self.requests,
            "capacity": self.capacity,
            "low": self.low,
            "verified": self.verified,
            "each": list(self.each),
            "starts": self.starts,
            "probe_e2e": self.probe_e2e,
            "probes": [[probe.as_data() for probe in probes] for probes in self.probes],
            "notes": list(self.notes),
        }
