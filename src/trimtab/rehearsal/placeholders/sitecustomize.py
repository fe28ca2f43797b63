"""Adapts a few of the vendors' Python modules as they are imported; no file of theirs is patched.

<<<<<<< HEAD
Python imports this module at its start, because this folder comes first on the path.

``vllm.triton_utils.importing``: without Triton, vLLM's placeholder gives a kernel back as the
plain function it decorates, which cannot be launched as ``kernel[grid](…)``. vllm-ascend launches
such kernels on every step (the slot mapping of the block table). Triton for NPUs needs CANN's
compiler, so that here a kernel can be launched, and does nothing, like every other operator.
=======
Python imports this module at its start, because this folder comes first on the path. What is
adapted, and why, stands in standin_hooks.py.
>>>>>>> hm
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

<<<<<<< HEAD
    def __call__(self, *args, **kwargs):
        """Run the function, as another kernel does that calls it."""
        return self.fn(*args, **kwargs)


def _launch(*args, **kwargs):
    return None


def _decorate(*args, **kwargs):
    if args and callable(args[0]):
        return args[0] if isinstance(args[0], Kernel) else Kernel(args[0])
    return _decorate


def _adapt(module):
    placeholder = module.TritonPlaceholder
    original = placeholder.__init__

    def init(self):
        original(self)
        self.jit = self.autotune = self.heuristics = _decorate

    placeholder.__init__ = init
=======
    def exec_module(self, module: types.ModuleType) -> None:
        self._own.exec_module(module)
        self._adapt(module)
>>>>>>> hm


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
