"""What a command line starts: which engine, with which model; read from its words, never run."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from trimtab import engines
from trimtab.engines import Engine, Observer
from trimtab.errors import UsageError
from trimtab.families import engine_packages, families, family_started
from trimtab.storage import atomic_files

MAX_CONFIG_BYTES = 1_000_000
"""The most that is read of a ``--config`` file."""


def config_text(folder: Path) -> Callable[[str], str]:
    """Return what reads a ``--config`` file by its name; a relative one belongs to ``folder``."""

    def read(name: str) -> str:
        return atomic_files.read(folder / name, MAX_CONFIG_BYTES).decode("utf-8-sig")

    return read


def engine_of(argv: Sequence[str], environment: Mapping[str, str], measured: str) -> Engine | None:
    """Return the engine that ``argv`` starts; ``None`` where the words do not tell.

    ``measured`` is the name of the engine that the profile was measured on, "" without a profile.
    What comes before the engine's own words (numactl, env, taskset) does not matter here.

    Raises:
        EngineMissingError: it names an environment without its engine, or is not installed.
    """
    return engines.of_command(argv, environment, engines.current_name(measured))


def observer_of(engine: Engine | None, measured: str, argv: Sequence[str] = ()) -> Observer:
    """Return what observes the running server of an engine, of a profile's, or of a command."""
    name = engine.name if engine is not None else measured
    if name in engines.names():
        return engines.observer(name)
    family = family_started(argv) or families()[0]
    return engines.observer(family.engines[0])


def kind(name: str) -> str:
    """Return what an engine's name stands for: those of one folder are one engine."""
    folders = (package.family.engines for package in engine_packages())
    return next((names[0] for names in folders if name in names), name)


def require_program(argv: Sequence[str], environment: Mapping[str, str]) -> None:
    """Make sure that the command can be executed.

    Raises:
        UsageError: there is no such program.
    """
    if shutil.which(argv[0], path=environment.get("PATH")) is None:
        there = "is not one that can be executed" if Path(argv[0]).exists() else "is not here"
        raise UsageError(f"the command must begin with a program, but {argv[0]!r} {there}")
