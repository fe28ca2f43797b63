"""Files and programs that a user names; a file is plain, bounded, and never waited for."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from pathlib import Path

from trimtab.errors import UsageError

_INHERITED = ("/dev/stdin", "/dev/fd/", "/proc/self/fd/", "/dev/null")
"""Paths that the caller's shell has opened: of a process substitution, of standard input."""

_LONGEST = 4096
"""Bytes of a path that Linux takes at most."""


def read(path: Path, limit: int) -> bytes:
    """Return the content of a file of at most ``limit`` bytes.

    Raises:
        OSError: it is missing, larger, or no plain file (a FIFO may never end), or the system
            refuses to read it; ``strerror`` says which.
    """
    if is_inherited(path):
        with path.open("rb") as file:
            return _bounded(path, file.read(limit + 1), limit)
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:  # a NUL, from a file that names this one
        raise OSError(errno.EINVAL, str(error), str(path)) from error
    with os.fdopen(handle, "rb") as file:
        kind = os.fstat(handle).st_mode
        if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):
            raise OSError(errno.EINVAL, "it is no plain file, and may never end", str(path))
        return _bounded(path, file.read(limit + 1), limit)


def is_inherited(path: Path) -> bool:
    """Whether a path is what the caller's shell has opened, such as ``<(command)``."""
    return str(path).startswith(_INHERITED)


def _bounded(path: Path, data: bytes, limit: int) -> bytes:
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"it has more than {limit:,} bytes", str(path))
    return data


def require_program(option: str, given: str) -> None:
    """Make sure that an option's value is a program: a path, or a name on PATH.

    Raises:
        UsageError: it is none.
    """
    path = str(Path(given).expanduser())
    if len(given) > _LONGEST or shutil.which(path) is None:
        raise UsageError(f"{option} must be an interpreter, but {given} is none: name its path")


def require_folder(option: str, folder: Path) -> None:
    """Make sure that an option's value is a folder, or can become one.

    Raises:
        UsageError: it is something else, below something else, or no name for a file.
    """
    for path in (folder, *folder.parents):
        if os.path.lexists(path) and not path.is_dir():
            raise UsageError(f"{option} must be a folder, but {path} is none: name another")
    try:
        folder.exists()  # raises on what no file system takes as a name
    except OSError as error:
        raise UsageError(f"{option} {folder}: {error.strerror}: name another folder") from error


def require_place(option: str, path: Path) -> None:
    """Make sure that a file can be made at a path, before the work whose result it shall hold.

    Raises:
        UsageError: there is no folder to hold it, or it is a folder itself.
    """
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise UsageError(f"{option} must be a file in a folder that exists, but is {path}")
