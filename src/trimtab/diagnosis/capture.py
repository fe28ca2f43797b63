"""A capture: everything that an inspection reads of a machine, laid down as a snapshot.

It records the reads themselves, so it holds exactly what is looked at and nothing else. Values of
variables that look like secrets are taken out; command lines and environments of processes are
never part of it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from trimtab.errors import HostError, UsageError
from trimtab.host import LIMIT, Host, command_slug

_MARK = "meta.yaml"


class RecordingHost:
    """A host that passes everything on, and lays down what it was told under a folder.

    Raises:
        UsageError: the folder is there already and is not empty.
    """

    def __init__(self, host: Host, folder: Path) -> None:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UsageError(f"{folder} must be a new or empty folder to capture into")
        self._host, self._folder = host, folder
        (folder / "root").mkdir(parents=True)
        (folder / "commands").mkdir()
        cpus = ", ".join(map(str, host.affinity()))
        (folder / _MARK).write_text(f"affinity: [{cpus}]\neuid: {host.euid()}\n")

    def _place(self, path: str) -> Path:
        place = self._folder / "root" / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        return place

    def _lay(self, path: str, data: bytes) -> None:
        place = self._place(path)
        if not place.is_dir():
            place.write_bytes(data)

    def read(self, path: str, limit: int = LIMIT) -> str:
        """See `Host.read`."""
        text = self._host.read(path, limit)
        self._lay(path, text.encode())
        return text

    def head(self, path: str, size: int) -> bytes:
        """See `Host.head`. Of a program only what tells how it is linked is kept."""
        data = self._host.head(path, size)
        kept = data[:2] if data.startswith(b"#!") else b"\x7fELF"
        at = data.find(b"libpython3.")
        self._lay(path, kept + (b"\0" + data[at : at + 24] if at >= 0 else b""))
        return data

    def exists(self, path: str) -> bool:
        """See `Host.exists`."""
        there = self._host.exists(path)
        place = self._place(path)
        if there and not place.exists():
            place.touch()
        return there

    def glob(self, pattern: str) -> tuple[str, ...]:
        """See `Host.glob`."""
        found = self._host.glob(pattern)
        for path in found:
            place = self._place(path)
            if not place.exists():
                place.touch()
        return found

    def listdir(self, path: str) -> tuple[str, ...]:
        """See `Host.listdir`."""
        names = self._host.listdir(path)
        for name in names:
            place = self._place(f"{path}/{name}")
            if not place.exists():
                place.touch()
        return names

    def readlink(self, path: str) -> str:
        """See `Host.readlink`."""
        text = self._host.readlink(path)
        place = self._place(path)
        if not place.is_symlink() and not place.exists():
            place.symlink_to(text)
        return text

    def resolve(self, path: str) -> str:
        """See `Host.resolve`. The link is laid down relative, as snapshots need it."""
        target = self._host.resolve(path)
        place = self._place(path)
        if target != path and not place.exists() and not place.is_symlink():
            place.symlink_to(os.path.relpath(self._place(target), place.parent))
        return target

    def write(self, path: str, text: str) -> None:
        """Refuse: a capture only reads."""
        raise HostError(f"cannot write {path}: a capture only reads")

    def install(self, path: str, data: bytes) -> None:
        """Refuse: a capture only reads."""
        self.write(path, "")

    def link(self, path: str, target: str) -> None:
        """Refuse: a capture only reads."""
        self.write(path, "")

    def mkdir(self, path: str) -> None:
        """Refuse: a capture only reads."""
        self.write(path, "")

    def remove(self, path: str) -> None:
        """Refuse: a capture only reads."""
        self.write(path, "")

    def run(self, argv: Sequence[str], timeout: float = 10.0) -> str:
        """See `Host.run`."""
        text = self._host.run(argv, timeout)
        (self._folder / "commands" / f"{command_slug(argv)}.txt").write_text(text)
        return text

    def affinity(self) -> tuple[int, ...]:
        """See `Host.affinity`."""
        return self._host.affinity()

    def euid(self) -> int:
        """See `Host.euid`."""
        return self._host.euid()
