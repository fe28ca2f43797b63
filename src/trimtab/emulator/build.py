"""Builds the stand-in libraries for an installed torch_npu; one build for one wheel.

The libraries are cached under a digest of torch_npu's own libraries (as its RECORD lists them) and
of our sources: another wheel, or another version of trimtab, is built beside.

Which names the installed torch_npu asks the CANN libraries for.

They are read from its shared objects, so that another version of torch_npu needs no edit here:
names that its dynamic linker resolves are undefined symbols, names that it looks up itself (dlsym)
are texts in the file.

C for the names that need not be written by hand. Pure.

C and not assembler, so that it builds for every architecture that the wheels exist for.
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
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from trimtab.errors import EngineError

_RUNTIME = re.compile(rb"(?:acl|rt[A-Z]|Hccl|hccl|Msprof|mstx|dcmi)\w+")
_OPERATOR = re.compile(rb"aclnn[A-Za-z0-9]+")
_OPERATOR_HELP = re.compile(
    rb"acl[A-Z][A-Za-z]+|(?:Un)?InitHugeMem[A-Za-z]*|ReleaseHugeMem"
    rb"|PTAGetExecCache|InitPTACacheThreadLocal|SetPTAHashKey|CanUsePTACache"
)
_WORKSPACE = "GetWorkspaceSize"
_TEXT = re.compile(rb"[\x20-\x7e]{5,}")
_CALLED_BY_OTHERS = ("aclnnSwiGlu",)
"""Operators that vllm-ascend calls through torch_npu under a name put together at run time."""

_NM_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Names:
    """The names to export: of the runtime, of the operators, of ATB (mangled C++ names)."""

    runtime: tuple[str, ...]
    operators: tuple[str, ...]
    atb: tuple[str, ...]


def required_names(torch_npu: Path) -> Names:
    """Return what the torch_npu package in the folder ``torch_npu`` asks for, sorted.

    Raises:
        EngineError: there are no libraries in it, or ``nm`` cannot read them.
    """
    libraries = sorted((torch_npu / "lib").glob("*.so*"))
    if not libraries:
        raise EngineError(f"{torch_npu} must hold torch_npu's libraries in lib, but does not")
    undefined = {name for library in libraries for name in _undefined(library)}
    texts = {library.name: _texts(library) for library in libraries}
    main = texts.get("libtorch_npu.so", set())
    runtime = {one for one in undefined | main if _matches(_RUNTIME, one)}
    operators = {
        found.decode().removesuffix(_WORKSPACE)
        for group in texts.values()
        for text in group
        for found in _OPERATOR.findall(text.encode())
    }
    help_ = {one for one in main if _matches(_OPERATOR_HELP, one)}
    both = {*operators, *_CALLED_BY_OTHERS}
    return Names(
        runtime=_sorted(one for one in runtime if not one.startswith("aclnn")),
        operators=_sorted({*both, *(one + _WORKSPACE for one in both), *help_}),
        atb=_sorted(one for one in undefined if "3atb" in one),
    )


def _matches(pattern: re.Pattern[bytes], name: str) -> bool:
    return pattern.fullmatch(name.encode()) is not None


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))


def _texts(library: Path) -> set[str]:
    return {one.decode("ascii") for one in _TEXT.findall(library.read_bytes())}


def _undefined(library: Path) -> set[str]:
    command = ["nm", "--dynamic", "--undefined-only", "--format=posix", str(library)]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=_NM_SECONDS, check=True
        )
    except FileNotFoundError:
        raise EngineError(
            "the emulator needs nm, which comes with a C compiler: install gcc, g++ and binutils"
        ) from None
    except subprocess.SubprocessError as error:
        raise EngineError(f"nm could not read {library}: {error}") from error
    return {line.split()[0].partition("@")[0] for line in answer.stdout.splitlines() if line}


_DEFINED = re.compile(r"^(?:[A-Za-z_][\w ]*?[ *])((?:acl|rt|Hccl|hccl|dcmi)\w+)\(", re.MULTILINE)
_LARGEST = "GetMaxWorkspaceSize"


def defined_names(source: str) -> set[str]:
    """Return the names of the runtime that a C source defines itself."""
    return set(_DEFINED.findall(source))


def zero_stubs(names: Iterable[str]) -> str:
    """Return C that exports each name as a function that returns success."""
    return "".join(f"long {name}(void) {{ return 0; }}\n" for name in names)


def operator_stubs(names: Sequence[str]) -> str:
    """Return C for operators: one call plans an operator, the next launches it on a stream.

    An operator is two functions: ``aclnnXGetWorkspaceSize(tensors…, &size, &executor)`` and
    ``aclnnX(workspace, size, executor, stream)`` (CANN's documentation of single operators). Both
    tell the device's clock; neither computes. ``aclnnXGetMaxWorkspaceSize`` launches nothing.
    """
    asked = sorted({name for name in names if name.endswith(_LARGEST)})
    planned = {name.removesuffix(_WORKSPACE) for name in names if name.endswith(_WORKSPACE)}
    pairs = sorted(planned.difference(asked))
    written = {*asked, *pairs, *(one + _WORKSPACE for one in planned)}
    lines = ['#include "standin.h"', '#include "tensors.h"', *map(_operator, pairs)]
    lines += [f"int {one}(void) {{ standin_forget(); return 0; }}" for one in asked]
    return "\n".join(lines) + "\n" + zero_stubs(name for name in names if name not in written)


def alias_stubs(names: Sequence[str]) -> str:
    """Return C that lets each mangled ATB name call its function of atb.cc.

    A mangled name is a valid identifier of C; all of these functions take at most two pointers.
    """
    lines = [
        "long standin_atb_operation(const void *, void *);",
        "long standin_atb_context(void *, void *);",
        "long standin_atb_nothing(void *, void *);",
        *(f"long {name}(void *a, void *b) {{ return {_atb(name)}(a, b); }}" for name in names),
    ]
    return "\n".join(lines) + "\n"


def _operator(name: str) -> str:
    return (
        f'static struct standin_operator of_{name} = {{.name = "{name}"}};\n'
        f"int {name}{_WORKSPACE}(void *first) {{ return standin_plan(&of_{name}, first); }}\n"
        f"int {name}(void *workspace, uint64_t size, void *executor, void *stream) "
        "{ (void)workspace; (void)size; (void)executor; "
        f"return standin_launch(&of_{name}, stream); }}"
    )


def _atb(name: str) -> str:
    if "CreateOperation" in name:
        return "standin_atb_operation"
    return "standin_atb_context" if "CreateContext" in name else "standin_atb_nothing"


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
            "run 'trimtab engine install ascend-emulator'"
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
        _build(required_names(site_packages / "torch_npu"), draft)
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
    for path in (*sorted(own), Path(__file__)):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:24]


def _build(wanted: Names, folder: Path) -> None:
    written = sorted(SOURCES.glob("*.c"))
    own = {name for path in written for name in defined_names(path.read_text(encoding="utf-8"))}
    rest = zero_stubs(one for one in wanted.runtime if one not in own)
    runtime = [*written, _write(folder / "rest.c", rest)]
    _compile("gcc", folder, "libascendcl", runtime)
    empty = _write(folder / "empty.c", "")
    for name in _SAME_CODE:
        _compile("gcc", folder, name, [empty], "-L.", "-lascendcl")
    named = [
        operator for operator in wanted.operators if operator not in own
    ]  # torch_npu looks here first
    operators = _write(folder / "operators.c", operator_stubs(named))
    for name in _OPERATORS:
        _compile("gcc", folder, name, [operators], "-L.", "-lascendcl")
    aliases = _write(folder / "aliases.c", alias_stubs(wanted.atb))
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
            f"the emulator builds a small library and needs {compiler}, which is not on PATH: "
            "install gcc and g++"
        ) from None
    except subprocess.TimeoutExpired as error:
        raise EngineError(f"{compiler} did not finish {name} in time: {error}") from error
    if answer.returncode != 0:
        last = answer.stderr.strip().splitlines()
        raise EngineError(f"{compiler} could not build {name}: {last[-1] if last else 'no word'}")
