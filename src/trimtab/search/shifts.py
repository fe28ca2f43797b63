"""Starts whose speed changed between their windows: flagged, never dropped.

A server that is warm and alone serves its windows equally fast. Where the mean of the later ones
differs from that of the earlier ones by more than their noise, something changed meanwhile: a
neighbour, a clock, a cache. The start stays in every estimate, since dropping it by its result
would be choosing the result.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Final

from trimtab.model import Start

_FEWEST: Final = 4
"""Windows from which on a change can be told from one odd window."""

_SMALLEST: Final = 0.02
"""Smallest change worth a word (log scale)."""

_SURE: Final = 5.0
"""Standard errors: the largest of a dozen splits in each of fifty starts stays below by chance."""


@dataclass(frozen=True, slots=True)
class Shift:
    """A change inside a start: from window ``since`` (from 1) on, by ``change`` (log ratio)."""

    start: int
    since: int
    change: float


def shifts(starts: Sequence[Start], metric: str) -> Iterator[Shift]:
    """Yield the change points of a metric, one at most for each start.

    The noise of a window is the median absolute deviation over all starts.
    """
    runs = [(s.number, _logs(s, metric)) for s in starts if s.valid and not s.request.live]
    long = [(number, logs) for number, logs in runs if len(logs) >= _FEWEST]
    deviations = [abs(one - median(logs)) for _, logs in long for one in logs]
    if not deviations:
        return
    sd = 1.4826 * median(deviations)
    for number, logs in long:
        found = max((_split(logs, k, sd) for k in range(2, len(logs) - 1)), default=None)
        if found is not None and found[0] > _SURE and abs(found[2]) > _SMALLEST:
            yield Shift(number, found[1] + 1, found[2])


def _split(logs: Sequence[float], k: int, sd: float) -> tuple[float, int, float]:
    """Return how sure a change at window ``k`` is, the window, and the change."""
    change = fmean(logs[k:]) - fmean(logs[:k])
    error = sd * math.sqrt(1 / k + 1 / (len(logs) - k))
    return (abs(change) / error if error > 0 else 0.0), k, change


def _logs(start: Start, metric: str) -> list[float]:
    values = [window.metrics.get(metric, 0.0) for window in start.windows if not window.void]
    return [math.log(value) for value in values if value > 0]
