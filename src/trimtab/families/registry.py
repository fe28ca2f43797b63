"""Which families there are: one for each folder of an engine, found when they are first asked.

A folder of an engine is a Python package with ``family.py``, whose ``FAMILY`` is the
:class:`Family`, and ``engine.py`` (see :mod:`trimtab.engines`). It lies in ``trimtab/engines``, in
a folder that the variable TRIMTAB_ENGINE_PATH names, or in a distribution that names the package
as an entry point of the group ``trimtab.engines``.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import Path

from trimtab.errors import UsageError
from trimtab.families.family import Family
from trimtab.invocations import Invocation, parse, parse_options
from trimtab.model.platforms import UNKNOWN

ENGINE_PATH = "TRIMTAB_ENGINE_PATH"
"""The variable that names further folders in which folders of engines lie."""

ENTRY_POINTS = "trimtab.engines"
"""The group of entry points by which a distribution brings an engine."""

_ENGINES = "trimtab.engines"


@dataclass(frozen=True, slots=True)
class EnginePackage:
    """One folder of an engine: the name that Python imports it by, and its family."""

    module: str
    family: Family


def engine_packages() -> tuple[EnginePackage, ...]:
    """Return every folder of an engine: trimtab's own first, then in the order of their names.

    Raises:
        UsageError: a folder cannot be used as one.
    """
    return _packages(_path())


def families() -> tuple[Family, ...]:
    """Return the families, each once: as the folder of that name says it, if there is one."""
    return _families(_path())


def family_named(name: str) -> Family:
    """Return the family called ``name``.

    Raises:
        KeyError: there is none.
    """
    return {family.name: family for family in families()}[name]


def family_of_engine(name: str) -> Family | None:
    """Return the family of the engine that is chosen by ``name``; ``None`` if none has it."""
    named = (package.family for package in engine_packages())
    return next((family for family in named if name in family.engines), None)


def family_of_packages(packages: Collection[str]) -> Family | None:
    """Return the family that an environment of these distributions holds, if any."""
    return next(
        (family for family in families() if set(family.distributions) & set(packages)), None
    )


def family_of_command(words: Sequence[str]) -> Family | None:
    """Return the family whose server a command starts; wrappers are taken off before."""
    return next((family for family in families() if family.grammar.serves(words)), None)


def family_started(words: Sequence[str]) -> Family | None:
    """Return the family whose server a command starts, whatever comes before its program."""
    matches = ((family, family.grammar.find(words)) for family in families())
    begins = [(family, match.begin) for family, match in matches if match is not None]
    return min(begins, key=lambda each: each[1])[0] if begins else None


def invocation_of(words: Sequence[str]) -> Invocation | None:
    """Return what the server's command among these words says; ``None`` if there is none.

    Whatever stands before its program, such as ``numactl`` or an interpreter, is kept in it.
    """
    grammars = dict.fromkeys(package.family.grammar for package in engine_packages())
    invocations = (parse(words, grammar) for grammar in grammars)
    given = [invocation for invocation in invocations if invocation is not None]
    return min(given, key=lambda invocation: len(invocation.wrappers), default=None)


def read_command(words: Sequence[str]) -> Invocation:
    """Return what a command says; of a program that no family has, the options among its words."""
    return invocation_of(words) or parse_options(words, families()[0].grammar)


def platform_of_packages(packages: Mapping[str, str]) -> str:
    """Return what an environment computes on, ``UNKNOWN`` if its distributions do not tell.

    ``packages``: canonical name → version, with or without those that have no part in it.
    """
    readers = (one.platform_of for one in families() if one.platform_of is not None)
    found = (platform_of(packages) for platform_of in readers)
    return next((platform for platform in found if platform != UNKNOWN), UNKNOWN)


def serving_command(cmdline: Sequence[str]) -> tuple[str, ...]:
    """Return a process's command without the interpreter in front of an engine's program."""
    commands = (one.grammar.command_of(cmdline) for one in families())
    return next((one for one in commands if one != tuple(cmdline)), tuple(cmdline))


def launch_pattern() -> str:
    """Return a pattern of how a command begins that starts a server of any family."""
    return "|".join(one.grammar.begin for one in families())


def program_names() -> tuple[str, ...]:
    """Return the names of the families' own commands."""
    return tuple(name for one in families() for name in one.grammar.programs)


def _path() -> str:
    return os.environ.get(ENGINE_PATH, "")


@lru_cache(maxsize=8)
def _families(path: str) -> tuple[Family, ...]:
    named: dict[str, Family] = {}
    for package in _packages(path):
        family = package.family
        if family.name not in named or package.module.rpartition(".")[2] == family.name:
            named[family.name] = family
    return tuple(named.values())


@lru_cache(maxsize=8)
def _packages(path: str) -> tuple[EnginePackage, ...]:
    folders = [Path(text).expanduser().absolute() for text in path.split(os.pathsep) if text]
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"{ENGINE_PATH} must name folders, but {folder} is none")
    parent = importlib.import_module(_ENGINES)
    own = [Path(text) for text in parent.__path__]
    for folder in folders:
        if str(folder) not in parent.__path__:
            parent.__path__.append(str(folder))
    names = [*_names(own[:1]), *_names(folders)]
    modules = [f"{_ENGINES}.{name}" for name in dict.fromkeys(names)]
    modules += [point.value for point in entry_points(group=ENTRY_POINTS)]
    return tuple(_package(module) for module in modules)


def _names(folders: Collection[Path]) -> list[str]:
    """Return the names of the packages with a family that lie in these folders."""
    return [
        path.parent.name
        for folder in folders
        for path in sorted(folder.glob("*/family.py"))
        if path.with_name("engine.py").is_file()
    ]


def _package(module: str) -> EnginePackage:
    try:
        family = importlib.import_module(f"{module}.family").FAMILY
    except (ImportError, SyntaxError, AttributeError, TypeError, ValueError) as error:
        raise UsageError(f"the engine folder {module} cannot be used: {error}") from error
    if not isinstance(family, Family):
        raise UsageError(f"FAMILY in {module}.family must be a Family, but is {family!r}")
    return EnginePackage(module, family)
