"""Suppression by comment: ``# trimtab: ignore[rule-id]`` on a line, or above it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trimtab import rules
from trimtab.model.document import Document, Place
from trimtab.model.finding import Finding, Problem, Severity
from trimtab.oracle import RULE as ORACLE

UNKNOWN = "unknown-suppression"


def split(
    document: Document, found: Sequence[Finding]
) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """Return the findings that stand, and those that a comment switches off."""
    off: dict[int, frozenset[str]] = {}
    for line, names in document.suppressed:
        off[line] = off.get(line, frozenset()) | names
    everywhere = off.get(0, frozenset())

    def silenced(one: Finding) -> bool:
        names = everywhere | (off.get(one.place.line, frozenset()) if one.place else frozenset())
        return bool(names & {"all", one.rule})

    stand = tuple(one for one in found if not silenced(one))
    return stand, tuple(one for one in found if silenced(one))


def unknown_rules(document: Document) -> Iterator[Finding]:
    """Yield a finding for each suppressed rule that does not exist: it silences nothing."""
    known = {*rules.all_rules(), UNKNOWN, ORACLE, "all"}
    lines = document.text.split("\n")
    for name in sorted({name for _, names in document.suppressed for name in names} - known):
        line = next((n for n, text in enumerate(lines, 1) if f"{name}" in text), 1)
        yield Finding(
            UNKNOWN,
            Severity.WARNING,
            Problem.NO_EFFECT,
            name,
            f"no rule is called {name}: the comment switches nothing off",
            "'trimtab catalog --rules' lists them",
            Place(document.file, line, text=lines[line - 1]),
        )
