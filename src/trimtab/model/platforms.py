"""Platforms: what a build of an engine computes on."""

from __future__ import annotations

ASCEND = "ascend"
CUDA = "cuda"
ROCM = "rocm"
XPU = "xpu"
TPU = "tpu"
CPU = "cpu"

PLATFORMS: tuple[str, ...] = (ASCEND, CUDA, ROCM, XPU, TPU, CPU)
"""Every platform that has a name here; wherever a user names one, it is one of these."""

UNKNOWN = "unknown"
"""The platform of a build that does not tell."""
