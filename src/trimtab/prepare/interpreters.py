"""Where an optimized Python comes from: the one place that knows of ``trimtab python``.

Three commands of it are used: ``build`` (from the distribution's source), ``fetch`` (a ready build
with PGO and LTO) and ``list --json``, whose rows have ``version``, ``options`` and ``python``.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from typing import Final

import platformdirs

from trimtab.errors import HostError
from trimtab.host import Host
from trimtab.prepare.matrix import Span

BY_HAND: Final = (
    "build CPython with --enable-optimizations --with-lto, or take an interpreter that is built "
    "so, and name it with --python"
)
NAME: Final = "prepared"
"""What the interpreter is called in the list of ``trimtab python``."""

_COMMAND: Final = "trimtab.commands.python"
_TRIMTAB: Final = (sys.executable, "-m", "trimtab", "python")


def available() -> bool:
    """Whether this trimtab can build an interpreter."""
    return importlib.util.find_spec(_COMMAND) is not None


def folder() -> str:
    """Return where the interpreter is made."""
    return str(platformdirs.user_data_path("trimtab") / "pythons" / NAME)


def command(version: str, *, distribution: bool) -> tuple[str, ...]:
    """Return the command that makes an optimized Python ``version`` ("3.12").

    ``distribution``: the distribution's Python is of that version, so its source is built, with
    its security fixes; else a ready build is fetched.
    """
    if distribution:
        return (*_TRIMTAB, "build", "--source", "distribution", "--name", NAME)
    return (*_TRIMTAB, "fetch", version, "--name", NAME)


def made(host: Host, span: Span) -> str:
    """Return an interpreter that ``trimtab python`` has made of a fitting version; "" if none."""
    if not available():
        return ""
    try:
        rows = json.loads(host.run((*_TRIMTAB, "list", "--json"), timeout=60.0))
    except (HostError, ValueError):
        return ""
    for row in rows if isinstance(rows, list) else ():
        options = row.get("options", {})
        version = tuple(int(part) for part in str(row.get("version", "0")).split(".")[:2])
        if options.get("pgo") and options.get("lto") and span[0] <= version < span[1]:
            return str(row.get("python", ""))
    return ""
