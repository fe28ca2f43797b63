"""Names that people give to tunings: an entry's own, or the variable or option that it sets.

The places of the host that tunings write, so that a journal can be held against them.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase

from trimtab.catalog.schema import Tuning
from trimtab.errors import UnknownTuningError
from trimtab.knobs import Interrupts, LoginLimit, ReadAhead, SwapAreas, Sysctl, Sysfs

_NEAR = 0.6
"""Similarity from which on a name is suggested (difflib's ratio): below it, a chance likeness."""

_CATALOG = "'trimtab catalog' lists all"


def require_known(
    catalog: Mapping[str, Tuning], patterns: Iterable[str], otherwise: str = _CATALOG
) -> None:
    """Make sure that every name or glob matches an entry; ``otherwise`` says where to find them.

    Raises:
        UnknownTuningError: one matches none; the message names the entries that set such a
            variable or option, else the nearest.
    """
    for pattern in patterns:
        if any(fnmatchcase(name, pattern) for name in catalog):
            continue
        near = setters(catalog, pattern) or difflib.get_close_matches(
            pattern.casefold(), catalog, n=3, cutoff=_NEAR
        )
        hint = f"did you mean {', '.join(near)}?" if near else otherwise
        raise UnknownTuningError(f"no tuning is called {pattern!r}: {hint}")


def setters(catalog: Mapping[str, Tuning], name: str) -> list[str]:
    """Return the entries that set a variable or an option, however its name is written."""
    word = _plain(name)
    return [
        tuning.name
        for tuning in catalog.values()
        if not tuning.dummy
        and word in {_plain(each) for each in (tuning.name, tuning.knob.setting, *_places(tuning))}
    ]


def _places(tuning: Tuning) -> Iterable[str]:
    return (each.strip("(),").partition("=")[0] for each in tuning.knob.place.split())


def _plain(name: str) -> str:
    return name.lstrip("-").replace("_", "-").casefold()


_ONE_NAME = "[^/]+"


def may_write(tunings: Iterable[Tuning], place: str) -> bool:
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
