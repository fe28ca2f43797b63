"""The vendors' installed software: where it lies, which names it mentions, what runs it.

Where the vendors' software lies: the emulator's environment, or one of another torch_npu.

The model that the oracle's configurations are made for: the built-in one, with more heads.

vLLM refuses a number of workers that does not divide a model's attention heads. A configuration
loads no weights, so the oracle's model can have as many as the largest servers need.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from trimtab.catalog.releases import torch_npu as asked_versions
from trimtab.emulator import build, environments, machine
from trimtab.emulator.machine import EmulatedMachine
from trimtab.engines import default_model
from trimtab.environments import managed_environment
from trimtab.errors import EngineError, EngineMissingError, UsageError
from trimtab.oracle.executor import CHILD
from trimtab.oracle.model import TORCH_NPU, VLLM_ASCEND

CHIPS = {"A2": "910B3", "A3": "910_93", "310P": "310P", "950": "950"}
"""Series, as ``--context`` of lint calls it → the chip that the stand-in plays."""


def interpreter(torch_npu: str = "") -> Path:
    """Return the interpreter to ask, of a version of torch_npu; "" is the emulator's own.

    Raises:
        EngineMissingError: the environment is not installed.
        UsageError: ``torch_npu`` is not written like a version.
    """
    recipe = environments.torch_npu(torch_npu) if torch_npu else environments.engine()
    path = managed_environment.interpreter(recipe)
    if path is not None:
        return path
    if recipe.name == environments.NAME:
        raise EngineMissingError(
            "the oracle asks the vendors' software, which is not installed: "
            f"run 'trimtab engine install {environments.NAME}'"
        )
    raise EngineMissingError(
        f"torch_npu {torch_npu} is not installed beside: "
        f"run 'trimtab engine install {environments.NAME} --torch-npu {torch_npu}'"
    )


def nearest_interpreter(torch_npu: str) -> Path:
    """Return the interpreter of a version of torch_npu, or the emulator's own where it has none.

    The end of a version may be left out (2.9 for 2.9.0.post9); "" is the emulator's own.

    Raises:
        EngineMissingError: the emulator's own is wanted, and not installed.
    """
    wanted = public_version(torch_npu)
    if wanted:
        known = (environments.TORCH_NPU, *asked_versions().versions)
        for version in (wanted, *(one for one in known if one.startswith(f"{wanted}."))):
            try:
                return interpreter(version)
            except (EngineMissingError, UsageError):
                continue  # not installed beside, or not written like a whole version
    return interpreter()


def public_version(version: str) -> str:
    """Return a version without a "v" before it and a local part ("+cpu") behind it."""
    return version.partition("+")[0].removeprefix("v")


def chip(name: str) -> str:
    """Return the chip to play, from a series or a chip's own name.

    Raises:
        UsageError: it is neither.
    """
    known = {**{one: one for one in machine.CHIPS}, **CHIPS}
    if name not in known:
        names = ", ".join(dict.fromkeys((*CHIPS, *machine.CHIPS)))
        raise UsageError(f"--chip must be one of {names}, but is {name!r}")
    return known[name]


HEADS = 192
"""1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96 and 192 workers divide it."""

_CONFIG = "config.json"


def ensure_model() -> Path:
    """Return the model's folder, made if it is missing. It appears complete or not at all.

    Raises:
        EngineError: the cache folder cannot be made.
    """
    source = default_model.ensure()
    text = json.dumps({**default_model.CONFIG, "num_attention_heads": HEADS}, indent=1)
    name = f"{default_model.NAME}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    target = build.cache("oracle") / name
    if target.is_dir():
        return target
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        draft = Path(folder) / name
        # the stamp is about the built-in model's own files
        shutil.copytree(source, draft, ignore=shutil.ignore_patterns("trimtab-*.json"))
        (draft / _CONFIG).write_text(text, encoding="utf-8")
        try:
            draft.replace(target)
        except OSError:
            if not target.is_dir():  # else another process was first
                raise
    return target


_PACKAGES = {TORCH_NPU: "torch_npu", VLLM_ASCEND: "vllm_ascend"}
_KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR")
"""Variables of ours that the child gets. No others: each could be a setting."""

_COMPILE_SECONDS = 60.0


def kinds(python: Path) -> tuple[str, ...]:
    """Return which of the vendors' software is installed: torch_npu, vllm-ascend."""
    place = environments.site_packages(python)
    return tuple(kind for kind, package in _PACKAGES.items() if (place / package).is_dir())


def environment(python: Path, machine: EmulatedMachine) -> dict[str, str]:
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
        "ORACLE_MODEL": str(ensure_model()),
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


def framework_mentions(python: Path, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
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
