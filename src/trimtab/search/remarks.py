"""What a reader must know of how starts were measured: said beside every answer that uses them.

Starts whose speed changed while they were measured: flagged, never dropped.

A server that is warm and alone is equally fast from beginning to end. Where the mean of the later
parts of its windows differs from that of the earlier ones by more than their noise, something
changed meanwhile: a neighbour, a clock, a cache. The start stays in every estimate, since dropping
it by its result would be choosing the result.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Final

from trimtab import formatting
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


ENOUGH_FOR_P99: Final = 1000
"""Requests of a start from which on its p99 is a percentile and not nearly its largest value:
1,000 of them give it to some 10 % (AIPerf's sizing)."""

_SHOWN: Final = 3

_KINDS: Final = {
    "no-steady-state": "had not reached a steady state when measured, and {count} all the same",
    "over-saturated": "got more requests than the server can do, and {count} all the same: "
    "{their} latencies tell how long {they} watched; lower the rate",
    "prompts-left-out": "could not send all of the file's prompts",
}
"""What the marks of a start (`Start.marks`) mean, by kind."""

_ONE: Final = {"count": "counts", "their": "its", "they": "it was"}
_MANY: Final = {"count": "count", "their": "their", "they": "they were"}


def remarks(starts: Sequence[Start], metric: str, used: Iterable[str]) -> list[str]:
    """Return a sentence for each kind of trouble that starts had while they were measured.

    ``used`` are the metrics that anything is said about.
    """
    measured = [start for start in starts if start.valid]
    marked = (_marked(measured, kind, means) for kind, means in _KINDS.items())
    few = any(name.endswith("_p99") for name in used)
    return [
        *_shifted(measured, metric),
        *(one for one in marked if one),
        *(_coarse(measured) if few else ()),
    ]


def _shifted(starts: Sequence[Start], metric: str) -> list[str]:
    """Name the starts whose speed changed between their windows."""
    found = list(shifts(starts, metric))
    if not found:
        return []
    shown = [
        f"start {shift.start} by {formatting.percent(math.expm1(shift.change))} from window "
        f"{shift.since} on"
        for shift in found
    ]
    changed = formatting.count(len(found), "start")
    count = _words(len(found))["count"]
    return [f"{changed} changed speed while measured, and {count} all the same: {_first(shown)}"]


def _words(many: int) -> dict[str, str]:
    return _ONE if many == 1 else _MANY


def _marked(starts: Sequence[Start], kind: str, means: str) -> str:
    found = [
        f"start {start.number} {start.marks[kind]}" for start in starts if kind in start.marks
    ]
    said = means.format(**_words(len(found)))
    return f"{formatting.count(len(found), 'start')} {said}: {_first(found)}" if found else ""


def _coarse(starts: Sequence[Start]) -> list[str]:
    """Say that a p99 rests on too few requests."""
    counts = [
        sum(window.requests for window in start.windows if not window.void) for start in starts
    ]
    few = [count for count in counts if 0 < count < ENOUGH_FOR_P99]
    if not few:
        return []
    rests = (
        f"the p99 of {formatting.count(len(few), 'start')} rests on fewer than {ENOUGH_FOR_P99:,} "
        f"requests ({min(few):,} at least): it is nearly the largest value of so few"
    )
    return [rests]


def _first(shown: Sequence[str]) -> str:
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return "; ".join(shown[:_SHOWN]) + more
