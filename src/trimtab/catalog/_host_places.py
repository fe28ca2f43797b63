"""The places of the host that tunings write, so that a journal can be held against them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from trimtab.catalog._tuning import Tuning
from trimtab.knobs import Interrupts, LoginLimit, ReadAhead, SwapAreas, Sysctl, Sysfs

_ONE_NAME = "[^/]+"


def written_by(tunings: Iterable[Tuning], place: str) -> bool:
    """Whether one of the tunings may write a place, on some host."""
    return any(re.fullmatch(pattern, place) for pattern in _patterns(tunings))


def _patterns(tunings: Iterable[Tuning]) -> Iterator[str]:
    for tuning in tunings:
        match tuning.knob:
            case Sysctl() as knob:
                yield re.escape(knob.path)
            case Sysfs() | Interrupts() | ReadAhead() as knob:
                yield re.escape(knob.place).replace(r"\*", _ONE_NAME)
            case SwapAreas():
                yield "swap:.+"
            case LoginLimit() as knob:
                yield re.escape(f"limits:{knob.name}")
