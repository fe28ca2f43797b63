"""LLVM's BOLT, and whether it can do what a CPython's build will ask of it.

CPython sets options that BOLT has learned over its releases; one that it does not know ends the
build after the profile was taken, many minutes later.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from trimtab.environments.installing import Run
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
