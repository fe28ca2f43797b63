"""Mechanical fixes: the edits that findings ask for, applied to a text."""

from __future__ import annotations

import difflib
import json
import os
import shlex
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from trimtab.errors import UsageError
from trimtab.masking import masked
from trimtab.model.finding import Action, Finding
from trimtab.model.script import Document, Place, Setting

_ALONE = frozenset({"", "export", "declare -x", "ENV", "-"})
"""What may stand before an assignment for its line to hold nothing else."""


@dataclass(frozen=True, slots=True)
class Edit:
    """Columns ``begin`` to ``end`` (from 0) of a line (from 1) become ``text``.

    A ``text`` of ``None`` takes the whole line away.
    """

    line: int
    begin: int
    end: int
    text: str | None


def edits(document: Document, findings: Iterable[Finding]) -> tuple[Edit, ...]:
    """Return the edits of the findings that can be mended mechanically, none overlapping."""
    wanted = sorted(
        {edit for one in findings if (edit := _edit(document, one)) is not None},
        key=lambda edit: (edit.line, edit.text is not None, edit.begin),
    )
    kept: list[Edit] = []
    for one in wanted:
        last = kept[-1] if kept else None
        clear = last is None or last.line < one.line
        if clear or (last is not None and last.text is not None and last.end < one.begin):
            kept.append(one)
    return tuple(kept)


def _edit(document: Document, finding: Finding) -> Edit | None:
    remedy, made = finding.remedy, _setting(document, finding)
    if remedy is None or finding.place is None:
        return None
    if remedy.action is Action.REPLACE:
        return _span(finding.place, remedy.text)
    if made is None:
        return None
    if remedy.action is Action.REMOVE:
        return _line(document, made.place)
    if remedy.action is Action.RENAME:
        return _span(made.name_place, remedy.text)
    if remedy.action is Action.SET_VALUE:
        return _span(made.value_place, _quoted(document.kind, remedy.text))
    place = made.name_place
    shell = document.kind in {"shell", "markdown"} and place is not None
    return (
        Edit(place.line, place.column - 1, place.column - 1, "export ")
        if shell and place
        else None
    )


def _setting(document: Document, finding: Finding) -> Setting | None:
    options = (one for launch in document.launches for one in launch.options)
    for one in (*document.settings, *options):
        if one.name == finding.setting and one.place == finding.place:
            return one
    return None


def _span(place: Place | None, text: str) -> Edit | None:
    """Return the edit of a place of which the columns are known."""
    if place is None or not place.text or place.end_column <= place.column:
        return None
    return Edit(place.line, place.column - 1, place.end_column - 1, text)


def _line(document: Document, place: Place | None) -> Edit | None:
    """Return the edit that takes a line away, if it holds nothing but the assignment.

    A line that goes on the one before stays: taking it away would join that to what follows.
    """
    if place is None or not place.text or not place.end_column:
        return None
    above = document.text.split("\n")[place.line - 2] if place.line > 1 else ""
    if above.rstrip().endswith("\\"):
        return None
    before = place.text[: place.column - 1].strip()
    after = place.text[place.end_column - 1 :].strip()
    if before in _ALONE and (not after or after.startswith("#")):
        return Edit(place.line, 0, len(place.text), None)
    return None


def _quoted(kind: str, text: str) -> str:
    return json.dumps(text) if kind in {"compose", "kubernetes"} else shlex.quote(text)


def apply(text: str, changes: Iterable[Edit]) -> str:
    """Return a text with edits made; line ends stay as they are."""
    lines = text.split("\n")
    gone: set[int] = set()
    for one in sorted(changes, key=lambda edit: (edit.line, edit.begin), reverse=True):
        if one.text is None:
            gone.add(one.line)
            continue
        line = lines[one.line - 1]
        lines[one.line - 1] = line[: one.begin] + one.text + line[one.end :]
    return "\n".join(line for number, line in enumerate(lines, 1) if number not in gone)


def diff(name: str, before: str, after: str) -> Iterator[str]:
    """Yield a unified diff, line by line, without the secrets in it."""
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), name, f"{name} (fixed)", lineterm=""
    )
    yield from map(masked, lines)


def write(path: Path, before: str, after: str) -> None:
    """Replace a file's text atomically, keeping its mode.

    Raises:
        UsageError: the file is not what was read any more.
    """
    now = path.read_bytes()
    encoding = "utf-8" if now == before.encode(errors="replace") else "latin-1"
    if now != before.encode(encoding, "replace"):
        raise UsageError(f"{path} was changed meanwhile: nothing is written; run lint again")
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(after.encode(encoding))
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, path.stat().st_mode & 0o7777)  # noqa: PTH101  a name, no path, is at hand
        os.replace(name, path)  # noqa: PTH105
    except BaseException:
        os.unlink(name)  # noqa: PTH108
        raise
