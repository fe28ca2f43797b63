"""Replacing a file: whole or not at all, with its owner and mode kept."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from trimtab.errors import HostError
from trimtab.prepare.journal import sync


def replace(path: Path, data: bytes) -> None:
    """Give a file another content.

    The new one is on disk under another name before it takes the old one's; a link keeps leading
    where it leads. A draft that a killed run left is overwritten.

    Raises:
        HostError: the file cannot be written; it is as it was.
    """
    target = path.resolve()
    draft = target.with_name(f".{target.name}.trimtab")
    try:
        was = target.stat()
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), was.st_mode & 0o7777)
            os.fchown(file.fileno(), was.st_uid, was.st_gid)
            os.fsync(file.fileno())
        draft.replace(target)
        sync(target.parent)
    except OSError as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise HostError(f"cannot replace {path}: {error.strerror or error}") from error


def clear_draft(path: Path) -> None:
    """Remove what a run that was killed while replacing has left beside a file."""
    target = path.resolve()
    with suppress(OSError):
        target.with_name(f".{target.name}.trimtab").unlink(missing_ok=True)
