"""Words of a shell line, as a shell splits them, where no shell is needed to know them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from trimtab.errors import UsageError

_NAME = re.compile(r"\$(?:\{(\w+)\}|([A-Za-z_]\w*))")
_SYNTAX = "`|;&<>()"
_CONTROL = "|;&<>"
_GLOBS = "*?"
_BRACES = re.compile(r"\{[^{}\s'\"]*(?:,|\.\.)[^{}\s'\"]*\}")


def split(line: str, where: str, variables: Mapping[str, str], home: str) -> list[str]:
    """Return the words of one line: quotes, escapes and comments are the shell's.

    ``variables`` are those that the same file sets to plain text; with ``home``, for ``~``, they
    are all that is expanded.

    Raises:
        UsageError: the line holds what only a shell can evaluate, or is not closed.
    """
    return _Splitter(line, where, variables, home).words()


@dataclass(slots=True)
class _Splitter:
    line: str
    where: str
    variables: Mapping[str, str]
    home: str
    at: int = 0
    found: list[str] = field(default_factory=list)
    word: str | None = None

    def words(self) -> list[str]:
        while self.at < len(self.line):
            letter = self.line[self.at]
            if letter == "#" and self.word is None:
                break
            if letter.isspace():
                self._end()
                self.at += 1
            elif letter == "'":
                self._single()
            elif letter == '"':
                self._double()
            else:
                self._add(self._bare(letter))
        self._end()
        return self.found

    def _add(self, text: str) -> None:
        self.word = (self.word or "") + text

    def _end(self) -> None:
        if self.word is not None:
            self.found.append(self.word)
        self.word = None

    def _single(self) -> None:
        end = self.line.find("'", self.at + 1)
        if end < 0:
            raise UsageError(f"{self.where} cannot be split into words: a ' is not closed")
        self._add(self.line[self.at + 1 : end])
        self.at = end + 1

    def _double(self) -> None:
        self._add("")
        self.at += 1
        while self.at < len(self.line):
            letter = self.line[self.at]
            if letter == '"':
                self.at += 1
                return
            if letter == "\\" and self.line[self.at + 1 : self.at + 2] in {*'$`"\\'}:
                self._add(self.line[self.at + 1])
                self.at += 2
            elif letter == "$":
                self._add(self._variable(quoted=True))
            elif letter == "`":
                raise self._refusal("`")
            else:
                self._add(letter)
                self.at += 1
        raise UsageError(f'{self.where} cannot be split into words: a " is not closed')

    def _bare(self, letter: str) -> str:
        """Return what stands at this place outside quotes, and go on behind it."""
        if letter == "\\":
            if not self.line[self.at + 1 :].strip():
                raise UsageError(
                    f"{self.where} ends with a backslash and a blank: remove the blank behind it"
                )
            self.at += 2
            return self.line[self.at - 1]
        if letter == "$":
            return self._variable(quoted=False)
        if letter in _SYNTAX or letter in _GLOBS:
            raise self._refusal(letter)
        if match := _BRACES.match(self.line, self.at):
            raise self._refusal(match[0])
        self.at += 1
        starts = self.word is None or self.word.endswith("=")
        if letter == "~" and starts:
            return self._home()
        return letter

    def _home(self) -> str:
        if self.at < len(self.line) and self.line[self.at] not in "/ \t":
            raise self._refusal("~" + self.line[self.at :].split()[0])
        return self.home

    def _variable(self, *, quoted: bool) -> str:
        match = _NAME.match(self.line, self.at)
        value = None if match is None else self.variables.get(match[1] or match[2])
        if match is None or value is None:
            raise self._refusal("$" if match is None else match[0])
        if not quoted and re.search(r"[\s*?\[]", value):
            raise UsageError(f"{self.where} splits {match[0]} into words: put it in double quotes")
        self.at = match.end()
        return value

    def _refusal(self, text: str) -> UsageError:
        todo = (
            "leave redirections, pipes and further commands out, because trimtab keeps the log"
            if text in _CONTROL
            else "write the command with its final values, or put it in single quotes"
        )
        return UsageError(f"{self.where} holds {text!r}, which only a shell can evaluate: {todo}")
