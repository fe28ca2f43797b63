"""Is an open loop faster than the server? Then what is measured is how long it was watched.

Above what a server can do, requests in flight and times to the first token rise for as long as
the load lasts. Red Hat lost more than half of 4,506 benchmark runs to this; the test is in the
manner of their guidellm (scheduler/constraints/saturation.py): both slopes significantly above 0.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean
from typing import Final

from trimtab.model import RequestRecord
from trimtab.stats.trend import Trend, trend

MARK: Final = "over-saturated"

BINS: Final = 10
"""Means of so many groups of requests are looked at, and not single ones: a queue remembers, and
neighbours in it are no independent observations."""

FEWEST: Final = 40
"""Requests from which on a rise can be told from a burst."""

SURE: Final = 2.896
"""Student's t that ten bins without a trend exceed in 1 % of cases (8 degrees of freedom)."""

GROWTH: Final = 2.0
"""How many times higher than its begin the line must end: a queue near its capacity wanders."""

BEHIND: Final = 0.1
"""Share of the arrivals by which the requests in flight must have risen: the server did less than
nine tenths of what came. On simulated queues of 1 to 32 servers and 200 arrivals it speaks up in
none of 200 loads at 80 % of their capacity, and in 85 % and more of those at 130 %."""

FEWEST_BEHIND: Final = 15
"""Requests by which they must have risen, however few the arrivals."""


def over_saturation(
    records: Sequence[RequestRecord], waiting: Sequence[float], begin: float, end: float
) -> str:
    """Return why requests that were due in ``(begin, end]`` came too fast, "" if they did not.

    Args:
        records: the requests that ended, all of the load.
        waiting: when those were due that had not ended yet.
        begin: seconds of the records' clock.
        end: likewise.
    """
    due = sorted([*(one.intended for one in records), *waiting])
    ends = sorted(one.done for one in records)
    inside = [at for at in due if begin < at <= end]
    flying = [bisect_right(due, at) - bisect_right(ends, at) for at in inside]
    waits = [
        one.chunks[0] - one.intended
        for one in sorted(records, key=lambda one: one.intended)
        if one.chunks and begin < one.intended <= end
    ]
    if min(len(flying), len(waits)) < FEWEST:
        return ""
    count, wait = _line(flying), _line(waits)
    behind = max(FEWEST_BEHIND, BEHIND * len(inside))
    if not (_grows(count) and _grows(wait) and count.rise > behind):
        return ""
    return (
        f"over-saturated: requests in flight rose from {max(count.first, 0):.0f} to "
        f"{count.last:.0f} and times to the first token from {1000 * max(wait.first, 0):.0f} to "
        f"{1000 * wait.last:.0f} ms"
    )


def _line(values: Sequence[float]) -> Trend:
    edges = [len(values) * i // BINS for i in range(BINS + 1)]
    return trend([fmean(values[a:b]) for a, b in pairwise(edges)])


def _grows(line: Trend) -> bool:
    return line.t > SURE and line.last > GROWTH * line.first
