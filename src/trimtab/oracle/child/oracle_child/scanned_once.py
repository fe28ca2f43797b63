"""Run after transformers' helper for imports: its models' exports are read once.

transformers reads 2,700 files when it is imported, and again for the package of the models. What
they export is kept for as long as the folder is the one that was read: an installation makes it
anew.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import marshal
import os
from pathlib import Path
from typing import Any

KEPT = "ORACLE_KEPT"
"""Variable with the folder for what is kept from one child to the next."""

_imports: Any = importlib.import_module("transformers.utils.import_utils")
_read = _imports.create_import_structure_from_path


@functools.cache
def _exports_of(folder: Path) -> Any:
    known = f"{folder} {folder.stat().st_mtime_ns}"
    kept = Path(os.environ[KEPT], f"exports-{hashlib.sha256(known.encode()).hexdigest()[:24]}")
    with contextlib.suppress(OSError, EOFError, ValueError, TypeError):
        return marshal.loads(kept.read_bytes())  # noqa: S302  we wrote it
    _imports.create_import_structure_from_path = _read  # which calls itself for what is in it
    try:
        found = _read(folder)
    finally:
        _imports.create_import_structure_from_path = _exports
    with contextlib.suppress(OSError):  # it was read, and can be again
        draft = kept.with_suffix(f".{os.getpid()}")
        draft.write_bytes(marshal.dumps(found))
        draft.replace(kept)
    return found


def _exports(path: str) -> Any:
    place = Path(path)
    return _exports_of(place.parent if place.is_file() else place)


_imports.create_import_structure_from_path = _exports
