"""Starts made comparable: every arm of a block is judged by the same requests.

A slow server may run out of load time before it has seen all windows. Its block is then judged
by the windows that all its measured starts have, because later windows hold other requests, and
a warmer server.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import groupby

from trimtab.metrics.aggregate import over_windows
from trimtab.model import Start
from trimtab.search.memo import Same


def comparable(starts: Sequence[Start]) -> list[Start]:
    """Return the starts with metrics over the windows that their whole block shares.

    Metrics of the start itself (``startup``) stay. A block that shares no window keeps its
    starts as they are: each was measured, only not on the same requests.
    """
    found: dict[int, Start] = {}
    order = sorted(starts, key=lambda start: (start.request.phase, start.request.block))
    for _, block in groupby(order, key=lambda start: (start.request.phase, start.request.block)):
        members = list(block)
        for start in _shared(members):
            found[start.number] = start
    return [found[start.number] for start in starts]


def _shared(members: Sequence[Start]) -> list[Start]:
    usable = {
        start.number: {window.index for window in start.windows if not window.void}
        for start in members
        if start.valid and start.windows
    }
    common = set.intersection(*usable.values()) if usable else set()
    if not common:
        return list(members)
    shared = frozenset(common)
    return [_over(Same(start), shared) if start.number in usable else start for start in members]


@lru_cache(maxsize=1024)
def _over(one: Same[Start], common: frozenset[int]) -> Start:
    (start,) = one.records
    windows = [window for window in start.windows if window.index in common]
    own = {name: start.metrics[name] for name in start.metrics if name not in windows[0].metrics}
    return replace(start, metrics={**own, **over_windows(windows)})
