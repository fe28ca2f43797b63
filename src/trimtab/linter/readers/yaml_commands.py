"""Commands of containers in YAML: their words, each where it stands, and what they start."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from trimtab.linter.readers import entry_point as entries
from trimtab.linter.readers import yaml_nodes as nodes
from trimtab.linter.readers.launch import ShellWord
from trimtab.linter.readers.shell_session import ShellSession
from trimtab.linter.readers.source import DocumentBuilder, SourceText
from trimtab.model.document import Container, Notice, Oddity, Origin, Place, Setting

if TYPE_CHECKING:
    from yaml import Node

_FARTHEST: Final = 50
"""Lines between two words of a command at most."""

_MOST_WORDS: Final = 2000
"""Words of the longest text whose lines are looked for; a longer one stands at its begin."""


def run(
    session: ShellSession,
    container: Container,
    entry: list[ShellWord],
    command: list[ShellWord],
    *,
    entered: bool,
    name: str,
) -> None:
    """Follow what a container starts; without a command of its own, whatever its image does.

    ``name`` is the service or container by which people know it.
    """
    place = container.place or session.source.place(1)
    found, odd = entries.container_command(container.image, entry, command, place, entered=entered)
    ignored = entries.ignored_arguments(found)
    session.scribe.notices += (notice for notice in (odd, ignored) if notice is not None)
    before = len(session.scribe.launches)
    session.start(found, found[0].place if found else place)
    launches = session.scribe.launches
    if len(launches) == before:
        session.implied()
    launches[before:] = [replace(launch, service=name) for launch in launches[before:]]


def words(source: SourceText, node: Node | None) -> list[ShellWord]:
    """Return a command, given as a list or as one string that is split like a shell would."""
    listed = nodes.items(node)
    if listed:
        return [nodes.word(source, node) for node in listed]
    text = nodes.scalar(node)
    if text is None or node is None:
        return []
    try:
        parts = shlex.split(text)
    except ValueError:
        return []
    return list(_placed(source, node, parts))


def _placed(source: SourceText, node: Node, parts: list[str]) -> list[ShellWord]:
    """Return words of a scalar, each with the place at which its text is found."""
    whole, found = nodes.place(source, node), []
    line, column = node.start_mark.line, node.start_mark.column
    for part in parts:
        at = whole
        hit = _find(source, part, (line, column), node.end_mark.line)
        script = _script(source, part, (line, column), node.end_mark.line)
        if script is not None:
            found.append(ShellWord(part, at, "$" not in part, script))
            continue
        if hit is not None:
            line, column = hit[0], hit[1] + len(part)
            at = source.place(line + 1, hit[1] + 1, column + 1)
        found.append(ShellWord(part, at, "$" not in part))
    return found


def _find(
    source: SourceText, part: str, begin: tuple[int, int], last: int
) -> tuple[int, int] | None:
    """Return line and column, from 0, of a word behind a place; as a whole word at first."""
    for line in range(begin[0], min(begin[0] + _FARTHEST, last + 1, len(source.lines))):
        text, at = source.lines[line], begin[1] if line == begin[0] else 0
        at = text.find(part, at) if part else -1
        while at >= 0:
            around = (text[at - 1 : at] or " ") + (text[at + len(part) :][:1] or " ")
            if all(sign.isspace() or sign in "'\"" for sign in around):
                return line, at
            at = text.find(part, at + 1)
    return None


def _script(source: SourceText, part: str, begin: tuple[int, int], last: int) -> SourceText | None:
    """Return the lines of a quoted text that YAML folds, as a shell's continued lines."""
    pieces = part.split()
    if not 2 <= len(pieces) <= _MOST_WORDS or last == begin[0]:
        return None
    lines = source.lines[begin[0] : last + 1]
    match = re.search(r"\s+".join(map(re.escape, pieces)), "\n".join(lines))
    if match is None or "\n" not in match[0] or re.search(r"(^|\s)#", part):
        return None
    first = begin[0] + "\n".join(lines)[: match.start()].count("\n")
    column = match.start() - ("\n".join(lines).rfind("\n", 0, match.start()) + 1)
    shown = match[0].split("\n")
    shown = [" " * column + shown[0], *shown[1:]]
    continued = [f"{line.rstrip()} \\" for line in shown[:-1]] + shown[-1:]
    return replace(source, text="\n".join(["" for _ in range(first)] + continued))


def comments(scribe: DocumentBuilder, source: SourceText, node: Node | None) -> None:
    """Note a ``#`` in folded text: it is no comment of YAML, nor does one of a shell end there."""
    for one in nodes.items(node) or ([] if node is None else [node]):
        text = nodes.scalar(one)
        if text is None or getattr(one, "style", None) != ">":
            continue
        listed = one is not node
        hit = _comment(source, one, text, listed=listed)
        if hit is not None:
            said = (
                "the text is folded into one line, so this # makes a comment of all that follows"
                if listed
                else "a folded text has no comments: the program gets # and the words behind it"
            )
            setting = Setting("command", "#", hit, Origin.CONTAINER)
            scribe.notices.append(Notice(Oddity.NO_SHELL, setting, said=said))


def _comment(source: SourceText, node: Node, text: str, *, listed: bool) -> Place | None:
    """Return the place of the first ``#`` that is no comment for the program, if there is one.

    Lines that are indented further keep their breaks. A shell gets them where the text is an item
    of a list, ``listed``, or where they stand in quotes.
    """
    for number in range(node.start_mark.line + 2, node.end_mark.line + 1):
        line = source.lines[number - 1] if number <= len(source.lines) else ""
        match = re.search(r"(?:^|\s)(#)(?:\s|$)", line)
        if match and not _kept(line, text, listed=listed):
            return source.place(number, match.start(1) + 1, len(line) + 1)
    return None


def _kept(line: str, text: str, *, listed: bool) -> bool:
    """Whether a shell gets a line of folded text as a line of its own."""
    begins = [one.strip() for one in text.split("\n")]
    if line.strip() not in begins:
        return False
    before = "\n".join(begins[: begins.index(line.strip())])
    return listed or before.count("'") % 2 == 1 or before.count('"') % 2 == 1
