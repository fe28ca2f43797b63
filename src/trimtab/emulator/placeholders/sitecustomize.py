"""Adapts a few of the vendors' Python modules as they are imported; no file of theirs is patched.

Python imports this module at its start, because this folder comes first on the path. What is
adapted, and why, stands in standin_hooks.py.
"""

import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Callable, Sequence

from standin_hooks import HOOKS


class _Loader(importlib.abc.Loader):
    """Loads a module with its own loader, then adapts it."""

    def __init__(self, own: importlib.abc.Loader, adapt: Callable[[types.ModuleType], None]):
        self._own = own
        self._adapt = adapt

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:
        return self._own.create_module(spec)

    def exec_module(self, module: types.ModuleType) -> None:
        self._own.exec_module(module)
        self._adapt(module)


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        adapt = HOOKS.get(fullname)
        if adapt is None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, adapt)
        return spec


sys.meta_path.insert(0, _Finder())
