"""A command that starts a server: program, model, options and endpoint, read from its words. Pure.

Words are text. A reader that knows where a word stands finds its place by the word's index.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from trimtab.invocations.grammar import CommandForm, CommandGrammar, ProgramMatch, is_option

_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_BOOLEANS = frozenset({"true", "false", "yes", "no", "on", "off", "1", "0", "none"})
_TLS = ("--ssl-keyfile", "--ssl-certfile")
_END_OF_OPTIONS = "--"


@dataclass(frozen=True, slots=True, repr=False)
class GivenOption:
    """One option of a command. Its values may be secrets, so its ``repr`` does not have them."""

    name: str
    """Long name with dashes; keys behind a dot as they are written."""
    spelling: str
    """The name as it is written."""
    values: tuple[str, ...]
    """The words that belong to it."""
    index: int
    """Position of its word in the command."""
    joint: str = ""
    """What stands between the name and the value in one word: "=", or "" for two words."""
    attached: bool = False
    """Whether the value follows the name in one word, with nothing between: ``-O3``."""

    @property
    def value(self) -> str:
        """The first value, "" without one."""
        return self.values[0] if self.values else ""

    @property
    def value_index(self) -> int:
        """Position of the word that holds the first value."""
        return self.index + (1 if self.values and not (self.joint or self.attached) else 0)

    @property
    def words(self) -> tuple[str, ...]:
        """The option as it is written."""
        if not self.joint and not self.attached:
            return (self.spelling, *self.values)
        return (f"{self.spelling}{self.joint}{self.value}", *self.values[1:])

    def __repr__(self) -> str:
        """Return the name, the position and how many values there are."""
        return f"GivenOption({self.name}, index={self.index}, {len(self.values)} values)"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server listens, as far as its command tells; "" where it does not.

    ``api_keys`` is the number of keys, never the keys.
    """

    host: str = ""
    port: str = ""
    uds: str = ""
    tls: bool = False
    root_path: str = ""
    served_names: tuple[str, ...] = ()
    api_keys: int = 0


@dataclass(frozen=True, slots=True, repr=False)
class Invocation:
    """A command that starts a server of a family."""

    wrappers: tuple[str, ...]
    """The words before the program: assignments, ``env``, ``numactl`` and the like."""
    program: tuple[str, ...]
    """The words that start the server: ``vllm serve``, or ``python -m MODULE``."""
    form: CommandForm
    """What kind of program that is."""
    grammar: CommandGrammar = field(compare=False)
    """How it was read."""
    options: tuple[GivenOption, ...] = ()
    """The options in the order in which they are written; of equal ones the last counts."""
    positionals: tuple[tuple[int, str], ...] = ()
    """(position in the command, word) of each word that belongs to no option."""
    end_of_options: int | None = None
    """Position of the word ``--``, behind which no option is."""

    @property
    def words(self) -> tuple[str, ...]:
        """The whole command as it is written."""
        parts = [(option.index, option.words) for option in self.options]
        parts += [(index, (word,)) for index, word in self.positionals]
        if self.end_of_options is not None:
            parts.append((self.end_of_options, (_END_OF_OPTIONS,)))
        arguments = (word for _, words in sorted(parts) for word in words)
        return (*self.wrappers, *self.program, *arguments)

    @property
    def program_alone(self) -> tuple[str, ...]:
        """The words of the program without its subcommand; none where it has no subcommand."""
        return self.program[:-1] if self.program[-1:] == (self.grammar.subcommand,) else ()

    @property
    def arguments(self) -> tuple[str, ...]:
        """The words behind the program."""
        return self.words[self.begin :]

    @property
    def begin(self) -> int:
        """Position of the first word behind the program."""
        return len(self.wrappers) + len(self.program)

    @property
    def environment(self) -> tuple[tuple[str, str], ...]:
        """The variables that words before the program set, in their order."""
        matches = map(_ASSIGNMENT.fullmatch, self.wrappers)
        return tuple((match[1], match[2]) for match in matches if match is not None)

    @property
    def model(self) -> str | None:
        """The model: a word right behind the program, else the option's, else any word."""
        named = self.value(self.grammar.model_option) or None
        for index, word in self.positionals[:1]:
            return word if index == self.begin or named is None else named
        return named

    @property
    def headless(self) -> bool:
        """Whether the server has no API."""
        return bool(self.enabled("--headless"))

    @property
    def endpoint(self) -> Endpoint:
        """Where the server listens."""
        names = self.option("--served-model-name")
        keys = self.option("--api-key")
        return Endpoint(
            host=self.value("--host") or "",
            port=self.value("--port") or "",
            uds=self.value("--uds") or "",
            tls=any(self.option(name) is not None for name in _TLS),
            root_path=self.value("--root-path") or "",
            served_names=() if names is None else names.values,
            api_keys=0 if keys is None else len(keys.values),
        )

    def option(self, name: str) -> GivenOption | None:
        """Return the option of a long name that counts: the last one; ``None`` without."""
        return next((option for option in reversed(self.options) if option.name == name), None)

    def value(self, name: str) -> str | None:
        """Return the text of an option, "" if it has none; ``None`` if it is not given."""
        option = self.option(name)
        return None if option is None else option.value

    def enabled(self, name: str) -> bool | None:
        """Return what a switch says, ``--no-`` included; ``None`` if it is not given."""
        negative = f"--no-{name.removeprefix('--')}"
        given = [option for option in self.options if option.name in {name, negative}]
        return None if not given else given[-1].name == name

    def __repr__(self) -> str:
        """Return its parts without the values of options, which may be secrets."""
        program = " ".join(self.program)
        return f"Invocation({program!r}, model={self.model!r}, options={self.options!r})"


def parse(words: Sequence[str], grammar: CommandGrammar) -> Invocation | None:
    """Return what a command says; ``None`` if it starts no server of this grammar.

    Whatever stands before the program is kept as it is: the caller judges it.
    """
    match = grammar.find(words)
    return None if match is None else _read(words, match, grammar)


def parse_options(words: Sequence[str], grammar: CommandGrammar) -> Invocation:
    """Return the options among the words of a program that the grammar does not know."""
    return _read(words, ProgramMatch(0, 0, "command"), grammar)


def _read(words: Sequence[str], match: ProgramMatch, grammar: CommandGrammar) -> Invocation:
    reader = _Reader(tuple(words), grammar, match.end)
    options = tuple(reader.options())
    return Invocation(
        wrappers=tuple(words[: match.begin]),
        program=tuple(words[match.begin : match.end]),
        form=match.form,
        grammar=grammar,
        options=options,
        positionals=tuple(reader.positionals),
        end_of_options=reader.end_of_options,
    )


class _Reader:
    """One pass over the words behind a program."""

    def __init__(self, words: tuple[str, ...], grammar: CommandGrammar, begin: int) -> None:
        self.words, self.grammar, self.at = words, grammar, begin
        self.positionals: list[tuple[int, str]] = []
        self.end_of_options: int | None = None
        self.names_model = self._names_model(begin)

    def _names_model(self, begin: int) -> bool:
        """Whether the model is named where nothing can be mistaken for it."""
        first = self.words[begin : begin + 1]
        if first and not is_option(first[0]):
            return True
        spellings = (word.partition("=")[0] for word in self.words[begin:] if is_option(word))
        names = (self.grammar.option_name(spelling) for spelling in spellings)
        return self.grammar.model_option in names

    def options(self) -> Iterator[GivenOption]:
        while self.at < len(self.words):
            word = self.words[self.at]
            if word == _END_OF_OPTIONS:
                self.end_of_options = self.at
                rest = range(self.at + 1, len(self.words))
                self.positionals += [(index, self.words[index]) for index in rest]
                return
            if is_option(word):
                yield self._option(word)
            else:
                self.positionals.append((self.at, word))
                self.at += 1

    def _option(self, word: str) -> GivenOption:
        index = self.at
        self.at += 1
        for short in self.grammar.attached:
            if re.match(rf"{re.escape(short)}\d", word):
                return GivenOption(short, short, (word.removeprefix(short),), index, attached=True)
        spelling, joint, value = word.partition("=")
        name = self.grammar.option_name(spelling)
        if joint:
            return GivenOption(name, spelling, (value,), index, joint)
        return GivenOption(name, spelling, tuple(self._values(name)), index)

    def _values(self, name: str) -> Iterator[str]:
        """Yield the words that an option takes, and go on behind them."""
        taken = self.grammar.words_taken(name)
        most = 1 if taken in {"0", "?", "1"} else len(self.words)
        begin = self.at
        while self.at < len(self.words) and self.at - begin < most:
            word = self.words[self.at]
            if word == _END_OF_OPTIONS or is_option(word):
                return
            if taken in {"0", "?"} and not self.names_model and word.lower() not in _BOOLEANS:
                return  # it is the model
            self.at += 1
            yield word
