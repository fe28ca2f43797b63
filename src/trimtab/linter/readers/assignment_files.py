"""Files of plain assignments: ``.env`` files and sysctl's."""

from __future__ import annotations

import io
from dataclasses import replace

from trimtab.linter.readers import changes
from trimtab.linter.readers.shell_session import ShellSession
from trimtab.linter.readers.source import DocumentBuilder, SourceText
from trimtab.model.document import Document, Oddity, Origin, Setting


def read_env(source: SourceText) -> Document:
    """Return what a ``.env`` file says: what whoever reads it is given."""
    from dotenv.parser import parse_stream

    scribe = DocumentBuilder()
    session = ShellSession(source, scribe, origin=Origin.ENV_FILE)
    for binding in parse_stream(io.StringIO(source.text)):
        text = binding.original.string
        line = binding.original.line + len(text) - len(text.lstrip("\n"))
        line = min(line, len(source.lines))  # a lone carriage return ends a line there, not here
        if binding.error:
            scribe.unread.append((source.place(line), "this line is no assignment"))
            continue
        if binding.key is None:
            continue
        value = binding.value or ""
        raw = source.lines[line - 1]
        begin = raw.find(binding.key) + 1
        equals = raw.find("=", begin)
        place = source.place(line, begin, len(raw.rstrip()) + 1)
        setting = Setting(
            binding.key, value, place, Origin.ENV_FILE, "$" not in value,
            name_place=replace(place, end_column=begin + len(binding.key)),
            value_place=replace(place, column=equals + 2),
        )  # fmt: skip
        before = session.variables.exported().get(binding.key)
        if before is not None and before.value != value:
            scribe.notice(Oddity.OVERWRITTEN, before, setting)
        scribe.settings.append(setting)
        session.variables.give((setting,))
    session.finish()
    return scribe.document(source, "env")


def read_sysctl(source: SourceText) -> Document:
    """Return what a file of ``/etc/sysctl.d`` says."""
    scribe = DocumentBuilder()
    scribe.host += changes.sysctl_lines(source.text, source.place(1))
    ShellSession(source, scribe, inside=False).finish()
    return scribe.document(source, "sysctl")
