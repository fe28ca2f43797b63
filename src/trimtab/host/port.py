"""What trimtab needs of a machine, and what both kinds of it share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from trimtab.errors import HostError

LIMIT = 16 * 1024 * 1024
"""Bytes that ``read`` accepts at most: the maps of a large process fit, a device does not."""


class Host(Protocol):
    """What trimtab needs of a machine. Failures raise `HostError` with one line."""

    def read(self, path: str, limit: int = LIMIT) -> str:
        """Return the text of a file of at most ``limit`` bytes."""
        ...

    def head(self, path: str, size: int) -> bytes:
        """Return the first ``size`` bytes of a file, or all of a smaller one."""
        ...

    def exists(self, path: str) -> bool:
        """Whether the path names something (links are followed)."""
        ...

    def glob(self, pattern: str) -> tuple[str, ...]:
        """Return the absolute paths that match, sorted."""
        ...

    def listdir(self, path: str) -> tuple[str, ...]:
        """Return the names in a folder, sorted."""
        ...

    def readlink(self, path: str) -> str:
        """Return the text of a symbolic link."""
        ...

    def resolve(self, path: str) -> str:
        """Return the path with every symbolic link followed."""
        ...

    def write(self, path: str, text: str) -> None:
        """Replace the content of an existing file in place (a kernel setting, as a rule)."""
        ...

    def install(self, path: str, data: bytes) -> None:
        """Make a configuration file, or replace one: complete on disk, or not at all.

        A file that was there keeps its owner and mode.
        """
        ...

    def link(self, path: str, target: str) -> None:
        """Make a symbolic link, or replace one, at once."""
        ...

    def mkdir(self, path: str) -> None:
        """Make a folder in one that is there."""
        ...

    def remove(self, path: str) -> None:
        """Remove a file, a link or an empty folder; nothing is no failure."""
        ...

    def run(self, argv: Sequence[str], timeout: float = 10.0) -> str:
        """Return the standard output of a command that ends with 0 in ``timeout`` seconds."""
        ...

    def affinity(self) -> tuple[int, ...]:
        """Return the logical CPUs that this process may run on, sorted."""
        ...

    def euid(self) -> int:
        """Return the effective user."""
        ...


def system_error(what: str, path: str, error: OSError) -> HostError:
    """Return an error of the system as one line."""
    return HostError(f"cannot {what} {path}: {error.strerror or error}")


def head(place: Path, path: str, size: int) -> bytes:
    """Return the first bytes of the file at ``place``, which is called ``path``."""
    try:
        with place.open("rb") as file:
            return file.read(size)
    except OSError as error:
        raise system_error("read", path, error) from error


def command_slug(argv: Sequence[str]) -> str:
    """Return the file name (without ``.txt``) under which a snapshot keeps a command's output."""
    return re.sub(r"[^A-Za-z0-9.-]+", "_", " ".join(argv))


def draft_path(path: str) -> str:
    """Return where a file is written before it takes its place."""
    place = Path(path)
    return str(place.with_name(f".{place.name}.trimtab"))
