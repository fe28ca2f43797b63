"""A workload from what a live server has counted: lengths, prefix reuse and rate, never a prompt.

The series are those of a family of engines: histograms of prompt and generation tokens of
finished requests, counters of prefix-cache queries and hits in tokens.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trimtab.errors import WorkloadError
from trimtab.families import Family, families

ENOUGH = 20
"""Finished requests from which on lengths are worth copying."""


@dataclass(frozen=True, slots=True)
class TrafficCounts:
    """What a server's metrics page counts, summed over engines.

    Histograms map a bucket's upper bound (inclusive, ``inf`` for the last) to how many finished
    requests fell into it alone. ``queries`` and ``hits`` are prompt tokens.
    """

    prompt: Mapping[float, float]
    output: Mapping[float, float]
    queries: float
    hits: float

    @property
    def requests(self) -> float:
        """Finished requests."""
        return sum(self.prompt.values())

    def since(self, earlier: TrafficCounts) -> TrafficCounts:
        """Return what was counted between two readings.

        Raises:
            WorkloadError: the counters went back: the server was restarted in between.
        """
        counts = TrafficCounts(
            {at: count - earlier.prompt.get(at, 0.0) for at, count in self.prompt.items()},
            {at: count - earlier.output.get(at, 0.0) for at, count in self.output.items()},
            self.queries - earlier.queries,
            self.hits - earlier.hits,
        )
        if min([0.0, *counts.prompt.values(), *counts.output.values()]) < 0 or counts.queries < 0:
            raise WorkloadError("the server was restarted while it was observed: try again")
        return counts


def parse(page: str) -> TrafficCounts:
    """Return what a ``/metrics`` page counts.

    Raises:
        WorkloadError: it is no such page, or lacks a family's histograms of request lengths.
    """
    sums, cumulated = _samples(page)
    counting = [family for family in families() if family.series.prompt_tokens]
    for family in counting:
        series = family.series
        if series.prompt_tokens in cumulated and series.output_tokens in cumulated:
            return TrafficCounts(
                _single(cumulated[series.prompt_tokens]),
                _single(cumulated[series.output_tokens]),
                sums.get(series.cache_queries, 0.0),
                sums.get(series.cache_hits, 0.0),
            )
    names = " or ".join(family.series.prompt_tokens for family in counting)
    reasons = ", and ".join(_reason(family) for family in counting)
    raise WorkloadError(f"the metrics do not hold {names}: {reasons}")


def _reason(family: Family) -> str:
    hidden = f" unless {family.series.hidden_by} is given" if family.series.hidden_by else ""
    return f"{family.title} counts it{hidden}"


def _samples(page: str) -> tuple[dict[str, float], dict[str, dict[float, float]]]:
    """Return the sums over all labels by name without ``_total``, and the cumulated histograms."""
    from prometheus_client.parser import text_string_to_metric_families

    sums: dict[str, float] = {}
    cumulated: dict[str, dict[float, float]] = {}
    try:
        for metric in text_string_to_metric_families(page):
            for sample in metric.samples:
                if sample.name.endswith("_bucket") and "le" in sample.labels:
                    histogram = cumulated.setdefault(sample.name.removesuffix("_bucket"), {})
                    bound = float(sample.labels["le"])
                    histogram[bound] = histogram.get(bound, 0.0) + sample.value
                else:
                    name = sample.name.removesuffix("_total")
                    sums[name] = sums.get(name, 0.0) + sample.value
    except (ValueError, KeyError, IndexError) as error:
        raise WorkloadError("the answer is not a page of Prometheus metrics") from error
    return sums, cumulated


def _single(cumulated: Mapping[float, float]) -> dict[float, float]:
    bounds = sorted(cumulated)
    counts = [cumulated[bound] for bound in bounds]
    return {
        bound: count - before
        for bound, count, before in zip(bounds, counts, [0.0, *counts], strict=False)
    }


def workload_of(seen: TrafficCounts, seconds: float | None) -> dict[str, object]:
    """Return the keys of a workload file for the traffic that was counted.

    Args:
        seen: what was counted.
        seconds: how long it took; ``None`` for everything since the server's start, which has no
            rate: the load is then a closed loop of 16 streams, to be set by hand.

    The tokens that the prefix cache served, spread over the requests, become the shared prefix:
    a metrics page does not tell which requests shared what.

    Raises:
        WorkloadError: too few requests were finished to say anything.
    """
    if seen.requests < ENOUGH:
        raise WorkloadError(
            f"{seen.requests:.0f} requests were finished, and {ENOUGH} are needed: observe for "
            "longer with --seconds, or take all since the server's start with --since-start"
        )
    share = seen.hits / seen.queries if seen.queries > 0 else 0.0
    mean = _mean(seen.prompt)
    shortest = min(low for low, _, count in _bins(seen.prompt) if count > 0)
    prefix = int(min(share * mean, shortest - 1))
    arrival: dict[str, object] = {"concurrency": 16}
    if seconds is not None:
        arrival = {"rate": float(f"{seen.requests / seconds:.4g}")}
    return {
        "input_tokens": _histogram(seen.prompt, prefix),
        "output_tokens": _histogram(seen.output, 0),
        "arrival": arrival,
        "shared_prefix": prefix,
        "warmup": 32,
        "windows": 3,
        "window_requests": 64,
        "max_seconds": 300,
        "request_deadline": 600,
    }


def _bins(counts: Mapping[float, float]) -> Sequence[tuple[int, int, float]]:
    """Return the bins as (first length, last length, count); the open one is twice the last."""
    found, low = [], 0
    for bound in sorted(counts):
        high = 2 * max(1, low) if math.isinf(bound) else int(bound)
        found.append((low + 1, high, counts[bound]))
        low = high
    return found


def _mean(counts: Mapping[float, float]) -> float:
    bins = _bins(counts)
    return sum(0.5 * (low + high) * count for low, high, count in bins) / sum(
        count for _, _, count in bins
    )


def _histogram(counts: Mapping[float, float], prefix: int) -> dict[str, object]:
    """Return edges and weights, from the first bin with requests to the last."""
    bins = list(_bins(counts))
    while bins and bins[0][2] == 0:
        bins.pop(0)
    while bins and bins[-1][2] == 0:
        bins.pop()
    while len(bins) > 1 and bins[0][0] == bins[0][1]:  # a bin of one length has no width
        (low, _, some), (_, high, more), *rest = bins
        bins = [(low, high, some + more), *rest]
    if bins[0][0] == bins[0][1]:
        return {"min": bins[0][0] - prefix, "max": bins[0][0] - prefix}
    edges = (bins[0][0], *(high for _, high, _ in bins))
    return {
        "edges": [edge - prefix for edge in edges],
        "weights": [count for _, _, count in bins],
    }
