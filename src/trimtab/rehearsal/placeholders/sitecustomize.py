"""What must be adapted in the vendors' Python code, by import hooks and not by patched files.

Python imports this module at its start, because this folder comes first on the path.

``vllm.triton_utils.importing``: without Triton, vLLM's placeholder gives a kernel back as the
plain function it decorates, which cannot be launched as ``kernel[grid](…)``. vllm-ascend launches
such kernels on every step (the slot mapping of the block table). Triton for NPUs needs CANN's
compiler, so that here a kernel can be launched, and does nothing, like every other operator.
"""

import importlib.abc
import importlib.util
import sys

_HOOKED = "vllm.triton_utils.importing"


class Kernel:
    """A kernel that can be launched on any grid, and does nothing."""

    def __init__(self, function):
        self.fn = function
        self.__name__ = getattr(function, "__name__", "kernel")
        self.__doc__ = function.__doc__

    def __getitem__(self, grid):
        return _launch

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


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, fullname, path, target=None):
        if fullname != _HOOKED:
            return None
        sys.meta_path.remove(self)  # else finding the real module would come back here
        spec = importlib.util.find_spec(fullname)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            _adapt(module)

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, _Finder())
