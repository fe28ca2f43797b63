"""LLVM's BOLT, and whether it can do what a CPython's build will ask of it.

CPython sets options that BOLT has learned over its releases; one that it does not know ends the
build after the profile was taken, many minutes later.

What a build of CPython needs of the machine: looked for first, because it takes long to fail.

The headers are those of modules that a serving engine imports: without them CPython builds, and
then vLLM does not start.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from trimtab.environments.installer import Run
from trimtab.errors import InterpreterError

_OLDEST = 16
"""LLVM 15.0.6 crashes on ``-update-debug-sections``, which CPython asks for (tried on 3.13.5)."""

_PROBE_SECONDS = 60.0
_ADVICE = (
    "install a newer BOLT and put its programs first on PATH (apt-get install bolt-19, then "
    "PATH=/usr/lib/llvm-19/bin:$PATH; or dnf install llvm-bolt), or leave --bolt out"
)


def require_bolt(run: Run) -> None:
    """Make sure that BOLT's programs are there, and not too old.

    Raises:
        InterpreterError: they are not.
    """
    absent = [one for one in ("llvm-bolt", "merge-fdata") if shutil.which(one) is None]
    if absent:
        raise InterpreterError(
            f"--bolt needs {' and '.join(absent)} on PATH, and there is none: {_ADVICE}"
        )
    _, told = run(["llvm-bolt", "--version"], _PROBE_SECONDS)
    found = re.search(r"LLVM version (\d+)\.\S*", told)
    if found is not None and int(found[1]) < _OLDEST:
        raise InterpreterError(
            f"--bolt needs BOLT of LLVM {_OLDEST} or later, but llvm-bolt is of "
            f"{found[0].removeprefix('LLVM version ')}: {_ADVICE}"
        )


def check_bolt(run: Run, tree: Path) -> None:
    """Make sure that BOLT can order functions as a configured source will ask.

    Raises:
        InterpreterError: it does not know the algorithm (``cdsort`` since CPython 3.13).
    """
    makefile = (tree / "Makefile").read_text(encoding="utf-8", errors="replace")
    asked = re.search(r"-reorder-functions=(\S+)", makefile)
    _, told = run(["llvm-bolt", "--help-hidden"], _PROBE_SECONDS)
    if asked is not None and not re.search(rf"^\s*={re.escape(asked[1])}\s", told, re.MULTILINE):
        raise InterpreterError(
            f"this CPython asks BOLT for -reorder-functions={asked[1]}, which the llvm-bolt on "
            f"PATH does not know: {_ADVICE}"
        )


PROBE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Need:
    """One thing to have: ``what`` in words, and the packages of apt and dnf that bring it."""

    what: str
    apt: str
    dnf: str


HEADERS: dict[str, Need] = {
    "openssl/ssl.h": Need("OpenSSL's headers (ssl)", "libssl-dev", "openssl-devel"),
    "zlib.h": Need("zlib's headers (zlib)", "zlib1g-dev", "zlib-devel"),
    "ffi.h": Need("libffi's headers (ctypes)", "libffi-dev", "libffi-devel"),
    "bzlib.h": Need("bzip2's headers (bz2)", "libbz2-dev", "bzip2-devel"),
    "lzma.h": Need("liblzma's headers (lzma)", "liblzma-dev", "xz-devel"),
    "sqlite3.h": Need("SQLite's headers (sqlite3)", "libsqlite3-dev", "sqlite-devel"),
}
MODULES = ("ssl", "zlib", "ctypes", "bz2", "lzma", "sqlite3", "hashlib", "pyexpat", "ensurepip")
"""What the finished interpreter must be able to import."""

_COMPILER = Need("a C compiler", "gcc", "gcc")
_HEADERS_OF_C = Need("the C library's headers", "libc6-dev", "glibc-devel")
_MAKE = Need("make", "make", "make")


def compiler() -> str | None:
    """Return the C compiler that ``configure`` will take: $CC, gcc or cc."""
    asked = os.environ.get("CC", "").split()
    found = (shutil.which(one) for one in (*asked[:1], "gcc", "cc", "clang"))
    return next((one for one in found if one), None)


def check_needs(run: Run) -> None:
    """Make sure that everything is there.

    Raises:
        InterpreterError: something is missing; all of it is named, with its packages.
    """
    program = compiler()
    missing = [] if shutil.which("make") else [_MAKE]
    if program is None:
        missing.insert(0, _COMPILER)
    elif not _compiles(run, program, ("stdio.h",)):
        missing.append(_HEADERS_OF_C)
    elif not _compiles(run, program, HEADERS):
        missing += [
            need for header, need in HEADERS.items() if not _compiles(run, program, (header,))
        ]
    if missing:
        raise InterpreterError(sentence(missing))


def sentence(missing: Iterable[Need]) -> str:
    """Return what is missing, and the commands that install it."""
    needs = list(missing)
    return (
        f"building Python needs {', '.join(one.what for one in needs)}: "
        f"apt-get install {' '.join(one.apt for one in needs)}, "
        f"or dnf install {' '.join(one.dnf for one in needs)}"
    )


def _compiles(run: Run, program: str, headers: Iterable[str]) -> bool:
    """Whether a source that includes the headers passes the preprocessor."""
    lines = "".join(f"#include <{header}>\\n" for header in headers)
    command = f"printf '{lines}' | '{program}' -E -x c - > /dev/null"
    return run(["sh", "-c", command], PROBE_SECONDS)[0] == 0
