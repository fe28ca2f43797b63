"""``Environment=`` of units and Quadlet files (systemd.exec(5)): nothing in it is expanded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from trimtab.linter.readers.launch import ShellWord, assignment
from trimtab.linter.readers.shell_session import ShellSession
from trimtab.linter.readers.unit_text import Piece, UnitLine
from trimtab.model.document import Notice, Oddity, Origin, Setting

_NAME: Final = r"[A-Za-z_]\w*"


def assignments(session: ShellSession, line: UnitLine, origin: Origin) -> Iterator[Setting]:
    """Yield the settings of ``Environment=``, and note what systemd drops or does not expand."""
    noted = False
    for one in pieces(session, line):
        if not re.match(rf"{_NAME}=", one.text):
            if not noted:
                said = f"systemd drops {one.text!r}: blanks part the assignments of Environment="
                dropped = Setting(one.text, "", one.place, origin)
                session.scribe.notices.append(Notice(Oddity.NOT_ASSIGNED, dropped, said=said))
            noted = True
            continue
        literal = "%" not in one.text.replace("%%", "")
        setting = assignment(ShellWord(one.text.replace("%%", "%"), one.place, literal), origin)
        if one.quoted and setting.name_place is not None:
            column = one.place.column + 1
            at = replace(one.place, column=column, end_column=column + len(setting.name))
            setting = replace(setting, name_place=at)
        if re.search(rf"\$(?:{setting.name}\b|\{{{_NAME}\}})", setting.value):
            said = f"systemd expands nothing in Environment=: {setting.name} gets these letters"
            session.scribe.notices.append(Notice(Oddity.NO_EXPANSION, setting, said=said))
        yield setting


def pieces(session: ShellSession, line: UnitLine) -> list[Piece]:
    """Return the words of a line, none where it is not read; a note says so."""
    try:
        return line.pieces()
    except ValueError as error:
        session.doubt(line.source, f"this {line.key}= is ignored: {error}", line.place)
        return []
