"""How values spread, as counts in narrow bins: windows keep it, and a start's quantiles need it.

The percentile of a start is that of the requests of its valid windows; the mean of its windows'
percentiles is another number (the p99 of 24 requests is nearly their largest). Which windows
count is known only when the whole block is (`trimtab.search.history`), so each window keeps
its values, and windows are merged by adding counts. Bins are `WIDTH` wide on the logarithm, as
in DDSketch (Masson, Rim and Lee, VLDB 2019), so a value is off by a quarter of a percent at most.

The metrics of a start, from its windows and from all that was measured in them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from typing import Final

from trimtab.metrics.slo import STATISTICS
from trimtab.metrics.table import LATENCIES, Sample, trimmed_mean
from trimtab.model import RequestRecord, Window

WIDTH: Final = 0.005
"""Width of a bin of the natural logarithm."""

_SMALLEST: Final = 1e-6


def histogram(values: Iterable[float]) -> tuple[int, ...]:
    """Return values as bins: the first bin and its count, then each next one's step and count.

    Values below a millionth (of whatever unit) count as that.
    """
    counts = Counter(round(math.log(max(value, _SMALLEST)) / WIDTH) for value in values)
    bins = sorted(counts)
    steps = [*bins[:1], *(after - before for before, after in pairwise(bins))]
    return tuple(part for step, at in zip(steps, bins, strict=True) for part in (step, counts[at]))


def merge_histograms(spreads: Iterable[Sequence[int]]) -> list[tuple[float, int]]:
    """Return all values of some spreads as (value, count), in order."""
    counts: Counter[int] = Counter()
    for spread in spreads:
        at = 0
        for step, count in zip(spread[::2], spread[1::2], strict=True):
            at += step
            counts[at] += count
    return [(math.exp(at * WIDTH), counts[at]) for at in sorted(counts)]


def quantile(values: Sequence[tuple[float, int]], percent: float) -> float:
    """Return a percentile of ordered pairs (value, count).

    It is the one that `trimtab.metrics.table.percentile` gives of the same values in a list.

    Raises:
        ValueError: there are no values.
    """
    total = sum(count for _, count in values)
    if not total:
        raise ValueError("a percentile needs at least one value, but got none")
    rank = (total - 1) * percent / 100.0
    low = math.floor(rank)
    first = _ranked(values, low)
    return first + (_ranked(values, min(low + 1, total - 1)) - first) * (rank - low)


def _ranked(values: Sequence[tuple[float, int]], rank: int) -> float:
    upto = accumulate(count for _, count in values)
    return next(value for (value, _), seen in zip(values, upto, strict=True) if rank < seen)


def start_metrics(windows: Sequence[Window]) -> dict[str, float]:
    """Return the metrics of a start: of each the trimmed geometric mean over its windows.

    A percentile is that of the requests of all windows together, where these have kept their
    latencies (ledgers of format 1 have not). A metric is present only if every window has it.
    Where a value is 0 (an error rate) the mean is arithmetic; a goodput of 0 counts as half a
    request in that window, because a logarithm must exist for a server that met no SLO to be
    compared with one that did.
    """
    names = set.intersection(*(set(window.metrics) for window in windows))
    means = {
        name: trimmed_mean([_positive(name, window) for window in windows])
        for name in sorted(names)
    }
    if len(windows) == 1:
        return means  # its own percentiles are exact
    pooled = _percentiles(windows)
    return {name: pooled.get(name, value) for name, value in means.items()}


def _positive(name: str, window: Window) -> float:
    value = window.metrics[name]
    if name != "goodput" or value > 0:
        return value
    return 0.5 / (window.end - window.begin)


def _percentiles(windows: Sequence[Window]) -> dict[str, float]:
    """Return the percentiles over the requests of several windows, by metric."""
    found = {}
    for latency in LATENCIES:
        spreads = [window.spread.get(latency, ()) for window in windows]
        if all(spreads):
            values = merge_histograms(spreads)
            for statistic in STATISTICS:
                if statistic.startswith("p"):
                    found[f"{latency}_{statistic}"] = quantile(values, float(statistic[1:]))
    return found


def latency_histograms(
    records: Sequence[RequestRecord], begin: float, end: float
) -> dict[str, tuple[int, ...]]:
    """Return the latencies (ms) of the requests completed in ``(begin, end]``, for a window."""
    completed = Sample(tuple(records), begin, end).completed
    found = {
        str(latency): histogram(1000.0 * value for record in completed for value in values(record))
        for latency, values in LATENCIES.items()
    }
    return {latency: bins for latency, bins in found.items() if bins}
