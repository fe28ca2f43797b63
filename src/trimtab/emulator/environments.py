"""The emulator's environments: the vendors' wheels, pinned with their hashes, nothing patched.

The engine's holds torch_npu, vllm-ascend and vLLM's Python code, which comes with the wheel of
vLLM for CPU and gets the metadata of the distribution ``vllm``, so that it does not take itself
for a CPU build. Its versions exclude one another by their declared pins, and work together all
the same: everything is installed from a lock, without resolving. Other versions of torch_npu get
an environment each, with the torch they are built for and nothing else. Of those that have a lock
all but torch is pinned with hashes: which build of torch can be had differs between machines.
"""

from __future__ import annotations

import platform
import re
from pathlib import Path

from trimtab.emulator import build
from trimtab.emulator.machine import EmulatedMachine
from trimtab.environments import managed_environment
from trimtab.environments.managed_environment import Installation, Recipe
from trimtab.errors import EngineInstallError, UsageError

NAME = "ascend-emulator"
VLLM = "0.23.0"
TORCH_NPU = "2.13.0"
PACKAGES = {
    "vllm": VLLM,
    "vllm-ascend": "0.23.0",
    "torch": "2.13.0+cpu",
    "torch-npu": TORCH_NPU,
}
_LOCKS = Path(__file__).with_name("locks")
LOCK = _LOCKS / "engine.txt"
LOCKED_PYTHON = "python3.11"
"""The Python that all locks are for, as its folder of packages is called."""

NEEDED_BYTES = 4 * 1000**3
"""The environment takes 2.5 GB; wheels are unpacked beside it for a while."""

_NEEDED_WITH_CUDA = 10 * 1000**3
"""A torch_npu whose torch exists for CUDA alone takes 7 GB."""

PROOF_SECONDS = 900.0
_BESIDE = ("numpy<3", "pyyaml")
"""What torch_npu imports and does not ask for."""
_GLIBC = (2, 34)
"""vllm-ascend's wheel is of manylinux_2_34, the others of older ones."""

_PROOF = """
import torch, torch_npu
one = torch.ones(4, device="npu")
print(torch.npu.device_count(), "NPUs that do nothing", (one + one).shape)
"""


def engine() -> Recipe:
    """Return how the environment of the engine ``ascend-emulator`` is made."""
    return Recipe(
        name=NAME,
        what="the Ascend emulator",
        target=managed_environment.folder(NAME),
        described={"lock": LOCK.read_text(encoding="utf-8"), "vllm": VLLM},
        steps={
            "environment": ("making a virtual environment", _make_environment),
            "packages": ("installing the vendors' wheels (about 2.5 GB)", _install_locked),
            "metadata": ("completing vLLM's distribution metadata", _add_metadata),
            "proof": ("building the stand-in, and proving that torch_npu runs", _prove),
        },
        needs=NEEDED_BYTES,
        pythons=((3, 11), (3, 11)),
    )


def torch_npu(version: str) -> Recipe:
    """Return how an environment of one version of torch_npu is made; the engine's for its own.

    Raises:
        UsageError: it is not written like a version of torch_npu.
    """
    match = re.fullmatch(r"(\d+\.\d+\.\d+)(?:\.post\d+)?", version)
    if match is None:
        raise UsageError(
            f"--torch-npu must be a version such as {TORCH_NPU} or 2.10.0.post4, but is "
            f"{version!r}"
        )
    if version == TORCH_NPU:
        return engine()
    wanted = (f"torch=={match[1]}+cpu", f"torch-npu=={version}", *_BESIDE)
    lock = lock_of(version)
    pinned = {} if lock is None else {"lock": lock.read_text(encoding="utf-8")}
    return Recipe(
        name=f"torch-npu-{version}",
        what=f"torch_npu {version}",
        target=managed_environment.folder(f"torch-npu-{version}"),
        described={"packages": wanted, **pinned},
        steps={
            "environment": ("making a virtual environment", _make_environment),
            "packages": (
                f"installing torch_npu {version} and the torch it is built for",
                lambda job: _install_version(job, match[1], version),
            ),
            "proof": ("building the stand-in, and proving that torch_npu runs", _prove),
        },
        needs=_NEEDED_WITH_CUDA,
        pythons=((3, 9), (3, 13)),
    )


def lock_of(version: str) -> Path | None:
    """Return the lock of an environment with this version of torch_npu; ``None`` without one.

    It holds all that lies in the environment but torch.
    """
    path = _LOCKS / f"torch-npu-{version}.txt"
    return path if path.is_file() else None


def site_packages(python: Path) -> Path:
    """Return where the packages of an environment lie, given its interpreter.

    Raises:
        UsageError: it is the interpreter of no virtual environment.
    """
    paths = sorted(python.parent.parent.glob("lib/python3*/site-packages"))
    if not paths:
        raise UsageError(f"{python} must be of a virtual environment, but is of none")
    return paths[0]


def _make_environment(job: Installation) -> None:
    machine, (libc, version) = platform.machine(), platform.libc_ver()
    if machine != "x86_64":
        raise UsageError(
            f"the emulator's wheels are locked for x86_64, but this machine is {machine}"
        )
    release = tuple(int(one) for one in version.split(".")[:2] if one.isdigit())
    if libc != "glibc" or release < _GLIBC:
        raise UsageError(
            f"the emulator needs glibc {_GLIBC[0]}.{_GLIBC[1]} or later (vllm-ascend's wheel is "
            f"built for it), but this machine has {libc or 'another C library'} {version}"
        )
    managed_environment.make_environment(job)


def _install_locked(job: Installation) -> None:
    managed_environment.pip_install(
        job, "--no-deps", "--require-hashes", "--requirement", str(LOCK)
    )


def _install_version(job: Installation, torch: str, version: str) -> None:
    """Install a torch_npu, and torch for CPU; where no index has that build, torch for CUDA.

    torch_npu is pinned to the build for CPU, so it comes without its dependency then. Up to 2.10
    it runs on the other build as well. From 2.11 on it ends at its import there: it registers
    allocator keys that the build for CUDA has registered (c10, "Duplicated key"). The proof tells.

    Raises:
        EngineInstallError: pip failed.
    """
    lock, own = lock_of(version), [f"torch-npu=={version}", *_BESIDE]
    python = job.site_packages.parent.name
    if lock is not None and python == LOCKED_PYTHON:
        own = []
        managed_environment.pip_install(
            job, "--no-deps", "--require-hashes", "--requirement", str(lock)
        )
    else:
        why = "has no lock" if lock is None else f"has a lock for {LOCKED_PYTHON}, not {python}"
        job.say(f"{job.name} {why}: pip installs what it finds, without checking hashes")
    try:
        managed_environment.pip_install(job, f"torch=={torch}+cpu", *own)
    except EngineInstallError:
        job.say(f"{job.name} no build of torch {torch} for CPU: taking the one for CUDA (7 GB)")
        managed_environment.pip_install(job, f"torch=={torch}", *own[1:])
        if own:
            managed_environment.pip_install(job, "--no-deps", own[0])


def _add_metadata(job: Installation) -> None:
    if "vllm" not in job.installed():
        managed_environment.add_metadata(job, "vllm", VLLM)


def _prove(job: Installation) -> None:
    libraries = build.libraries(site_packages(job.python))
    settings = [
        f"{key}={value}" for key, value in EmulatedMachine().environment(libraries).items()
    ]
    code, output = job.run(["env", *settings, str(job.python), "-c", _PROOF], PROOF_SECONDS)
    if code != 0 or "NPUs that do nothing" not in output:
        raise job.failed("torch_npu must run over the stand-in", output)
