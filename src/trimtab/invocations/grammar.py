"""How the command lines of a family of engines are built. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

_PYTHON = re.compile(r"python(?:\d(?:\.\d+)?)?")
_VALUED_FLAGS = frozenset({"-W", "-X"})
"""Options of Python itself that take the next word."""

_OPTION = re.compile(r"--[A-Za-z]|-[A-Za-z]")

CommandForm: TypeAlias = Literal["command", "module", "script"]
"""A family's own program, ``python -m MODULE``, or a Python file."""

Nargs: TypeAlias = Literal["0", "?", "1", "+"]
"""How many words an option takes: none, at most one, one, or all up to the next option."""


@dataclass(frozen=True, slots=True)
class ProgramMatch:
    """The words of a program: the position of the first, and of the one behind the last."""

    begin: int
    end: int
    form: CommandForm


@dataclass(frozen=True, slots=True, eq=False)
class CommandGrammar:
    """What starts a server of a family, and how its options are written.

    Each equals only itself.
    """

    programs: tuple[str, ...]
    """Names of its command."""
    subcommand: str = ""
    """The word behind the program that makes it serve; "" if it always does."""
    modules: str = ""
    """A pattern of the modules that ``python -m`` serves with."""
    main_modules: str = ""
    """A pattern of the modules that are the command itself: the subcommand stands behind them."""
    scripts: tuple[str, ...] = ()
    """Endings of the Python files that serve, with the subcommand behind them or without."""
    model_option: str = "--model"
    """The option that names the model where no word stands behind the subcommand."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Short option → long one."""
    attached: tuple[str, ...] = ()
    """Short options whose value may stand in the same word: ``-O3``."""
    nargs: Mapping[str, Nargs] = field(default_factory=dict)
    """Long option → how many words it takes. One that is not here takes all up to the next."""
    flags: frozenset[str] = frozenset()
    """Long options that take no word and have no opposite ``--no-``."""

    @property
    def begin(self) -> str:
        """A pattern of how a command that serves begins: its program and subcommand."""
        programs = "|".join(map(re.escape, self.programs))
        words = [f"(?:{programs})", *([re.escape(self.subcommand)] if self.subcommand else ())]
        return r"\s+".join(words)

    def serves(self, words: Sequence[str]) -> bool:
        """Whether these words, wrappers taken off, start a server."""
        return self.match(words, 0) is not None

    def find(self, words: Sequence[str]) -> ProgramMatch | None:
        """Return the first program that serves, whatever stands before it."""
        matches = (self.match(words, index) for index in range(len(words)))
        return next((match for match in matches if match is not None), None)

    def match(self, words: Sequence[str], begin: int) -> ProgramMatch | None:
        """Return the program that serves and begins at this word, if one does."""
        if begin >= len(words):
            return None
        name = words[begin].rpartition("/")[2]
        if name in self.programs:
            end = self._behind_subcommand(words, begin + 1)
            return None if end is None else ProgramMatch(begin, end, "command")
        if not is_interpreter(name):
            script = self._is_script(words[begin])
            return ProgramMatch(begin, begin + 1, "script") if script else None
        return self._behind_python(words, begin)

    def _behind_python(self, words: Sequence[str], begin: int) -> ProgramMatch | None:
        """Return the module or script that an interpreter runs, if it serves."""
        at = begin + 1
        while at < len(words) and words[at].startswith("-") and words[at] != "-m":
            at += 2 if words[at] in _VALUED_FLAGS else 1
        if at >= len(words):
            return None
        if words[at] != "-m":
            if not self._is_script(words[at]):
                return None
            behind = self._behind_subcommand(words, at + 1)
            return ProgramMatch(begin, behind or at + 1, "script")
        module = words[at + 1] if at + 1 < len(words) else ""
        if self.main_modules and re.fullmatch(self.main_modules, module):
            end = self._behind_subcommand(words, at + 2)
            return None if end is None else ProgramMatch(begin, end, "module")
        serves = bool(self.modules and re.fullmatch(self.modules, module))
        return ProgramMatch(begin, at + 2, "module") if serves else None

    def _behind_subcommand(self, words: Sequence[str], at: int) -> int | None:
        if not self.subcommand:
            return at
        return at + 1 if list(words[at : at + 1]) == [self.subcommand] else None

    def _is_script(self, word: str) -> bool:
        return bool(self.scripts) and word.endswith(self.scripts)

    def command_of(self, cmdline: Sequence[str]) -> tuple[str, ...]:
        """Return a process's command without the interpreter in front of its program.

        Words that do not start a server so are returned as they are.
        """
        for index, word in enumerate(cmdline[:6]):
            match = self.match(cmdline, index)
            if match is not None and match.form == "command":
                return (word.rpartition("/")[2], *cmdline[index + 1 :])
        return tuple(cmdline)

    def option_name(self, spelling: str) -> str:
        """Return the long name of an option as it is written, without its value.

        Underscores are dashes, but for the keys behind a dot: ``-cc.use_inductor`` is
        ``--compilation-config.use_inductor``.
        """
        head, dot, key = spelling.partition(".")
        head = self.aliases.get(head, head)
        return head.replace("_", "-") + dot + key

    def words_taken(self, name: str) -> Nargs | None:
        """Return how many words the option of this long name takes; ``None``: not known."""
        if "." in name:
            return "1"
        if name in self.nargs:
            return self.nargs[name]
        positive = f"--{name.removeprefix('--no-')}"
        negates = name.startswith("--no-") and self.nargs.get(positive) in ("0", "?")
        return "0" if negates else None

    def can_be_negated(self, name: str) -> bool:
        """Whether an option is a switch, so that ``--no-`` before its name means the opposite."""
        return self.nargs.get(name) == "0" and name not in self.flags


def is_interpreter(name: str) -> bool:
    """Whether a program of this name, without its folder, is an interpreter of Python."""
    return _PYTHON.fullmatch(name) is not None


def is_option(word: str) -> bool:
    """Whether a word begins an option, and is neither a value nor a negative number."""
    return _OPTION.match(word) is not None
