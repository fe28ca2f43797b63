"""The vendors' installed software: where it lies, which names it mentions, what runs it."""

from __future__ import annotations

import hashlib
import mmap
import os
import platform
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from trimtab.emulator import build, environments
from trimtab.emulator.machine import StandIn
from trimtab.errors import EngineError
from trimtab.oracle import wide_model
from trimtab.oracle.model import TORCH_NPU, VLLM_ASCEND
from trimtab.oracle.zygote import CHILD

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
        "ORACLE_MODEL": str(wide_model.ensure()),
        # what vLLM and transformers find out by reading themselves
        "VLLM_CACHE_ROOT": str(build.cache("oracle") / "vllm"),
        "ORACLE_KEPT": str(build.cache("oracle")),
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
    library = build.cache("oracle") / name
    if library.is_file():
        return library
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
    return _holders(python, names, _PACKAGES, _FILES)


def beside(python: Path, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return name → which of torch and vLLM hold it as a whole word.

    Their libraries are large: seconds for a name that nothing holds. Ask only about names that
    the vendors' own software does not mention.
    """
    return _holders(python, names, {"torch": "torch", "vllm": "vllm"}, _FILES_BESIDE)


_FILES = ("**/*.py", "lib/libtorch_npu.so", "_C*.so", "*_C*.so")
_FILES_BESIDE = ("**/*.py", "lib/*.so*", "*.so")


def _holders(
    python: Path, names: Iterable[str], packages: Mapping[str, str], files: Iterable[str]
) -> dict[str, tuple[str, ...]]:
    wanted = sorted(set(names))
    if not wanted:
        return {}
    place = environments.site_packages(python)
    found: dict[str, list[str]] = {name: [] for name in wanted}
    for kind, package in packages.items():
        paths = (path for pattern in files for path in (place / package).glob(pattern))
        for name in _held(paths, wanted):
            found[name].append(kind)
    return {name: tuple(kinds) for name, kinds in found.items()}


def _held(paths: Iterable[Path], names: Iterable[str]) -> Iterator[str]:
    """Yield the names that any of the files holds, each once."""
    missing = {name: re.compile(rb"(?<!\w)%b(?!\w)" % re.escape(name.encode())) for name in names}
    for path in paths:
        if not missing:
            return
        if not path.stat().st_size:
            continue
        with _opened(path) as text:
            here = [name for name, whole in missing.items() if _holds(text, name, whole)]
        for name in here:
            del missing[name]
            yield name


def _holds(text: bytes | mmap.mmap, name: str, whole: re.Pattern[bytes]) -> bool:
    # the plain search is faster by far, and nearly all files end with it
    at = text.find(name.encode())
    while at >= 0:
        if whole.match(text, at):
            return True
        at = text.find(name.encode(), at + 1)
    return False


@contextmanager
def _opened(path: Path) -> Iterator[bytes | mmap.mmap]:
    """Yield a file's bytes; those of a library without a copy of it in memory."""
    if path.suffix == ".py":
        yield path.read_bytes()
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        yield mapped
