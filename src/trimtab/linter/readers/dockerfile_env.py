"""``ENV`` of Dockerfiles, as docker's builder reads it: quotes and ``$NAME``, and no shell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from trimtab.linter.readers.expansion import ExpandedText, Lookup
from trimtab.linter.readers.source import SourceText
from trimtab.model.document import Place

_NAMED: Final = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\})")
_HIDDEN: Final = "\x00"
"""Stands for a $ that is none: escaped, or between single quotes."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """One word of the instruction; ``equals``: it is ``NAME=value``."""

    name: str
    value: ExpandedText
    place: Place
    name_place: Place
    value_place: Place
    equals: bool
    extends: bool


def assignments(source: SourceText, first: int, last: int, lookup: Lookup) -> Iterator[Assignment]:
    """Yield the words of the lines ``first`` to ``last``, keyword blanked, with their values."""
    signs = [*_signs(source, first, last)]
    index = 0
    while index < len(signs):
        if signs[index][0].isspace():
            index += 1
            continue
        start, quote = index, ""
        while index < len(signs) and (quote or not signs[index][0].isspace()):
            sign = signs[index][0]
            if sign == "\\" and quote != "'":
                index += 1
            elif sign in "'\"" and quote in {"", sign}:
                quote = "" if quote else sign
            index += 1
        yield _assignment(source, signs[start:index], lookup)


def _signs(source: SourceText, first: int, last: int) -> Iterator[tuple[str, int, int]]:
    """Yield characters with line and column; a continuation joins its lines."""
    for number in range(first, last + 1):
        line = source.lines[number - 1]
        if number > first and line.lstrip().startswith("#"):
            continue
        text = line.rstrip()
        goes_on = text.endswith("\\")
        for column, sign in enumerate(text[:-1] if goes_on else text, 1):
            yield sign, number, column
        if not goes_on:
            yield " ", number, len(text) + 1


def _assignment(
    source: SourceText, signs: list[tuple[str, int, int]], lookup: Lookup
) -> Assignment:
    written = "".join(sign for sign, _, _ in signs)
    name, equals, raw = written.partition("=")
    (_, line, column), (_, last, end) = signs[0], signs[-1]
    place = source.place(line, column, end + 1 if last == line else 0)
    bare = name.strip("'\"")
    value = _expanded(_unquoted(raw), lookup)
    extends = bool(re.search(rf"\$\{{?{re.escape(bare)}\b", raw))
    behind = column + len(name) + len(equals)
    return Assignment(
        bare,
        value,
        place,
        replace(place, end_column=column + len(name)),
        replace(place, column=behind),
        bool(equals),
        extends,
    )


def _unquoted(raw: str) -> str:
    """Return a value without its quotes and escapes."""
    found, quote, index = "", "", 0
    while index < len(raw):
        sign = raw[index]
        if sign == "\\" and quote != "'" and index + 1 < len(raw):
            index += 1
            follows = raw[index]
            kept = quote and follows not in '"\\$'
            found += _HIDDEN if follows == "$" else f"\\{follows}" if kept else follows
        elif sign in "'\"" and quote in {"", sign}:
            quote = "" if quote else sign
        else:
            found += _HIDDEN if sign == "$" and quote == "'" else sign
        index += 1
    return found


def _expanded(text: str, lookup: Lookup) -> ExpandedText:
    literal = True

    def value(match: re.Match[str]) -> str:
        nonlocal literal
        found = lookup(match[1] or match[2])
        literal = literal and found is not None and found.literal
        return match[0] if found is None else found.value

    said = _NAMED.sub(value, text)
    literal = literal and "$" not in _NAMED.sub("", text)
    return ExpandedText(said.replace(_HIDDEN, "$"), literal)
