"""The baseline: what the user runs today, read from a vllm command line.

A command line is read, never run: words are split as a shell would, and anything that only a
shell could evaluate is refused with its line, because a guess would be measured as a fact.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trimtab.errors import UsageError
from trimtab.question import Options

MAX_BYTES = 64 * 1024
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_SHELL_ONLY = re.compile(r"[$`|;&<>()]")
_PYTHON = re.compile(r"python(3(\.\d+)?)?")
_MODULES = ("vllm", "vllm.entrypoints.cli.main")
_ENDPOINT = {"--host": 1, "--port": 1, "--uds": 1}


@dataclass(frozen=True, slots=True)
class ServeCommand:
    """A parsed ``vllm serve``: the model, its other arguments, and the variables set for it.

    Host and port are dropped: trimtab serves on a loopback port of its own. ``program`` is the
    word that starts it, as it was written: "vllm", or the path of a ``vllm`` command, or an
    interpreter ("python3", or its path) that runs vLLM's module.
    """

    model: str
    args: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    program: str = "vllm"


def applied(options: Options) -> tuple[Options, ServeCommand | None]:
    """Return the options with the model of the baseline's command, and the command.

    Raises:
        UsageError: it does not parse, is given twice, or contradicts another option.
    """
    command = _given(options)
    if command is None:
        return options, None
    options = replace(options, model=_one_model(options.model, command.model))
    return options, command


def read_file(path: Path) -> ServeCommand:
    """Read a file that holds one ``vllm serve`` command, with exports before it if any.

    Raises:
        UsageError: the file cannot be read, or holds what only a shell could evaluate.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UsageError(f"{path} must be a command of at most {MAX_BYTES} bytes")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the baseline file {path} cannot be read: {error}") from error
    env: dict[str, str] = {}
    for number, line in _logical_lines(text):
        words = _split(line, f"{path}:{number}")
        if words[:1] == ["export"] or all(_ASSIGNMENT.fullmatch(word) for word in words):
            env.update(_assignments([w for w in words if w != "export"], f"{path}:{number}"))
        else:
            command = parse(words, where=f"{path}:{number}")
            merged = {**env, **dict(command.env)}
            return replace(command, env=tuple(sorted(merged.items())))
    raise UsageError(f"{path} holds no 'vllm serve MODEL' command")


def parse(words: Sequence[str], where: str = "the baseline command") -> ServeCommand:
    """Parse ``[exec] [env] [NAME=VALUE…] vllm serve MODEL [args…]``.

    For ``vllm`` there may be its path, or ``python -m vllm``. Any other word before ``serve``
    (numactl, taskset, env -u, docker run) would change what is measured, so none is dropped.

    Raises:
        UsageError: the words are not such a command; the message names the first wrong one.
    """
    env: dict[str, str] = {}
    rest = list(words)
    while rest:
        if match := _ASSIGNMENT.fullmatch(rest[0]):
            env[match[1]] = match[2]
        elif rest[0] not in ("exec", "env"):
            break
        rest = rest[1:]
    program, rest = _program(rest)
    if program is None or rest[:1] != ["serve"]:
        found = f"has {rest[0]!r} there" if rest else f"is only: {_show(words)}"
        raise UsageError(
            f"{where} must be 'vllm serve MODEL [arguments]', with nothing before 'serve' but "
            f"NAME=VALUE, exec, env and the program, but {found}: leave it out"
        )
    model, args = _model(_without_endpoint(rest[1:]), where)
    return ServeCommand(model, tuple(args), tuple(sorted(env.items())), program)


def _program(words: list[str]) -> tuple[str | None, list[str]]:
    """Split off what starts vLLM; ``None``, and the words as they are, if they do not begin so."""
    name = words[0].rpartition("/")[2] if words else ""
    if name == "vllm":
        return words[0], words[1:]
    if _PYTHON.fullmatch(name) and words[1:2] == ["-m"] and words[2:3] and words[2] in _MODULES:
        return words[0], words[3:]
    return None, words


def _model(args: list[str], where: str) -> tuple[str, list[str]]:
    if args and not args[0].startswith("-"):
        return args[0], args[1:]
    for index, word in enumerate(args):
        if word == "--model" and index + 1 < len(args):
            return args[index + 1], args[:index] + args[index + 2 :]
        if word.startswith("--model="):
            return word.partition("=")[2], args[:index] + args[index + 1 :]
    raise UsageError(f"{where} must name the model right after 'serve'")


def _without_endpoint(args: Sequence[str]) -> list[str]:
    kept: list[str] = []
    skip = 0
    for word in args:
        if skip:
            skip -= 1
        elif word in _ENDPOINT:
            skip = _ENDPOINT[word]
        elif word.partition("=")[0] not in _ENDPOINT:
            kept.append(word)
    return kept


def _logical_lines(text: str) -> list[tuple[int, str]]:
    lines: list[tuple[int, str]] = []
    pending, begun = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        begun = begun if pending else number
        pending += line[:-1] + " " if line.endswith("\\") else line
        if not line.endswith("\\"):
            if pending.strip() and not pending.lstrip().startswith("#"):
                lines.append((begun, pending.strip()))
            pending = ""
    if pending.strip():
        lines.append((begun, pending.strip()))
    return lines


def _split(line: str, where: str) -> list[str]:
    bare = re.sub(r"'[^']*'", "", line)
    if found := _SHELL_ONLY.search(bare):
        raise UsageError(
            f"{where} holds {found[0]!r}, which only a shell can evaluate: "
            "write the command with its final values"
        )
    try:
        return shlex.split(line, comments=True)
    except ValueError as error:
        raise UsageError(f"{where} cannot be split into words: {error}") from error


def _assignments(words: Sequence[str], where: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in words:
        match = _ASSIGNMENT.fullmatch(word)
        if match is None:
            raise UsageError(f"{where} must be NAME=VALUE, but is {word!r}")
        found[match[1]] = match[2]
    return found


def _show(words: Sequence[str]) -> str:
    text = shlex.join(words)
    return text if len(text) <= 120 else text[:117] + "..."


def _given(options: Options) -> ServeCommand | None:
    if options.baseline and options.baseline_file:
        raise UsageError("give the baseline as a file or after '--', not both")
    if options.baseline:
        return parse(options.baseline)
    if options.baseline_file:
        return read_file(Path(options.baseline_file))
    return None


def _one_model(asked: str | None, baseline_model: str) -> str:
    if asked is not None and asked != baseline_model:
        raise UsageError(f"--model {asked} is not the baseline's model {baseline_model}: drop one")
    return baseline_model
