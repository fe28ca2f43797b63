"""Where an optimized Python comes from: the one place that knows of ``trimtab python``.

Two commands of it are run: ``build`` (from the distribution's source) and ``fetch`` (a ready build
with PGO and LTO); what they have made is on its record.
"""

from __future__ import annotations

import sys
from typing import Final

from trimtab.interpreters import store
from trimtab.prepare.matrix import Span

_TRIMTAB: Final = (sys.executable, "-m", "trimtab", "python")


def folder(version: str) -> str:
    """Return where the interpreter of a version ("3.12") is made."""
    return str(store.folder() / _name(version))


def command(version: str, *, distribution: bool) -> tuple[str, ...]:
    """Return the command that makes an optimized Python ``version`` ("3.12").

    ``distribution``: the distribution's Python is of that version, so its source is built, with
    its security fixes; else a ready build is fetched.
    """
    if distribution:
        return (*_TRIMTAB, "build", "--source", "distribution", "--name", _name(version))
    return (*_TRIMTAB, "fetch", version, "--name", _name(version))


def made(span: Span) -> str:
    """Return an interpreter that ``trimtab python`` has made of a fitting version; "" if none."""
    for one in store.listed():
        version = tuple(int(part) for part in one.version.split(".")[:2])
        if one.options.get("pgo") and one.options.get("lto") and span[0] <= version < span[1]:
            return str(store.binary(store.folder() / one.name, one.version))
    return ""


def _name(version: str) -> str:
    """Return what the interpreter is called in the list of ``trimtab python``."""
    return f"prepared-{version}"
