"""How the command lines of a family of engines are built. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_PYTHON = re.compile(r"python(?:\d(?:\.\d+)?)?")


@dataclass(frozen=True, slots=True)
class CommandGrammar:
    """What starts a server of a family.

    ``programs`` are the names of its command, and ``subcommand`` the word behind them that makes
    it serve, "" if they always do. ``modules`` is a pattern of the modules that ``python -m``
    serves with, ``scripts`` are the endings of the Python files that serve. The model is the
    first argument, or the value of ``model_option``. ``aliases`` are short option → long one.
    """

    programs: tuple[str, ...]
    subcommand: str = ""
    modules: str = ""
    scripts: tuple[str, ...] = ()
    model_option: str = "--model"
    aliases: Mapping[str, str] = field(default_factory=dict)

    @property
    def begin(self) -> str:
        """A pattern of how a command that serves begins: its program and subcommand."""
        programs = "|".join(map(re.escape, self.programs))
        words = [f"(?:{programs})", *([re.escape(self.subcommand)] if self.subcommand else ())]
        return r"\s+".join(words)

    def serves(self, words: Sequence[str]) -> bool:
        """Whether these words, wrappers taken off, start a server."""
        if not words:
            return False
        name = words[0].rpartition("/")[2]
        if name in self.programs:
            return not self.subcommand or list(words[1:2]) == [self.subcommand]
        if _PYTHON.fullmatch(name) and "-m" in words[:-1]:
            module = words[list(words).index("-m") + 1]
            return bool(self.modules and re.fullmatch(self.modules, module))
        return bool(self.scripts) and any(word.endswith(self.scripts) for word in words[:2])

    def command_of(self, cmdline: Sequence[str]) -> tuple[str, ...]:
        """Return a process's command without the interpreter in front of its program.

        Words that do not start a server so are returned as they are.
        """
        for index, word in enumerate(cmdline[:6]):
            name, rest = word.rpartition("/")[2], cmdline[index + 1 :]
            if name in self.programs and (not self.subcommand or rest[:1] == (self.subcommand,)):
                return (name, *rest)
        return tuple(cmdline)
