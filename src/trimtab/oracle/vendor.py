"""The vendors' installed software: where it lies, which names it mentions, what runs it."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import platformdirs

from trimtab.engines import default_model
from trimtab.errors import EngineError
from trimtab.oracle.model import TORCH_NPU, VLLM_ASCEND
from trimtab.oracle.zygote import CHILD
from trimtab.rehearsal import build, environments
from trimtab.rehearsal.machine import StandIn

_PACKAGES = {TORCH_NPU: "torch_npu", VLLM_ASCEND: "vllm_ascend"}
_KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR")
"""Variables of ours that the child gets. No others: each could be a setting."""

_COMPILE_SECONDS = 60.0


def kinds(python: Path) -> tuple[str, ...]:
    """Return which of the vendors' software is installed: torch_npu, vllm-ascend."""
    place = environments.site_packages(python)
    return tuple(kind for kind, package in _PACKAGES.items() if (place / package).is_dir())


def environment(python: Path, machine: StandIn) -> dict[str, str]:
    """Return the environment of the child program: a machine with NPUs, and no setting.

    Raises:
        EngineError: torch_npu or the C compiler is missing, or the compiler failed.
        UsageError: the stand-in cannot play the machine's chip.
    """
    libraries = build.libraries(environments.site_packages(python))
    return {
        **{name: os.environ[name] for name in _KEPT if name in os.environ},
        **machine.environment(libraries, str(CHILD)),
        "LD_PRELOAD": str(_watcher()),
        "ORACLE_MODEL": str(default_model.ensure()),
        "TORCH_NPU_LOGS": "memory",
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _watcher() -> Path:
    """Return the library that notes who asks for which variable; built once."""
    source = CHILD / "asked.c"
    text = f"{platform.machine()} {platform.libc_ver()}".encode() + source.read_bytes()
    name = f"asked-{hashlib.sha256(text).hexdigest()[:24]}.so"
    library = platformdirs.user_cache_path("trimtab") / "oracle" / name
    if library.is_file():
        return library
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        draft = Path(folder) / name
        command = ["gcc", "-O1", "-shared", "-fPIC", "-o", str(draft), str(source)]
        try:
            answer = subprocess.run(
                command, capture_output=True, text=True, timeout=_COMPILE_SECONDS
            )
        except FileNotFoundError:
            raise EngineError(
                "the oracle builds a small library and needs gcc, which is not on PATH: install it"
            ) from None
        if answer.returncode != 0:
            lines = answer.stderr.strip().splitlines() or ["no word"]
            raise EngineError(f"gcc could not build the oracle's library: {lines[-1]}")
        draft.replace(library)
    return library


def mentions(python: Path, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return name → the software whose Python files or libraries hold it as a whole word."""
    wanted = sorted(set(names))
    if not wanted:
        return {}
    place = environments.site_packages(python)
    found: dict[str, list[str]] = {name: [] for name in wanted}
    for kind, package in _PACKAGES.items():
        for name in _held(place / package, wanted):
            found[name].append(kind)
    return {name: tuple(kinds) for name, kinds in found.items()}


def _held(package: Path, names: Iterable[str]) -> Iterator[str]:
    """Yield the names that any file of a package holds, each once."""
    missing = {name: _whole(name) for name in names}
    for path in _files(package):
        if not missing:
            return
        text = path.read_bytes()
        for name, whole in list(missing.items()):
            # the plain search is faster by far, and nearly all files end here
            if name.encode() in text and whole.search(text):
                del missing[name]
                yield name


def _whole(name: str) -> re.Pattern[bytes]:
    return re.compile(rb"(?<!\w)" + re.escape(name.encode()) + rb"(?!\w)")


def _files(package: Path) -> Iterator[Path]:
    for pattern in ("**/*.py", "lib/libtorch_npu.so", "_C*.so", "*_C*.so"):
        yield from (path for path in package.glob(pattern) if path.stat().st_size)
