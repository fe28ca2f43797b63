"""What ``bench``, ``compare`` and ``capacity`` found, as frozen records. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from trimtab.measurement.blocks import MetricSummary
from trimtab.measurement.comparison_table import ComparisonRow
from trimtab.model import Header, VarianceComponents


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
        for one in self.metrics:
            if one.metric == name:
                return one
        raise KeyError(f"{name} was not measured: {', '.join(m.metric for m in self.metrics)}")

    def as_data(self) -> dict[str, Any]:
        """Return the object that ``trimtab bench --json`` prints."""
        return {
            "measures": self.measures.as_data(),
            "target": self.target,
            "starts": self.starts,
            "attempts": self.attempts,
            **({} if self.time is None else {"time": dict(self.time)}),
            "metrics": [asdict(one) for one in self.metrics],
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
            "metrics": {"a": [asdict(one) for one in first], "b": [asdict(one) for one in second]},
            "table": [asdict(one) for one in self.table],
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
            "probes": [[one.as_data() for one in probes] for probes in self.probes],
            "notes": list(self.notes),
        }
