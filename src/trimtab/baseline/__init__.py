"""The baseline: what the user runs today, read from a vllm command line.

A command line is read, never run: words are split as a shell would, and anything that only a
shell could evaluate is refused with its line, because a guess would be measured as a fact.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trimtab import config_file, named_files, shell_words
from trimtab.baseline import serving
from trimtab.errors import UsageError
from trimtab.lint.readers.container import is_run, parse_run
from trimtab.lint.readers.launch import Word
from trimtab.model.script import Place
from trimtab.question import Options
from trimtab.redaction import argv_secrets, redact_words

MAX_BYTES = 64 * 1024
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_PYTHON = re.compile(r"python(3(\.\d+)?)?")
_MODULES = ("vllm", "vllm.entrypoints.cli.main")
_SERVERS = ("vllm.entrypoints.openai.api_server", "vllm.entrypoints.api_server")
"""Modules that serve without the word ``serve``."""

_PINNING = {
    "numactl": "binds CPUs and memory",
    "taskset": "binds CPUs",
    "nice": "changes the priority",
    "ionice": "changes the priority",
    "chrt": "changes the scheduler",
    "sudo": "changes the user",
    "srun": "starts it on other hosts",
    "mpirun": "starts it several times",
    "torchrun": "starts it several times",
}
_HARMLESS = ("exec", "env", "nohup")


@dataclass(frozen=True, slots=True)
class ServeCommand:
    """A parsed ``vllm serve``: the model, its other arguments, and the variables set for it.

    Host and port are dropped: trimtab serves on a loopback port of its own. ``program`` is the
    word that starts it, as it was written: "vllm", or the path of a ``vllm`` command, or an
    interpreter ("python3", or its path) that runs vLLM's module; "" where an image brings it.
    ``notes`` are sentences about what of the command does not apply here.
    """

    model: str
    args: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    program: str = "vllm"
    notes: tuple[str, ...] = ()


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
        text = named_files.read(path, MAX_BYTES).decode("utf-8")
    except OSError as error:
        raise UsageError(
            f"the baseline file {path} cannot be read ({error.strerror}): name a file that holds "
            "a 'vllm serve MODEL' command"
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(
            f"the baseline file {path} must be text in UTF-8, but is not: name a file that holds "
            "a 'vllm serve MODEL' command"
        ) from error
    env: dict[str, str] = {}
    for number, line in _logical_lines(text):
        words = shell_words.split(line, f"{path}:{number}", env, str(Path.home()))
        if not words or words[0] == "set":
            continue
        if words[:1] == ["export"] or all(_ASSIGNMENT.fullmatch(word) for word in words):
            env.update(_assignments([w for w in words if w != "export"], f"{path}:{number}"))
        else:
            command = parse(words, where=f"{path}:{number}")
            merged = {**env, **dict(command.env)}
            return replace(command, env=tuple(sorted(merged.items())))
    raise UsageError(f"{path} holds no 'vllm serve MODEL' command")


def parse(words: Sequence[str], where: str = "the baseline command") -> ServeCommand:
    """Parse ``[exec] [env] [NAME=VALUE…] vllm serve MODEL [args…]``.

    For ``vllm`` there may be its path, ``python -m vllm``, the module of vLLM's API server, or
    ``docker run IMAGE``. What its ``--config`` file holds is joined into the arguments. Any other
    word before ``serve`` would change what is measured, so none is dropped.

    Raises:
        UsageError: the words are not such a command, or one that never serves here; the message
            names the first wrong one.
    """
    env: dict[str, str] = {}
    rest = list(words)
    while rest:
        if match := _ASSIGNMENT.fullmatch(rest[0]):
            env[match[1]] = match[2]
        elif rest[0] not in _HARMLESS:
            break
        rest = rest[1:]
    rest, notes = _outside(rest, env)
    program, args = _program(rest)
    if program is None:
        raise _no_command(words, args, where)
    args, more = serving.served(config_file.joined(args, where), where)
    model, args = _model(args, where)
    _require_lines(args, env)
    program = "" if notes else program  # what an image holds is not on this machine
    return ServeCommand(model, tuple(args), tuple(sorted(env.items())), program, (*notes, *more))


def _no_command(words: Sequence[str], rest: Sequence[str], where: str) -> UsageError:
    found = f"has {redact_words(rest)[0]!r} there" if rest else f"is only: {_show(words)}"
    name = rest[0].rpartition("/")[2] if rest else ""
    why = f", because it {_PINNING[name]}" if name in _PINNING else ""
    return UsageError(
        f"{where} must be 'vllm serve MODEL [arguments]', with nothing before 'serve' but "
        f"NAME=VALUE, exec, env, nohup and the program, but {found}: leave it out{why}"
    )


def _outside(words: list[str], env: dict[str, str]) -> tuple[list[str], tuple[str, ...]]:
    """Return the command inside ``docker run``, with its variables put into ``env``."""
    marked = [Word(text, Place("", 1)) for text in words]
    if not is_run(marked):
        return words, ()
    run = parse_run(marked)
    if run.env_files:
        raise UsageError(
            f"the baseline names --env-file {run.env_files[0]}: write its variables out"
        )
    env.update({one.name: one.value for one in run.env})
    env.update({name: os.environ[name] for name in run.passed if name in os.environ})
    inside = [word for word in (run.entrypoint, *(one.text for one in run.command)) if word]
    while inside and (match := _ASSIGNMENT.fullmatch(inside[0])):
        env[match[1]], inside = match[2], inside[1:]
    if _program(inside)[0] is None:
        inside = ["vllm", *([] if inside[:1] == ["serve"] else ["serve"]), *inside]
    options = sorted({one.name for one in run.container.options})
    also = f", nor do {', '.join(options)}" if options else ""
    return inside, (f"the image {run.container.image} does not apply here{also}",)


def _require_lines(args: Sequence[str], env: dict[str, str]) -> None:
    secrets = [(name, args[index]) for index, _, name in argv_secrets(args)]
    for name, value in (*secrets, *env.items()):
        if name.endswith("API_KEY") and re.search(r"[\r\n\0]", value):
            raise UsageError(f"the key {name} holds a line break: give it without one")


def _program(words: list[str]) -> tuple[str | None, list[str]]:
    """Split what starts vLLM from its arguments.

    Words that begin otherwise give ``None``, and the words from the first wrong one on.
    """
    name = words[0].rpartition("/")[2] if words else ""
    rest = words[1:]
    if _PYTHON.fullmatch(name):
        if words[1:2] == ["-m"] and words[2:3] and words[2] in _SERVERS:
            return words[0], words[3:]
        if words[1:2] != ["-m"] or not words[2:3] or words[2] not in _MODULES:
            return None, words
        rest = words[3:]
    elif name != "vllm":
        return None, words
    return (words[0], rest[1:]) if rest[:1] == ["serve"] else (None, rest)


def _model(args: list[str], where: str) -> tuple[str, list[str]]:
    if args and not args[0].startswith("-"):
        return args[0], args[1:]
    for index, word in enumerate(args):
        if word == "--model" and index + 1 < len(args):
            return args[index + 1], args[:index] + args[index + 2 :]
        if word.startswith("--model="):
            return word.partition("=")[2], args[:index] + args[index + 1 :]
    raise UsageError(f"{where} must name the model right after 'serve'")


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


def _assignments(words: Sequence[str], where: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in words:
        match = _ASSIGNMENT.fullmatch(word)
        if match is None:
            raise UsageError(f"{where} must be NAME=VALUE, but is {redact_words([word])[0]!r}")
        found[match[1]] = match[2]
    return found


def _show(words: Sequence[str]) -> str:
    text = shlex.join(redact_words(words))
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
