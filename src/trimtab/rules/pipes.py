"""The rule about ``|`` in a value without quotes, which a shell takes for a pipe."""

from __future__ import annotations

import re
from collections.abc import Iterator

from trimtab.catalog import Rule
from trimtab.model.document import Document
from trimtab.model.finding import Hit, Problem, Severity
from trimtab.model.situation import Situation

_LIST = r"[\d,-]+(?::\d+)?"
_PIPED = re.compile(
    rf"(?P<name>[A-Z][A-Z0-9_]*)=(?P<value>{_LIST})\s*\|\s*(?P<rest>{_LIST})(?=[\s|;&]|$)"
)


def _piped(document: Document, situation: Situation) -> Iterator[Hit]:
    """Yield the lists of CPUs that a pipe cuts: no program's name is made of numbers."""
    if document.kind not in {"shell", "markdown"}:
        return
    seen = set()
    for one in (*document.settings, *(s for launch in document.launches for s in launch.env)):
        place = one.place
        match = _PIPED.match(place.text[place.column - 1 :]) if place is not None else None
        if match is None or match["name"] != one.name or (one.name, place) in seen:
            continue
        seen.add((one.name, place))
        yield Hit(
            one.name,
            f"the shell takes | for a pipe: {one.name} is {match['value']} alone, and "
            f"{match['rest']} is run as a command",
            f"quote the value: {one.name}='...'",
            place=place,
        )


PIPES: tuple[Rule, ...] = (
    Rule(
        id="value-piped",
        severity=Severity.WARNING,
        problem=Problem.WRONG_VALUE,
        summary="A shell takes | in a value without quotes for a pipe.",
        text=_piped,
    ),
)
