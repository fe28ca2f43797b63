"""From a command to the process that it starts: wrappers taken off, options named."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from trimtab.facts.parsing import parse_cpu_list
from trimtab.families import families, family_of_command, read_command
from trimtab.invocations.grammar import is_interpreter
from trimtab.knobs.server_arg import option_name
from trimtab.linter.readers.source import SourceText
from trimtab.model.document import Origin, Place, Setting

_PREFIXES: Final = {
    "nohup": 0, "exec": 0, "setsid": 0, "time": 0, "command": 0, "builtin": 0, "unbuffer": 0,
    "stdbuf": 0, "nice": 0, "ionice": 0, "chrt": 1, "timeout": 1, "sudo": 0, "gosu": 1,
    "catchsegv": 0, "tini": 0, "dumb-init": 0,
}  # fmt: skip
"""Wrappers that hand their arguments on → how many words of their own come first."""

_VALUED: Final = {
    "nice": {"-n"}, "ionice": {"-c", "-n"}, "timeout": {"-k", "-s"}, "sudo": {"-u", "-g"},
    "stdbuf": {"-o", "-e", "-i"}, "env": {"-u", "--unset", "-C", "--chdir"},
    "numactl": {"-C", "-N", "-m", "-l", "-p", "-i"}, "taskset": set(),
}  # fmt: skip
"""Options of wrappers that take the next word."""


@dataclass(frozen=True, slots=True)
class ShellWord:
    """One word of a command: its text, whether that is known to the letter, and its place.

    ``source`` is where a text of several lines stands in its file, when that is known line by
    line: the script of ``sh -c`` in a YAML block. ``flaw`` says what the shell made of JSON.
    """

    text: str
    place: Place
    literal: bool = True
    source: SourceText | None = None
    flaw: str = ""


@dataclass(frozen=True, slots=True)
class UnwrappedCommand:
    """A command without its wrappers.

    ``env`` are the variables that ``env NAME=VALUE`` sets, ``unset`` those it takes away (all with
    ``env -i``: "*"). ``wrappers`` are the words taken off, one tuple for each wrapper.
    """

    words: tuple[ShellWord, ...]
    env: tuple[Setting, ...] = ()
    unset: tuple[str, ...] = ()
    affinity: tuple[int, ...] | None = None
    wrappers: tuple[tuple[str, ...], ...] = ()


def program(words: Sequence[ShellWord]) -> str:
    """Return the name of the program, without its folder."""
    return words[0].text.rpartition("/")[2] if words else ""


def unwrap(words: Sequence[ShellWord]) -> UnwrappedCommand:
    """Take the wrappers off a command."""
    command = UnwrappedCommand(tuple(words))
    for _ in range(20):
        name = program(command.words)
        if name == "env":
            after = _env(command)
        elif name == "numactl":
            after = _bound(command, ("-C", "--physcpubind"))
        elif name == "taskset":
            after = _taskset(command)
        elif name in _PREFIXES:
            after = _plain(command, name)
        else:
            return command
        if len(after.words) >= len(command.words):
            return command
        taken = tuple(word.text for word in command.words[: len(command.words) - len(after.words)])
        command = replace(after, wrappers=(*command.wrappers, taken))
    return command


def _skip(words: Sequence[ShellWord], valued: set[str]) -> tuple[list[tuple[str, str]], int]:
    """Return the options at the start as (name, value), and the index behind them."""
    options, index = [], 1
    while index < len(words) and words[index].text.startswith("-"):
        text = words[index].text
        index += 1
        if text == "--":
            break
        name, equals, value = text.partition("=")
        if not equals and name in valued and index < len(words):
            value = words[index].text
            index += 1
        options.append((name, value))
    return options, index


def _plain(command: UnwrappedCommand, name: str) -> UnwrappedCommand:
    _, index = _skip(command.words, _VALUED.get(name, set()))
    index += _PREFIXES[name]
    return replace(command, words=command.words[index:])


def _env(command: UnwrappedCommand) -> UnwrappedCommand:
    options, index = _skip(command.words, _VALUED["env"])
    unset = [value for name, value in options if name in {"-u", "--unset"}]
    if any(name in {"-i", "-", "--ignore-environment"} for name, _ in options):
        unset.append("*")
    env = list(command.env)
    while index < len(command.words) and re.match(r"[A-Za-z_]\w*=", command.words[index].text):
        env.append(assignment(command.words[index]))
        index += 1
    return replace(
        command, words=command.words[index:], env=tuple(env), unset=(*command.unset, *unset)
    )


def _bound(command: UnwrappedCommand, names: tuple[str, ...]) -> UnwrappedCommand:
    valued = _VALUED["numactl"] | {"--physcpubind", "--cpunodebind", "--membind", "--preferred"}
    options, index = _skip(command.words, valued)
    cpus = next((value for name, value in options if name in names), "")
    return replace(command, words=command.words[index:], affinity=_cpus(cpus) or command.affinity)


def _taskset(command: UnwrappedCommand) -> UnwrappedCommand:
    options, index = _skip(command.words, set())
    flags = {name for name, _ in options}
    if any("p" in flag.lstrip("-") for flag in flags) or index >= len(command.words):
        return command  # of a running process
    mask = command.words[index].text
    listed = any(flag in {"-c", "--cpu-list"} for flag in flags)
    cpus = _cpus(mask) if listed else _mask(mask)
    return replace(command, words=command.words[index + 1 :], affinity=cpus or command.affinity)


def _cpus(text: str) -> tuple[int, ...] | None:
    try:
        return parse_cpu_list(text) if len(text) < 200 else None
    except ValueError:
        return None


def _mask(text: str) -> tuple[int, ...] | None:
    try:
        bits = int(text, 16)
    except ValueError:
        return None
    return tuple(index for index in range(bits.bit_length()) if bits >> index & 1) or None


def assignment(word: ShellWord, origin: Origin = Origin.SHELL) -> Setting:
    """Return the setting that a word ``NAME=VALUE`` makes."""
    name, _, value = word.text.partition("=")
    place = word.place
    return Setting(
        name,
        value,
        place,
        origin,
        literal=word.literal,
        name_place=replace(place, end_column=place.column + len(name)) if place.text else None,
    )


def is_server(words: Sequence[ShellWord]) -> bool:
    """Whether a command is the server of an engine."""
    return family_of_command([word.text for word in words]) is not None


def is_client(words: Sequence[ShellWord]) -> bool:
    """Whether a command is an engine's program that does not serve, such as ``vllm bench``."""
    return any(program(words) in family.grammar.programs for family in families())


def is_python(words: Sequence[ShellWord]) -> bool:
    """Whether a command runs a Python program, which reads the same variables as a server."""
    texts = [word.text for word in words]
    if program(words) in {"torchrun", "accelerate"}:
        return True
    return is_interpreter(program(words)) and any(text.endswith(".py") for text in texts[1:])


def options_of(words: Sequence[ShellWord]) -> tuple[Setting, ...]:
    """Return the options of a command with their places, names in long form, the last one wins."""
    found: dict[str, Setting] = {}
    for option in read_command([word.text for word in words]).options:
        word, value = words[option.index], words[option.value_index]
        name = option_name(option.name)
        found[name] = Setting(
            name, option.value, word.place, Origin.ARGUMENT, literal=value.literal,
            name_place=word.place, value_place=value.place,
        )  # fmt: skip
    return tuple(found.values())


def printed_text(words: Sequence[ShellWord], stdin: str | None) -> str | None:
    """Return what a command prints, where its text tells; ``stdin`` is what it is fed."""
    name = words[0].text
    if name in {"echo", "printf"}:
        rest = [word.text for word in words[1:] if word.text not in {"-n", "-e", "-ne", "-en"}]
        text = " ".join(rest)
        if name == "printf" or {"-e", "-ne", "-en"} & {word.text for word in words[1:]}:
            text = text.replace("\\n", "\n").replace("\\t", "\t")
        return text if all(word.literal for word in words) else None
    return stdin if name == "cat" and len(words) == 1 else None
