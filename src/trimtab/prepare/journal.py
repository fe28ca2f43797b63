"""The journal of what was changed: on disk before each change, and replayed to undo it.

A file of JSON lines (format 1; no earlier one):

    {"id": n, "do": "replace", "step", "path", "backup", "before", "after"}   about to be replaced
    {"id": n, "do": "install", "step", "manager", "names", "present": backup} about to be installed
    {"id": n, "do": "folder", "step", "path", "mark"}                         about to be made
    {"id": n, "do": "done", "added": [...]}       the change is whole; packages that came with it
    {"id": n, "do": "undone"}                     it is as it was before
    {"id": n, "do": "left", "why"}                it was left, because somebody else changed it

``before`` and ``after`` are SHA-256 sums; a backup is a file beside the journal, named by its sum.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from trimtab.errors import HostError
from trimtab.storage import atomic_files

FORMAT = 1

_BEGIN = '{"id":'
"""What every line begins with: one that does, and is no JSON, was cut off as it was written."""


@dataclass(frozen=True, slots=True)
class OpenChange:
    """A change that is in force, or may be: ``whole`` says that it was seen to its end."""

    id: int
    entry: Mapping[str, Any]
    whole: bool
    added: tuple[str, ...]


class Journal:
    """The journal in a folder; the folder is made when the first line is written."""

    def __init__(self, folder: Path) -> None:
        """Use the journal in ``folder``."""
        self.folder = folder
        self.path = folder / "journal.jsonl"

    def begin(self, entry: Mapping[str, Any]) -> int:
        """Write that a change is about to be made; return its number once that is on disk."""
        number = max((int(line["id"]) for line in self._lines()), default=0) + 1
        self._write({"id": number, "format": FORMAT, **entry})
        return number

    def done(self, number: int, added: tuple[str, ...] = ()) -> None:
        """Write that a change is whole; ``added`` are packages that were not there before."""
        self._write({"id": number, "do": "done", "added": list(added)})

    def undone(self, number: int) -> None:
        """Write that a change is taken back."""
        self._write({"id": number, "do": "undone"})

    def left(self, number: int, why: str) -> None:
        """Write that a change was left as somebody else's."""
        self._write({"id": number, "do": "left", "why": why})

    def keep(self, data: bytes) -> str:
        """Keep a file's content beside the journal; return its sum once it is on disk."""
        name = digest(data)
        target = self.folder / name
        if not target.exists():
            self._make()
            draft = target.with_suffix(".draft")
            with draft.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(target)
            sync(self.folder)
        return name

    def kept(self, name: str) -> bytes:
        """Return what was kept under a sum.

        Raises:
            HostError: it is gone, or not what was kept.
        """
        try:
            data = (self.folder / name).read_bytes()
        except OSError as error:
            raise HostError(f"cannot read the backup {self.folder / name}: {error}") from error
        if digest(data) != name:
            raise HostError(f"the backup {self.folder / name} must be as kept, but was changed")
        return data

    def open(self) -> tuple[OpenChange, ...]:
        """Return the changes that are in force, oldest first."""
        found: dict[int, OpenChange] = {}
        for line in self._lines():
            number, what = int(line["id"]), line["do"]
            if what == "done" and number in found:
                added = tuple(str(name) for name in line["added"])
                found[number] = OpenChange(number, found[number].entry, True, added)
            elif what in ("undone", "left"):
                found.pop(number, None)
            elif what in ("replace", "install", "folder"):
                found[number] = OpenChange(number, line, False, ())
        return tuple(found.values())

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the journal: one trimtab prepares a machine at a time.

        Raises:
            HostError: another one does.
        """
        from filelock import FileLock, Timeout

        self._make()
        lock = FileLock(self.folder / "lock")
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise HostError(
                f"another trimtab is preparing this machine ({self.folder / 'lock'} is locked): "
                "wait until it has ended"
            ) from error
        try:
            yield
        finally:
            lock.release()

    def _make(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise HostError(f"cannot make {self.folder}: {error.strerror}") from error

    def _lines(self) -> list[dict[str, Any]]:
        """Return the lines. A torn one was never acted upon, and is no line.

        Raises:
            HostError: the journal cannot be read, or a line of it is damaged.
            StudyError: another user could have written what lies beside it.
        """
        atomic_files.require_own(self.folder, shared=True)
        try:
            text = self.path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise HostError(f"cannot read the journal {self.path}: {error.strerror}") from error
        found = []
        for number, line in enumerate(text.split("\n"), 1):
            try:
                one = json.loads(line)
            except json.JSONDecodeError:
                if line.isascii() and line.startswith(_BEGIN[: len(line)]):
                    continue
                one = None
            if not isinstance(one, dict) or type(one.get("id")) is not int or "do" not in one:
                raise HostError(
                    f"line {number} of the journal {self.path} must be a change made here, but is "
                    f"{line[:80]!r}: undo by hand what its lines tell (what was replaced lies "
                    f"beside it), then move it away (mv {self.path} {self.path}.damaged)"
                )
            found.append(one)
        return found

    def _write(self, entry: Mapping[str, Any]) -> None:
        """Append one line, and wait until it and a new file's name are on disk."""
        self._make()
        line = json.dumps(entry, separators=(",", ":")) + "\n"
        try:
            fresh = not self.path.exists()
            if not fresh and not self.path.read_bytes().endswith(b"\n"):
                line = "\n" + line  # a torn last line must not swallow this one
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            handle = os.open(self.path, flags, 0o600)
            try:
                os.write(handle, line.encode())
                os.fsync(handle)
            finally:
                os.close(handle)
            if fresh:
                sync(self.folder)
        except OSError as error:
            raise HostError(f"cannot write the journal {self.path}: {error.strerror}") from error


def place() -> Path:
    """Return where this machine's journal lies."""
    return platformdirs.user_state_path("trimtab") / "prepare"


def digest(data: bytes) -> str:
    """Return the sum that a content is known by."""
    return hashlib.sha256(data).hexdigest()


def sync(folder: Path) -> None:
    """Wait until the names in a folder are on disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
