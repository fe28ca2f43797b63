"""Placeholder for pyACL, CANN's Python binding, which is on no package index.

vllm-ascend and torch_npu's profiler import it. Every function answers ``(0, 0)``: success and a
result of zero; every constant is 0.
"""

import sys
import types


class _Part(types.ModuleType):
    """A part of pyACL: any name in it is a constant or a function."""

    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        return 0 if name[0].isupper() else _succeed


def _succeed(*args, **kwargs):
    return 0, 0


for _name in ("rt", "mdl", "prof", "op", "media"):
    sys.modules[f"{__name__}.{_name}"] = globals()[_name] = _Part(f"{__name__}.{_name}")


def __getattr__(name: str):
    if name.startswith("__"):
        raise AttributeError(name)
    return 0 if name.isupper() else _succeed


__path__: list[str] = []
