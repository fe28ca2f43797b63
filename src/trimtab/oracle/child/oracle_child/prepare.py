"""What is imported before the first fork: nothing that reads a setting which is asked about."""

from __future__ import annotations

import gc
import importlib
import os
from importlib import metadata

from . import distributions, later, plugin, unneeded

_BEFORE_TORCH_NPU = ("sympy", "torch._dynamo", "torch.distributed", "torch._inductor.config")
"""Modules that torch_npu imports first. They are PyTorch's own, and slow."""

_PACKAGES = ("torch", "torch_npu", "vllm", "vllm-ascend")


def prepare(kind: str) -> dict[str, str]:
    """Import for checks of a kind; return package → version.

    "torch_npu": torch without torch_npu, which reads settings while it is imported. "vllm-ascend":
    all of vLLM, for vllm-ascend reads its settings when it makes a configuration; torch_npu is in
    it, so what torch_npu reads at its import is asked of the first kind.
    """
    os.environ.pop("LD_PRELOAD", None)  # torch_npu looks symbols up in another way if it is set
    os.environ["TORCH_DEVICE_BACKEND_AUTOLOAD"] = "0"
    gc.disable()  # what is imported stays: to look for garbage in it again and again costs time
    if kind == "vllm-ascend":
        later.defer(unneeded.MODULES, unneeded.PATCHES)
        importlib.import_module(unneeded.ONCE)
        distributions.look_up_when_asked()
    importlib.import_module("torch")
    if kind == "vllm-ascend":
        plugin.prepare()
    else:
        for name in _BEFORE_TORCH_NPU:
            importlib.import_module(name)
    gc.freeze()  # a fork would copy every page of it at its first collection
    gc.enable()
    return {name: found for name in _PACKAGES if (found := _version(name))}


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
