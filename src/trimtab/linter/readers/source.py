"""A text, where things stand in it, and the document that a reader makes of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from trimtab.linter.serving_variables import is_serving_variable
from trimtab.model.document import (
    Command,
    Container,
    Document,
    Launch,
    Mention,
    Notice,
    Oddity,
    Place,
    Setting,
)

if TYPE_CHECKING:
    from tree_sitter import Node


_IGNORE = re.compile(r"trimtab:\s*(ignore(?:-file)?)(?:\[([^\]]*)\]|=([\w,-]+))?")


@dataclass(frozen=True)
class SourceText:
    """The text of one file. ``fixed``: everything stands at one place (text out of a scalar)."""

    file: str
    text: str
    fixed: Place | None = None

    @cached_property
    def data(self) -> bytes:
        """The text as the parsers take it."""
        return self.text.encode("utf-8", "surrogatepass")

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """The lines without their ends."""
        return tuple(line.rstrip("\r") for line in self.text.split("\n"))

    def place(self, line: int, column: int = 1, end_column: int = 0) -> Place:
        """Return a place by its line and columns, which count from 1."""
        if self.fixed is not None:
            return self.fixed
        text = self.lines[line - 1] if 0 < line <= len(self.lines) else ""
        return Place(self.file, line, column, end_column, text)

    def of_node(self, node: Node) -> Place:
        """Return the place of a syntax node; one of several lines ends with its first."""
        row, begin = node.start_point
        last, end = node.end_point
        line = self._bytes_of(row)
        column = len(line[:begin].decode("utf-8", "replace")) + 1
        stop = len(line[:end].decode("utf-8", "replace")) + 1 if last == row else 0
        return self.place(row + 1, column, stop)

    def _bytes_of(self, row: int) -> bytes:
        return self._byte_lines[row] if row < len(self._byte_lines) else b""

    @cached_property
    def _byte_lines(self) -> tuple[bytes, ...]:
        return tuple(self.data.split(b"\n"))

    def only(self, first: int, last: int) -> SourceText:
        """Return the same text with all but lines ``first`` to ``last`` blank: places stay."""
        kept = (
            line if first <= number <= last else ""
            for number, line in enumerate(self.text.split("\n"), 1)
        )
        return SourceText(self.file, "\n".join(kept), self.fixed)


def with_place(text: str, place: Place) -> SourceText:
    """Return a text of its own, all of which stands at one place."""
    return SourceText(place.file, text, fixed=replace(place, end_column=0))


def suppressions(source: SourceText) -> tuple[tuple[int, frozenset[str]], ...]:
    """Return the lines on which comments switch rules off.

    A comment counts for its own line, and where it stands alone also for the line below it;
    ``ignore-file`` counts for line 0, the whole file. Without names every rule is meant.
    """
    found = []
    for number, line in enumerate(source.lines, 1):
        match = _IGNORE.search(line)
        if match is None or not _is_comment(line[: match.start()]):
            continue
        names = frozenset(filter(None, re.split(r"[,\s]+", match[2] or match[3] or "")))
        if match[1] == "ignore-file":
            found.append((0, names or frozenset({"all"})))
            continue
        found.append((number, names or frozenset({"all"})))
        if re.fullmatch(r"\s*(?:#|<!--|//)\s*", line[: match.start()]):
            found.append((number + 1, names or frozenset({"all"})))
    return tuple(found)


def _is_comment(before: str) -> bool:
    return "#" in before or "<!--" in before


@dataclass(slots=True)
class DocumentBuilder:
    """Collects the parts of one document in the order of its text."""

    settings: list[Setting] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    host: list[Setting] = field(default_factory=list)
    launches: list[Launch] = field(default_factory=list)
    containers: list[Container] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    mentions: list[Mention] = field(default_factory=list)
    unread: list[tuple[Place, str]] = field(default_factory=list)
    env_files: list[str] = field(default_factory=list)

    def notice(self, oddity: Oddity, setting: Setting, other: Setting | None = None) -> None:
        """Note an oddity of a variable that is ours to speak of."""
        if is_serving_variable(setting.name):
            self.notices.append(Notice(oddity, setting, other))

    def lost(self, oddity: Oddity, settings: Iterable[Setting]) -> None:
        """Note the same oddity of several settings."""
        for setting in settings:
            self.notice(oddity, setting)

    def document(self, source: SourceText, kind: str) -> Document:
        """Return what was found."""
        return Document(
            file=source.file,
            kind=kind,
            text=source.text,
            settings=tuple(self.settings),
            commands=tuple(self.commands),
            host=tuple(self.host),
            launches=tuple(self.launches),
            containers=tuple(dict.fromkeys(self.containers)),
            notices=tuple(dict.fromkeys(self.notices)),
            mentions=tuple(self.mentions),
            suppressed=suppressions(source),
            unread=tuple(self.unread),
            env_files=tuple(dict.fromkeys(self.env_files)),
        )
