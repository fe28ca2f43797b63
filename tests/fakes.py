"""Environments that look like vLLM's on a platform: a console script and metadata, no code."""

from __future__ import annotations

import os
import sys
from pathlib import Path

BUILDS: dict[str, dict[str, str]] = {
    "cuda": {"vllm": "0.32.0", "torch": "2.13.0+cu130"},
    "rocm": {"vllm": "0.32.0+rocm700", "torch": "2.13.0+rocm7.0"},
    "xpu": {"vllm": "0.32.0+xpu", "torch": "2.13.0+xpu"},
    "tpu": {"vllm_tpu": "0.32.0", "tpu_inference": "0.32.0", "vllm": "0.32.0+tpu"},
    "cpu": {"vllm": "0.32.0+cpu", "torch": "2.13.0+cpu"},
    "ascend": {"vllm": "0.32.0+empty", "vllm_ascend": "0.32.0rc1", "torch_npu": "2.13.0"},
    "unknown": {"vllm": "0.32.0+empty", "torch": "2.13.0"},
}
"""Platform → distributions of an environment that serves on it."""


def environment(folder: Path, **packages: str) -> Path:
    """Make an environment in ``folder`` and return its ``vllm`` command.

    Its interpreter is this one, and looks for modules in the environment's own folder alone.
    """
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = folder / "lib" / version / "site-packages"
    for name, number in packages.items():
        info = site / f"{name}-{number}.dist-info"
        info.mkdir(parents=True)
        shown = name.replace("_", "-")
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {shown}\nVersion: {number}\n"
        )
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    base = Path(os.path.realpath(sys.executable))
    (folder / "pyvenv.cfg").write_text(f"home = {base.parent}\n")
    python = folder / "bin" / "python"
    python.symlink_to(base)
    script = folder / "bin" / "vllm"
    script.write_text(f"#!{python}\nraise SystemExit('a fake vLLM was started')\n")
    script.chmod(0o755)
    return script


def of_platform(folder: Path, platform: str) -> Path:
    """Make the environment of a platform and return its ``vllm`` command."""
    return environment(folder, **BUILDS[platform])
