"""What starts vLLM in a baseline's command: its program, an interpreter, a container, a shell."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trimtab.errors import UsageError
from trimtab.families import families, invocation_of, program_names
from trimtab.invocations import Invocation, parse
from trimtab.linter.images import family_of_image
from trimtab.linter.readers.container import is_run, parse_run
from trimtab.linter.readers.launch import ShellWord
from trimtab.model.document import Place
from trimtab.study.baseline import shell_words

_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_PYTHON = re.compile(r"python(3(\.\d+)?)?")
_SERVER = "vllm.entrypoints.openai.api_server"
"""The module that serves without the word ``serve``."""

_HARMLESS = ("exec", "env", "nohup")
_SHELLS = ("bash", "sh", "dash", "zsh")
_RUNS_TEXT = re.compile(r"-[a-z]*c")
_OTHER_ENVIRONMENT = "chooses an environment: name the vllm of that environment by its path"
_REMEDIES = {
    **dict.fromkeys(("uv", "conda", "mamba", "micromamba", "poetry", "pixi"), _OTHER_ENVIRONMENT),
    "numactl": "binds CPUs and memory",
    "taskset": "binds CPUs",
    "nice": "changes the priority",
    "ionice": "changes the priority",
    "chrt": "changes the scheduler",
    "sudo": "changes the user",
    "srun": "starts it on other hosts",
    "mpirun": "starts it several times",
    "torchrun": "starts it several times",
    "cd": "changes the folder: write absolute paths",
    "source": "only a shell can run it: export its variables here",
}


@dataclass(frozen=True, slots=True)
class ServeInvocation:
    """The command that starts a server, without what stands before its program.

    If the words start something else, ``invocation`` is ``None`` and ``rest`` are the words from
    the first wrong one on. ``contained``: the program belongs to an image.
    """

    invocation: Invocation | None
    rest: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    contained: bool = False


def read(words: Sequence[str], where: str) -> ServeInvocation:
    """Return what starts vLLM in the words of a command.

    Raises:
        UsageError: a part of it is not known here, such as an environment file.
    """
    env: dict[str, str] = {}
    rest = _bare(words, env, where)
    inside = _without_sudo(rest)
    if inside is None:
        invocation = _invocation(rest)
        return ServeInvocation(invocation, _from_first_wrong(rest), env)
    run = parse_run(inside)
    if run.env_files:
        raise UsageError(f"{where} names --env-file {run.env_files[0]}: write its variables out")
    env.update({setting.name: setting.value for setting in run.env})
    env.update({name: os.environ[name] for name in run.passed if name in os.environ})
    command = [word for word in (run.entrypoint, *(word.text for word in run.command)) if word]
    command = _bare(command, env, where)
    invocation = _invocation(command)
    if invocation is None and command and Path(command[0]).name in _SHELLS:
        raise UsageError(f"{where} starts a shell in the image, and no server: name its command")
    if invocation is None:  # the image's entry point is the program with its subcommand
        grammar = (family_of_image(run.container.image) or families()[0]).grammar
        start = [word for word in (grammar.programs[0], grammar.subcommand) if word]
        own = command[1:] if command[:1] == [grammar.subcommand] else command
        invocation = parse((*start, *own), grammar)
    options = sorted({option.name for option in run.container.options})
    also = f", nor do {', '.join(options)}" if options else ""
    note = f"the image {run.container.image} does not apply here{also}"
    return ServeInvocation(invocation, (), env, (note,), contained=True)


def remedy(rest: Sequence[str]) -> str:
    """Return what to do about the first word that a baseline cannot have."""
    name = rest[0].rpartition("/")[2] if rest else ""
    if _PYTHON.fullmatch(name):
        return f"write it as {name} -m {_SERVER}, or as vllm serve"
    return f"leave it out, because it {_REMEDIES[name]}" if name in _REMEDIES else "leave it out"


def _bare(words: Sequence[str], env: dict[str, str], where: str) -> list[str]:
    """Return a command without what stands before its program; assignments go into ``env``.

    A shell that runs one command (``bash -c``) stands before it too.
    """
    rest = list(words)
    while rest:
        if match := _ASSIGNMENT.fullmatch(rest[0]):
            env[match[1]] = match[2]
        elif rest[0] not in _HARMLESS:
            break
        rest = rest[1:]
    if len(rest) == 3 and Path(rest[0]).name in _SHELLS and _RUNS_TEXT.fullmatch(rest[1]):
        home = str(Path.home())
        return _bare(shell_words.split(rest[2], where, {"HOME": home, **env}, home), env, where)
    return rest


def _without_sudo(words: Sequence[str]) -> list[ShellWord] | None:
    """Return ``docker run`` and what follows; ``None`` if the words make no container.

    Who may start a container changes nothing that is measured here.
    """
    rest = list(words)
    if rest[:1] == ["sudo"]:
        rest = rest[1:]
        while rest and rest[0].startswith("-"):
            rest = rest[1:]
    marked = [ShellWord(text, Place("", 1)) for text in rest]
    return marked if is_run(marked) else None


def _invocation(words: Sequence[str]) -> Invocation | None:
    """Return the server's command that begins at the first word, if its program is known here."""
    invocation = invocation_of(words)
    if invocation is None or invocation.wrappers or invocation.form == "script":
        return None
    if invocation.form == "command":
        return invocation
    flags, module = invocation.program[1:], invocation.program[-1]
    if flags[0] == "-u":  # its output is not buffered: nothing that is measured
        flags = flags[1:]
    grammar = invocation.grammar
    serves = f"{module.rpartition('.')[2]}.py" in grammar.scripts or module == grammar.subcommand
    return invocation if flags[0] == "-m" and serves else None


def _from_first_wrong(words: Sequence[str]) -> tuple[str, ...]:
    """Return the words from the first one on that begins no server's command."""
    name = words[0].rpartition("/")[2] if words else ""
    if name in program_names():
        return tuple(words[1:])
    at = 2 if list(words[1:2]) == ["-u"] else 1
    module = words[at + 1] if list(words[at : at + 1]) == ["-m"] and words[at + 1 :] else ""
    mains = (family.grammar.main_modules for family in families())
    main = any(pattern and re.fullmatch(pattern, module) for pattern in mains)
    return tuple(words[at + 2 :]) if _PYTHON.fullmatch(name) and main else tuple(words)
