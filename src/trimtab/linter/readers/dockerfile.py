"""Dockerfiles: what the image's processes are given.

An instruction is a keyword at the start of a line with its continuations; what RUN and CMD
hold is read by the shell's grammar. (The tree-sitter grammar for Dockerfiles was tried, and loses
the rest of a file at an ``ENV NAME several words``.)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from trimtab.linter.readers import entry_point as entries
from trimtab.linter.readers.expansion import ExpandedText, Lookup
from trimtab.linter.readers.launch import ShellWord
from trimtab.linter.readers.shell import walk_text
from trimtab.linter.readers.shell_session import ShellSession
from trimtab.linter.readers.source import DocumentBuilder, SourceText
from trimtab.model.document import Container, Document, Notice, Oddity, Origin, Place, Setting

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
        text = lookup(match[1] or match[2])
        literal = literal and text is not None and text.literal
        return match[0] if text is None else text.value

    said = _NAMED.sub(value, text)
    literal = literal and "$" not in _NAMED.sub("", text)
    return ExpandedText(said.replace(_HIDDEN, "$"), literal)


_KEYWORD = re.compile(r"\s*([A-Za-z]+)(?=\s|$)")
_FLAG = re.compile(r"\s*--[a-z]+(?:=\S+)?")
_HEREDOC = re.compile(r"<<-?\s*[\"']?(\w+)[\"']?")
_COMMENT = re.compile(r"\s*#")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction; ``source`` holds its lines alone, the keyword and flags blanked."""

    keyword: str
    first: int
    last: int
    source: SourceText
    column: int

    @property
    def text(self) -> str:
        """Its text without the keyword, continuations joined."""
        lines = self.source.lines[self.first - 1 : self.last]
        return " ".join(line.strip().removesuffix("\\").strip() for line in lines).strip()


def instructions(source: SourceText) -> Iterator[Instruction]:
    """Yield the instructions of a Dockerfile."""
    lines, index = source.lines, 0
    while index < len(lines):
        match = _KEYWORD.match(lines[index])
        if match is None or _COMMENT.match(lines[index]):
            index += 1
            continue
        last = _end(lines, index)
        yield _instruction(source, match, index + 1, last)
        index = last


def _end(lines: tuple[str, ...], index: int) -> int:
    """Return the last line (from 1) of the instruction that begins at ``index`` (from 0)."""
    heredoc = _HEREDOC.search(lines[index])
    while index + 1 < len(lines) and (
        lines[index].rstrip().endswith("\\") or (index and _COMMENT.match(lines[index]))
    ):
        index += 1
        heredoc = heredoc or _HEREDOC.search(lines[index])
    if heredoc is not None:
        for after in range(index + 1, len(lines)):
            if lines[after].strip() == heredoc[1]:
                return after + 1
    return index + 1


def _instruction(source: SourceText, match: re.Match[str], first: int, last: int) -> Instruction:
    lines = source.text.split("\n")
    kept = [""] * (first - 1) + lines[first - 1 : last]
    line = kept[first - 1]
    at = match.end()
    while flag := _FLAG.match(line, at):
        at = flag.end()
    kept[first - 1] = " " * at + line[at:]
    fed = (number for number in range(first - 1, len(kept)) if _HEREDOC.search(kept[number]))
    for number in range(first, next(fed, len(kept))):
        if _COMMENT.match(kept[number]):  # a comment between continued lines is no end of them
            kept[number] = "\\"
    return Instruction(
        match[1].upper(), first, last, replace(source, text="\n".join(kept)), at + 1
    )


def read_dockerfile(source: SourceText) -> Document:
    """Return what a Dockerfile says; only its last stage is what runs."""
    scribe = DocumentBuilder()
    stage = _Stage(ShellSession(source, scribe, inside=True, origin=Origin.IMAGE))
    names: dict[str, _Stage] = {}
    for instruction in instructions(source):
        if instruction.keyword == "FROM":
            words = instruction.text.split()
            image = words[0] if words else ""
            base = names.get(image)
            place = source.place(instruction.first, instruction.column)
            container = base.session.container if base else Container(image, place=place)
            session = ShellSession(source, scribe, True, Origin.IMAGE, container=container)
            if base is not None:
                held = tuple(base.session.variables.exported().values())
                session.variables.give(held, used=True)  # the base stage has them, too
            elif container is not None:
                scribe.containers.append(container)
            stage = _Stage(session)
            if len(words) == 3 and words[1].lower() == "as":
                names[words[2]] = stage
        else:
            stage.follow(instruction)
    stage.finish()
    return scribe.document(source, "dockerfile")


_EMPTY = (["[]"], ["[", "]"])
"""An ENTRYPOINT that takes the entry point of the image away."""


@dataclass(slots=True)
class _Stage:
    """One build stage: its environment, and what its containers run."""

    session: ShellSession
    entrypoint: Instruction | None = None
    command: Instruction | None = None

    def follow(self, instruction: Instruction) -> None:
        """Follow one instruction."""
        if instruction.keyword == "ENV":
            self._env(instruction)
        elif instruction.keyword == "RUN":
            self._run(instruction)
        elif instruction.keyword in {"COPY", "ADD"}:
            self._copy(instruction)
        elif instruction.keyword == "ENTRYPOINT":
            self.entrypoint, self.command = instruction, None
        elif instruction.keyword == "CMD":
            self.command = instruction

    def _copy(self, instruction: Instruction) -> None:
        """Follow a file whose text stands in the instruction."""
        words = instruction.source.lines[instruction.first - 1].split()
        if len(words) == 2 and _HEREDOC.fullmatch(words[0]):
            self.session.scripts.put(
                words[1], instruction.source.only(instruction.first + 1, instruction.last - 1)
            )

    def _env(self, instruction: Instruction) -> None:
        words = instruction.text.split(maxsplit=1)
        if words and "=" not in words[0]:  # the old form: one name, and the rest is its value
            place = instruction.source.place(instruction.first, instruction.column)
            value = words[1] if len(words) > 1 else ""
            setting = Setting(words[0], value, place, Origin.IMAGE, "$" not in value)
            self.session.scribe.settings.append(setting)
            self.session.variables.give((setting,))
            return
        variables = self.session.variables
        for made in assignments(
            instruction.source, instruction.first, instruction.last, variables.lookup
        ):
            if not made.equals:
                said = f"docker build stops: {made.name!r} has no =, and others of this ENV do"
                setting = Setting(made.name, "", made.place, Origin.IMAGE)
                self.session.scribe.notices.append(Notice(Oddity.NOT_ASSIGNED, setting, said=said))
                continue
            variables.assign(
                made.name,
                made.value,
                place=made.place,
                name_place=made.name_place,
                value_place=made.value_place,
                exported=True,
                extends=made.extends,
                comment="",
            )

    def _run(self, instruction: Instruction) -> None:
        """Follow a RUN: a shell of its own, whose exports end with it."""
        before = self.session.variables.exported()
        commands = len(self.session.scribe.commands)
        launches = len(self.session.scribe.launches)
        with self.session.variables.subshell():
            outer, self.session.variables.origin = self.session.variables.origin, Origin.SHELL
            listed = exec_form(instruction)
            if listed is None:
                walk_text(self.session, _script(instruction))
            else:
                self.session.start(
                    listed, listed[0].place if listed else instruction.source.place(1)
                )
            self.session.variables.origin = outer
            after = self.session.variables.exported()
            used = self.session.variables.used()
        if len(self.session.scribe.launches) == launches:
            for name, setting in after.items():
                building = self.session.scribe.commands[commands:]
                served = any(
                    setting in command.env for command in building
                )  # it is for this RUN alone
                if before.get(name) != setting and name not in used and not served:
                    self.session.scribe.notice(Oddity.NEVER_READ, setting)

    def finish(self) -> None:
        """Follow what the image starts."""
        before = len(self.session.scribe.launches)
        entry = exec_form(self.entrypoint) if self.entrypoint else None
        rest = exec_form(self.command) if self.command else None
        emptied = self.entrypoint is not None and self.entrypoint.text.split() in _EMPTY
        typed = None if entry is not None or emptied else self.entrypoint  # docker drops CMD then
        if typed is None and (entry is not None or rest is not None):
            place = (entry or rest or [])[0].place
            container = self.session.container
            words, odd = entries.container_command(
                container.image if container else "",
                entry or (),
                rest or (),
                place,
                entered=self.entrypoint is not None,
            )
            self.session.scribe.notices += () if odd is None else (odd,)
            self.session.start(words, place)
        else:
            for instruction in (typed, self.command):
                if instruction is not None:
                    walk_text(self.session, instruction.source)
                    break
        if len(self.session.scribe.launches) == before and self.session.variables.exported():
            self.session.implied()


def _script(instruction: Instruction) -> SourceText:
    """Return what a RUN gives its shell: its text, or the lines of the heredoc that it is.

    One for another interpreter, by its first line, holds no shell.
    """
    head = instruction.source.lines[instruction.first - 1]
    match = _HEREDOC.match(head.strip())
    if match is None:
        return instruction.source
    body = instruction.source.only(instruction.first + 1, instruction.last - 1)
    begins = next((line for line in body.lines if line.strip()), "")
    other = begins.startswith("#!") and not re.search(r"\b(?:ba|da|z|k|a)?sh\b", begins)
    return instruction.source.only(0, 0) if other else body


def exec_form(instruction: Instruction) -> list[ShellWord] | None:
    """Return the words of a JSON list, ``None`` for the shell form; an empty list is none."""
    try:
        listed = json.loads(instruction.text)
    except ValueError:
        return None
    if not isinstance(listed, list) or not listed:
        return None
    found, line, column = [], instruction.first, 0
    for text in map(str, listed):
        place = instruction.source.place(instruction.first, instruction.column)
        for number in range(line, instruction.last + 1):
            start = column if number == line else 0
            at = instruction.source.lines[number - 1].find(
                json.dumps(text, ensure_ascii=False), start
            )
            if at >= 0:
                line, column = number, at + len(text) + 2
                place = instruction.source.place(number, at + 2, column)
                break
        found.append(ShellWord(text, place, "$" not in text))
    return found
