"""The metrics of a start, from its windows and from all that was measured in them."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.averages import trimmed_mean
from trimtab.metrics import LATENCIES, Sample
from trimtab.model import RequestRecord, Window
from trimtab.slo import STATISTICS
from trimtab.spread import merged, quantile, spread


def over_windows(windows: Sequence[Window]) -> dict[str, float]:
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
            values = merged(spreads)
            for statistic in STATISTICS:
                if statistic.startswith("p"):
                    found[f"{latency}_{statistic}"] = quantile(values, float(statistic[1:]))
    return found


def spreads(
    records: Sequence[RequestRecord], begin: float, end: float
) -> dict[str, tuple[int, ...]]:
    """Return the latencies (ms) of the requests completed in ``(begin, end]``, for a window."""
    completed = Sample(tuple(records), begin, end).completed
    found = {
        str(latency): spread(1000.0 * value for record in completed for value in values(record))
        for latency, values in LATENCIES.items()
    }
    return {latency: bins for latency, bins in found.items() if bins}
