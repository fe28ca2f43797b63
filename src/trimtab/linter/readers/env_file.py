"""The file of ``docker run --env-file``, as docker's command line reads it: to the letter."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from trimtab.linter.readers.source import DocumentBuilder, SourceText
from trimtab.model.document import Document, Launch, Notice, Oddity, Origin, Setting

if TYPE_CHECKING:
    from trimtab.linter.readers.shell_session import ShellSession

_QUOTED: Final = re.compile(r"(['\"]).*\1(\s+#.*)?\s*")
_EXPANSION: Final = re.compile(r"\$(?:[A-Za-z_]\w*|\{[A-Za-z_]\w*[^}]*\}|\()")


def read_env_file(source: SourceText) -> Document:
    """Return what containers are given by the file."""
    scribe = DocumentBuilder()
    env = tuple(settings(scribe, source))
    scribe.settings += env
    scribe.launches.append(Launch((), env, inside=True, implied=True))
    return scribe.document(source, "env")


def file_variables(session: ShellSession, path: str, engine: str) -> dict[str, Setting]:
    """Return what a file gives that the text itself wrote; another one is named as unread."""
    text = session.scripts.take(path)
    if text is None:
        session.doubt(session.source, f"{path} is not read")
        if engine in {"docker", "nerdctl"}:
            session.scribe.env_files.append(path)
        return {}
    found = tuple(settings(session.scribe, text))
    session.scribe.settings += found
    return {setting.name: setting for setting in found}


def settings(scribe: DocumentBuilder, source: SourceText) -> Iterator[Setting]:
    """Yield the assignments of the file, and note what docker refuses or takes for the value."""
    for number, line in enumerate(source.lines, 1):
        text = line.removeprefix("\ufeff").lstrip()
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        begin = len(line) - len(text) + 1
        place = source.place(number, begin, len(line) + 1)
        setting = Setting(
            name, value, place, Origin.ENV_FILE,
            name_place=replace(place, end_column=begin + len(name)),
            value_place=replace(place, column=begin + len(name) + 1),
        )  # fmt: skip
        if not name or re.search(r"\s", name):
            said = f"docker refuses the file: {name!r} is no name of a variable"
            scribe.notices.append(Notice(Oddity.ENV_FILE_REFUSED, setting, said=said))
        elif equals:
            if said := _literal(name, value):
                scribe.notices.append(Notice(Oddity.QUOTES_KEPT, setting, said=said))
            yield setting


def _literal(name: str, value: str) -> str:
    """Return the sentence about syntax that docker takes for a part of a value, "" for none."""
    if _QUOTED.fullmatch(value):
        return f"docker keeps the quotes: the container gets them as a part of {name}"
    if _EXPANSION.search(value):
        return f"docker expands nothing in this file: the container gets {name} with its $"
    if re.search(r"\s#", value):
        return f"a comment stands alone on its line here: {name} gets what follows, # included"
    return ""
