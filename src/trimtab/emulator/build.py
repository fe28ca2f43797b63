"""Builds the stand-in libraries for an installed torch_npu; one build for one wheel.

The libraries are cached under a digest of torch_npu's own libraries (as its RECORD lists them) and
of our sources: another wheel, or another version of trimtab, is built beside.
"""

from __future__ import annotations

import contextlib
import hashlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import platformdirs

from trimtab.emulator import names, stubs
from trimtab.errors import EngineError

SOURCES = Path(__file__).with_name("runtime")

_SAME_CODE = (
    "libacl_op_compiler",
    "libhccl",
    "libge_runner",
    "libgraph",
    "libacl_tdt_channel",
    "libdcmi",
    "libnnopbase",
)
"""Sonames that torch_npu is linked with or opens; their names lie in the runtime's library."""

_OPERATORS = ("libopapi", "libcust_opapi", "libaclnn_ops_infer", "libaclnn_math")
"""Libraries in which torch_npu looks operators up, in its order."""

_OPERATOR = re.compile(rb"aclnn[A-Za-z0-9]+")
_DRAFT = ".building-"
_COMPILE_SECONDS = 300.0
_ABANDONED_SECONDS = 3600.0


def libraries(site_packages: Path) -> Path:
    """Return the folder of the libraries for the torch_npu in ``site_packages``; build if needed.

    Raises:
        EngineError: there is no torch_npu, no compiler, no cache folder, or the compiler failed.
    """
    record = next(site_packages.glob("torch_npu-*.dist-info/RECORD"), None)
    if record is None:
        raise EngineError(
            f"{site_packages} must hold torch_npu, but does not: "
            "run 'trimtab engine install ascend-rehearsal'"
        )
    digest = _digest(record)
    folder = cache("standin") / digest
    if folder.is_dir():
        return folder
    _sweep(folder.parent)
    try:
        draft = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=folder.parent))
    except OSError as error:
        raise _no_cache(folder.parent, error) from error
    try:
        _build(names.requested_names(site_packages / "torch_npu"), draft)
        draft.rename(folder)
    except OSError:
        if not folder.is_dir():  # else another process was faster
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def cache(name: str) -> Path:
    """Return the folder ``name`` of trimtab's cache, made if it is missing.

    Raises:
        EngineError: it cannot be made.
    """
    folder = platformdirs.user_cache_path("trimtab") / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _no_cache(folder, error) from error
    return folder


def _no_cache(folder: Path, error: OSError) -> EngineError:
    return EngineError(
        f"the cache folder {folder} cannot be written to ({error.strerror}): set XDG_CACHE_HOME "
        "to a folder that can be"
    )


def operators(libraries: Path) -> frozenset[str]:
    """Return the operators that can be launched with built ``libraries``."""
    texts = (libraries / f"{_OPERATORS[0]}.so").read_bytes()
    found = {one.decode() for one in _OPERATOR.findall(texts)}
    return frozenset(one for one in found if not one.endswith("WorkspaceSize"))


def _sweep(cache: Path) -> None:
    """Remove what builders that were killed have left: a build takes seconds, not an hour."""
    for draft in cache.glob(f"{_DRAFT}*"):
        with contextlib.suppress(FileNotFoundError):  # another process sweeps too
            if time.time() - draft.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(draft, ignore_errors=True)


def _digest(record: Path) -> str:
    digest = hashlib.sha256(record.read_bytes())
    digest.update(f"{sys.platform} {platform.machine()} {platform.libc_ver()}".encode())
    own = [*SOURCES.glob("*.[ch]"), *SOURCES.glob("*.cc")]
    for one in (*sorted(own), Path(__file__), Path(stubs.__file__), Path(names.__file__)):
        digest.update(one.read_bytes())
    return digest.hexdigest()[:24]


def _build(wanted: names.Names, folder: Path) -> None:
    written = sorted(SOURCES.glob("*.c"))
    own = {
        name for one in written for name in stubs.defined_names(one.read_text(encoding="utf-8"))
    }
    rest = stubs.returning_zero(one for one in wanted.runtime if one not in own)
    runtime = [*written, _write(folder / "rest.c", rest)]
    _compile("gcc", folder, "libascendcl", runtime)
    empty = _write(folder / "empty.c", "")
    for name in _SAME_CODE:
        _compile("gcc", folder, name, [empty], "-L.", "-lascendcl")
    named = [one for one in wanted.operators if one not in own]  # torch_npu looks here first
    operators = _write(folder / "operators.c", stubs.operator_stubs(named))
    for name in _OPERATORS:
        _compile("gcc", folder, name, [operators], "-L.", "-lascendcl")
    aliases = _write(folder / "aliases.c", stubs.alias_stubs(wanted.atb))
    _compile("gcc", folder, "libatb_aliases", [aliases], "-Wl,--unresolved-symbols=ignore-all")
    _compile("g++", folder, "libatb", [SOURCES / "atb.cc"], "-L.", "-latb_aliases", "-lascendcl")


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def _compile(
    compiler: str, folder: Path, name: str, sources: Sequence[Path], *options: str
) -> None:
    command = [
        compiler,
        "-std=gnu11" if compiler == "gcc" else "-std=gnu++17",
        "-O1",
        "-shared",
        "-fPIC",
        "-pthread",
        f"-I{SOURCES}",
    ]
    command += ["-o", f"{name}.so", *map(str, sources), f"-Wl,-soname,{name}.so"]
    command += ["-Wl,--no-as-needed", "-Wl,-rpath,$ORIGIN", *options]
    try:
        answer = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=_COMPILE_SECONDS
        )
    except FileNotFoundError:
        raise EngineError(
            f"the rehearsal builds a small library and needs {compiler}, which is not on PATH: "
            "install gcc and g++"
        ) from None
    except subprocess.TimeoutExpired as error:
        raise EngineError(f"{compiler} did not finish {name} in time: {error}") from error
    if answer.returncode != 0:
        last = answer.stderr.strip().splitlines()
        raise EngineError(f"{compiler} could not build {name}: {last[-1] if last else 'no word'}")
