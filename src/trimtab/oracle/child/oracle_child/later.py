"""Modules that are imported only when something of them is used.

Making a configuration imports a server's whole software, of which the most is never called. A
module of the list is found and made as always, but its code runs when an attribute of it is first
asked for; what ``from module import name`` takes is a name until it is used in any way. So the
vendors' code runs as it is wherever it runs, and the answers are the same with and without
(``tests/integration/oracle/test_vendors.py``).
"""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any


class Name:
    """What a module holds under a name: taken from the module when it is used in any way."""

    def __init__(self, module: Module, name: str) -> None:
        object.__setattr__(self, "_taken", (module, name))

    def __mro_entries__(self, bases: object) -> tuple[Any, ...]:
        return (_real(self),)

    def __getattr__(self, name: str) -> Any:
        return getattr(_real(self), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(_real(self), name, value)

    def __call__(self, *args: Any, **named: Any) -> Any:
        """Call it."""
        return _real(self)(*args, **named)

    def __getitem__(self, key: Any) -> Any:
        return _real(self)[key]

    def __or__(self, other: Any) -> Any:
        return self  # a type hint that nobody evaluates

    __ror__ = __or__

    def __instancecheck__(self, one: Any) -> bool:
        return isinstance(one, _real(self))

    def __subclasscheck__(self, one: Any) -> bool:
        return issubclass(one, _real(self))

    def __iter__(self) -> Any:
        return iter(_real(self))

    def __contains__(self, one: Any) -> bool:
        return one in _real(self)

    def __len__(self) -> int:
        return len(_real(self))

    def __eq__(self, other: object) -> bool:
        return bool(_real(self) == (_real(other) if isinstance(other, Name) else other))

    def __hash__(self) -> int:
        return hash(_real(self))


def _real(name: Any) -> Any:
    module, attribute = object.__getattribute__(name, "_taken")
    run(module)
    return getattr(module, attribute)


class Module(types.ModuleType):
    """A module whose code has not run."""

    def __getattr__(self, name: str) -> Any:
        if name == "__path__":  # every import asks whether it is a package: it is none
            raise AttributeError(name)
        if name.startswith("__"):
            run(self)
            return getattr(self, name)
        return Name(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("__") or isinstance(value, types.ModuleType):
            super().__setattr__(name, value)  # the import system's own
        else:
            run(self)
            setattr(self, name, value)


def run(module: types.ModuleType) -> None:
    """Run a module's code if it has not run: its parents' first."""
    if type(module) is not Module:
        return
    spec = module.__spec__
    assert spec is not None
    _run_parent(spec.name)
    module.__class__ = types.ModuleType  # type: ignore[assignment]  # as importlib.util.LazyLoader does
    loader: Any = spec.loader
    loader.own.exec_module(module)


def _run_parent(name: str) -> None:
    parent = sys.modules.get(name.rpartition(".")[0])
    if parent is not None:
        run(parent)


class _Loader(importlib.abc.Loader):
    """Makes a module and leaves its code for later."""

    def __init__(self, own: importlib.abc.Loader) -> None:
        self.own = own

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:
        return self.own.create_module(spec)

    def exec_module(self, module: types.ModuleType) -> None:
        """Leave the module without its code."""
        module.__class__ = Module


class _Then(importlib.abc.Loader):
    """Runs a module's code, and then the patches of it that wait."""

    def __init__(self, own: importlib.abc.Loader, patches: Sequence[str]) -> None:
        self._own = own
        self._patches = patches

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:
        return self._own.create_module(spec)

    def exec_module(self, module: types.ModuleType) -> None:
        """Run the module, then its patches, as far as anybody has imported them."""
        self._own.exec_module(module)
        for patch in self._patches:
            if patch in sys.modules:
                run(sys.modules[patch])


class Finder(importlib.abc.MetaPathFinder):
    """Finds the modules that wait, and lets none be found in a package that waits."""

    def __init__(self, names: Mapping[str, str], patches: Mapping[str, tuple[str, ...]]) -> None:
        self._names = frozenset({*names, *patches})
        self._patches = patches

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the spec of a module that waits, or that others wait for."""
        due = [patch for patch, packages in self._patches.items() if fullname in packages]
        if fullname not in self._names:
            _run_parent(fullname)
            if not due:
                return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Then(spec.loader, due) if due else _Loader(spec.loader)
        return spec


def defer(names: Mapping[str, str], patches: Mapping[str, tuple[str, ...]]) -> None:
    """From now on let modules wait.

    ``names``: module → why it is not needed; it runs when it is used. ``patches``: module that
    changes others → the packages of those; it runs when something of them is imported.
    """
    sys.meta_path.insert(0, Finder(names, patches))


@contextlib.contextmanager
def absent(name: str) -> Iterator[None]:
    """Meanwhile a module that was not imported so far is one that is not installed."""
    sys.modules[name] = None  # type: ignore[assignment]  # which makes its import fail
    try:
        yield
    finally:
        del sys.modules[name]
