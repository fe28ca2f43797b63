"""The text of systemd units: lines, words (systemd.syntax(7)) and ``Environment=``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from trimtab.linter.readers.launch import ShellWord, assignment
from trimtab.linter.readers.shell_session import ShellSession
from trimtab.linter.readers.source import SourceText
from trimtab.model.document import Notice, Oddity, Origin, Place, Setting

_ESCAPES: Final = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "s": " ",
    "\\": "\\", '"': '"', "'": "'",
}  # fmt: skip
_NUMBERED: Final = re.compile(r"x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Piece:
    """One word of a line, quotes and escapes resolved; ``quoted``: it begins with a quote."""

    text: str
    place: Place
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class UnitLine:
    """One assignment of a unit; ``spots`` are line and column of each character of ``value``."""

    section: str
    key: str
    value: str
    place: Place
    spots: tuple[tuple[int, int], ...]
    source: SourceText

    def pieces(self) -> list[Piece]:
        """Return the words of the value.

        Raises:
            ValueError: a quote is not closed; systemd ignores such a line.
        """
        return list(self._pieces())

    def _pieces(self) -> Iterator[Piece]:
        text, index = self.value, 0
        while index < len(text):
            if text[index].isspace():
                index += 1
                continue
            start, said, quote = index, "", ""
            while index < len(text) and (quote or not text[index].isspace()):
                index, quote, more = _step(text, index, quote)
                said += more
            if quote:
                raise ValueError("a quote is not closed")
            yield Piece(said, self.at(start, index), text[start] in "'\"")

    def at(self, start: int, end: int) -> Place:
        """Return the place of a part of the value."""
        line, column = self.spots[start]
        last, stop = self.spots[end - 1]
        return self.source.place(line, column, stop + 1 if last == line else 0)


def _step(text: str, index: int, quote: str) -> tuple[int, str, str]:
    """Take one character: return the index behind it, the quote that is open, and its text."""
    sign = text[index]
    if sign == "\\" and index + 1 < len(text):
        number = _NUMBERED.match(text, index + 1)
        if number is not None:
            digits = number[1] or number[2]
            code = int(digits, 16) if digits else int(number[3], 8)
            return number.end(), quote, chr(code)
        follows = text[index + 1]
        return index + 2, quote, _ESCAPES.get(follows, f"\\{follows}")
    if sign == quote:
        return index + 1, "", ""
    if sign in "'\"" and not quote:
        return index + 1, sign, ""
    return index + 1, quote, sign


def lines(source: SourceText) -> Iterator[UnitLine]:
    """Yield the assignments of a unit; a continued line is one, comments in it are left out."""
    section, index = "", 0
    while index < len(source.lines):
        first = index
        text, spots = source.lines[index], _spots(source, index)
        index += 1
        if _is_comment(text):
            continue
        parts = [text]
        while parts[-1].endswith("\\") and index < len(source.lines):
            if not source.lines[index].lstrip().startswith(("#", ";")):
                parts[-1] = f"{parts[-1][:-1]} "
                parts.append(source.lines[index])
                spots += _spots(source, index)
            index += 1
        text = "".join(parts)
        header = re.fullmatch(r"\s*\[([^\]]+)\]\s*", text)
        if header:
            section = header[1]
            continue
        match = re.fullmatch(r"\s*([^=\s]+)\s*=\s*(.*?)\s*\\?", text, re.DOTALL)
        if match:
            begin, end = match.span(2)
            at = source.place(first + 1, 1, len(source.lines[first]) + 1)
            yield UnitLine(section, match[1], match[2], at, tuple(spots[begin:end]), source)


def _is_comment(text: str) -> bool:
    return not text.strip() or text.lstrip().startswith(("#", ";"))


def _spots(source: SourceText, index: int) -> list[tuple[int, int]]:
    return [(index + 1, column) for column in range(1, len(source.lines[index]) + 1)]


_NAME: Final = r"[A-Za-z_]\w*"


def assignments(session: ShellSession, line: UnitLine, origin: Origin) -> Iterator[Setting]:
    """Yield the settings of ``Environment=``, and note what systemd drops or does not expand."""
    noted = False
    for piece in pieces(session, line):
        if not re.match(rf"{_NAME}=", piece.text):
            if not noted:
                said = f"systemd drops {piece.text!r}: blanks part the assignments of Environment="
                dropped = Setting(piece.text, "", piece.place, origin)
                session.scribe.notices.append(Notice(Oddity.NOT_ASSIGNED, dropped, said=said))
            noted = True
            continue
        literal = "%" not in piece.text.replace("%%", "")
        setting = assignment(
            ShellWord(piece.text.replace("%%", "%"), piece.place, literal), origin
        )
        if piece.quoted and setting.name_place is not None:
            column = piece.place.column + 1
            at = replace(piece.place, column=column, end_column=column + len(setting.name))
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
