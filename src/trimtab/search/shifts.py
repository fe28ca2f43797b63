"""Starts whose speed changed while they were measured: flagged, never dropped.

A server that is warm and alone is equally fast from beginning to end. Where the mean of the later
parts of its windows differs from that of the earlier ones by more than their noise, something
changed meanwhile: a neighbour, a clock, a cache. The start stays in every estimate, since dropping
it by its result would be choosing the result.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Final

from trimtab.model import Start

_FEWEST: Final = 4
"""Values from which on a change can be told from one odd value."""

_SMALLEST: Final = 0.02
"""Smallest change worth a word (log scale)."""

_SURE: Final = 5.0
"""Standard errors: the largest of a dozen splits in each of fifty starts stays below by chance."""

_Values = Sequence[tuple[int, float]]
"""Logs of throughput in order of time, each with the window (from 1) it is part of."""


@dataclass(frozen=True, slots=True)
class Shift:
    """A change inside a start: from window ``since`` (from 1) on, by ``change`` (log ratio)."""

    start: int
    since: int
    change: float


def shifts(starts: Sequence[Start], metric: str) -> Iterator[Shift]:
    """Yield the change points of a start's speed, one at most for each start.

    Speed is the output tokens/s of the parts of its windows, ``metric`` of whole ones where the
    parts are not known (ledgers of format 1) or one of them is empty. The noise of a value is the
    median absolute deviation over all starts.
    """
    steady = [start for start in starts if start.valid and not start.request.live]
    runs = [(start.number, _values(start, metric)) for start in steady]
    long = [(number, values) for number, values in runs if len(values) >= _FEWEST]
    deviations = [
        abs(log - median(one for _, one in values)) for _, values in long for _, log in values
    ]
    if not deviations:
        return
    sd = 1.4826 * median(deviations)
    for number, values in long:
        found = max((_split(values, k, sd) for k in range(2, len(values) - 1)), default=None)
        if found is not None and found[0] > _SURE and abs(found[2]) > _SMALLEST:
            yield Shift(number, found[1], found[2])


def _split(values: _Values, k: int, sd: float) -> tuple[float, int, float]:
    """Return how sure a change at value ``k`` is, its window, and the change."""
    logs = [log for _, log in values]
    change = fmean(logs[k:]) - fmean(logs[:k])
    error = sd * math.sqrt(1 / k + 1 / (len(logs) - k))
    return (abs(change) / error if error > 0 else 0.0), values[k][0], change


def _values(start: Start, metric: str) -> _Values:
    valid = [window for window in start.windows if not window.void]
    if valid and all(window.bins and min(window.bins) > 0 for window in valid):
        return [(window.index + 1, math.log(one)) for window in valid for one in window.bins]
    found = [(window.index + 1, window.metrics.get(metric, 0.0)) for window in valid]
    return [(at, math.log(value)) for at, value in found if value > 0]
