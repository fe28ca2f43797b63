"""systemd units: the environment and the command of a service (systemd.exec(5))."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from trimtab.facts.text import parse_cpu_list
from trimtab.lint.readers.entry import shell_syntax
from trimtab.lint.readers.launch import Word, assignment
from trimtab.lint.readers.scribe import Scribe
from trimtab.lint.readers.session import Session
from trimtab.lint.readers.source import Source
from trimtab.model.script import Document, Origin, Place, Setting


@dataclass(frozen=True, slots=True)
class _Line:
    """One assignment of a unit; continuations are joined, the place is the first line's."""

    section: str
    key: str
    value: str
    place: Place


def read_systemd(source: Source) -> Document:
    """Return what a unit or drop-in says."""
    scribe = Scribe()
    session = Session(source, scribe, inside=False, origin=Origin.UNIT)
    lines = [one for one in _lines(source) if one.section == "Service"]
    affinity = None
    for one in lines:
        if one.key == "Environment":
            _environment(session, one)
        elif one.key == "EnvironmentFile":
            session.doubt(source, f"{one.value.lstrip('-')} is not read")
        elif one.key == "UnsetEnvironment":
            for name in one.value.split():
                session.variables.unset(name)
        elif one.key == "CPUAffinity":
            affinity = _cpus(one.value)
        elif one.key.startswith("Limit"):
            scribe.settings.append(Setting(one.key, one.value, one.place, Origin.UNIT))
    for one in lines:
        if one.key in {"ExecStartPre", "ExecStart"}:
            odd = shell_syntax(_words(one))
            scribe.notices += () if odd is None else (odd,)
            session.start(_bound(affinity, _words(one), one.place), one.place)
    session.finish()
    return scribe.document(source, "systemd")


def _lines(source: Source) -> Iterator[_Line]:
    section, index = "", 0
    while index < len(source.lines):
        line, first = source.lines[index], index + 1
        index += 1
        if not line.strip() or line.lstrip().startswith(("#", ";")):
            continue
        while line.endswith("\\") and index < len(source.lines):
            more = source.lines[index]
            index += 1
            if not more.lstrip().startswith(("#", ";")):
                line = f"{line[:-1]} {more}"
        header = re.fullmatch(r"\s*\[([^\]]+)\]\s*", line)
        if header:
            section = header[1]
            continue
        key, equals, value = line.partition("=")
        if equals:
            place = source.place(first, 1, len(source.lines[first - 1]) + 1)
            yield _Line(section, key.strip(), value.strip(), place)


def _environment(session: Session, line: _Line) -> None:
    if not line.value:  # an empty assignment resets the list (systemd.exec(5))
        for name in list(session.variables.exported()):
            session.variables.unset(name)
        return
    for part in _split(line.value):
        if "=" in part:
            setting = assignment(Word(part, line.place, "%" not in part), Origin.UNIT)
            session.scribe.settings.append(setting)
            session.variables.give((setting,))


def _words(line: _Line) -> list[Word]:
    parts = _split(line.value.lstrip("@-:+!|"))
    return [Word(part, line.place, "$" not in part and "%" not in part) for part in parts]


def _bound(affinity: str | None, words: list[Word], place: Place) -> list[Word]:
    """Show an affinity as what it is equal to: taskset."""
    if affinity is None or not words:
        return words
    return [*(Word(text, place) for text in ("taskset", "-c", affinity)), *words]


def _cpus(text: str) -> str | None:
    joined = ",".join(text.split())
    try:
        parse_cpu_list(joined)
    except ValueError:
        return None
    return joined or None


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()
