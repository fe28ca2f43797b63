"""What a reader must know of how starts were measured: said beside every answer that uses them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

from trimtab import formatting
from trimtab.model import Start
from trimtab.search.shifts import shifts

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
        f"start {one.start} by {formatting.percent(math.expm1(one.change))} from window "
        f"{one.since} on"
        for one in found
    ]
    changed = formatting.count(len(found), "start")
    count = _words(len(found))["count"]
    return [f"{changed} changed speed while measured, and {count} all the same: {_first(shown)}"]


def _words(many: int) -> dict[str, str]:
    return _ONE if many == 1 else _MANY


def _marked(starts: Sequence[Start], kind: str, means: str) -> str:
    found = [f"start {one.number} {one.marks[kind]}" for one in starts if kind in one.marks]
    said = means.format(**_words(len(found)))
    return f"{formatting.count(len(found), 'start')} {said}: {_first(found)}" if found else ""


def _coarse(starts: Sequence[Start]) -> list[str]:
    """Say that a p99 rests on too few requests."""
    counts = [sum(one.requests for one in start.windows if not one.void) for start in starts]
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
