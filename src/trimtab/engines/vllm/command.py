"""What a command line starts: which vLLM, with which model; read from its words, never run."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from trimtab import engines
from trimtab.engines import Engine, Observer
from trimtab.engines.scripted import engine as scripted
from trimtab.errors import EngineMissingError, UsageError

_PYTHON = re.compile(r"python(3(\.\d+)?)?")
_ANY_VLLM = ("vllm", "vllm-cpu", "python")
"""Names under which a profile has a plain vLLM."""


def engine_of(argv: Sequence[str], environment: Mapping[str, str], measured: str) -> Engine | None:
    """Return the engine that ``argv`` starts; ``None`` where the words do not tell.

    ``measured`` is the name of the engine that the profile was measured on, "" without a profile.
    What comes before vLLM's own words (numactl, env, taskset) does not matter here.

    Raises:
        EngineMissingError: it names an environment without vLLM, or is not installed.
    """
    if engines.current_name(measured) == "ascend-emulator":
        return engines.find(measured)
    if str(scripted.SERVER) in argv:
        return engines.find("scripted")
    path = environment.get("PATH")
    for index, word in enumerate(argv):
        name = word.rpartition("/")[2]
        module = argv[index + 1 : index + 2] == ["-m"] and argv[index + 2 : index + 3]
        if name == "vllm" or (_PYTHON.fullmatch(name) and module and module[0].startswith("vllm")):
            found = shutil.which(word, path=path)
            return None if found is None else _inspected(found)
        if word == "serve":
            break
    return None


def _inspected(program: str) -> Engine | None:
    try:
        return engines.find("python", program)
    except EngineMissingError:
        return None  # a wrapper script called vllm: what it starts is seen once it runs


def observer_of(engine: Engine | None, measured: str) -> Observer:
    """Return what observes the running server."""
    name = engine.name if engine is not None else measured
    return engines.observer(name if name in engines.names() else "vllm")


def kind(name: str) -> str:
    """Return what an engine's name stands for: every plain vLLM is "vllm"."""
    return "vllm" if name in _ANY_VLLM else name


def require_program(argv: Sequence[str], environment: Mapping[str, str]) -> None:
    """Make sure that the command can be executed.

    Raises:
        UsageError: there is no such program.
    """
    if shutil.which(argv[0], path=environment.get("PATH")) is None:
        there = "is not one that can be executed" if Path(argv[0]).exists() else "is not here"
        raise UsageError(f"the command must begin with a program, but {argv[0]!r} {there}")
