"""The journal of host writes: JSON lines, each on disk before what it announces.

    {"do": "apply", ...}                     a profile is about to be applied (trimtab host)
    {"do": "write", "path": ..., "before": ..., "after": ..., "boot": ...}    about to be written
    {"do": "applied"}                        all of its writes are made
    {"do": "rollback"}                       they are about to be taken back
    {"do": "restored", "path": ...}          back to what it was
    {"do": "left", "path": ..., "now": ...}  changed by another since; not ours any more
    {"do": "reset", "path": ...}             a reboot has ended it
    {"do": "gone", "path": ...}              its process has ended

``before`` is null where nothing was (a file that was made). ``boot`` names the boot of the write.

Format history:
    1 (trimtab 0.1): write, restored, left; no ``boot``, ``before`` is never null.
    2: the others. A journal of format 1 is read as one of an unknown boot.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trimtab.errors import HostError

_CLOSES = ("restored", "left", "reset", "gone")


@dataclass(frozen=True, slots=True)
class Pending:
    """A place that still has to be restored.

    ``before`` is what was there before the first write, ``afters`` all that was ever announced
    for it since: a crash may have come before or after any of those writes. ``boot`` is "" where
    the journal does not say.
    """

    path: str
    before: str | None
    afters: tuple[str, ...]
    boot: str = ""


@dataclass(frozen=True, slots=True)
class State:
    """What a journal says: what is to be restored, in the order of the writes, and by whose apply.

    ``apply`` is the last "apply" entry, ``None`` if there is none; ``complete``: its writes are
    all made. ``undoing``: they are being taken back.
    """

    pending: tuple[Pending, ...] = ()
    apply: Mapping[str, Any] | None = None
    complete: bool = False
    undoing: bool = False


def note(journal: Path, entry: Mapping[str, Any]) -> None:
    """Append one line and wait until it, and a new file's name, are on disk.

    Raises:
        HostError: it cannot be written; what it announces must not be done.
    """
    fresh = not journal.exists()
    line = json.dumps(entry, separators=(",", ":")) + "\n"
    try:
        if not fresh and not journal.read_bytes().endswith(b"\n"):
            line = "\n" + line  # a torn last line must not swallow this one
        handle = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            data = line.encode()
            while data:
                data = data[os.write(handle, data) :]
            os.fsync(handle)
        finally:
            os.close(handle)
        if fresh:
            sync_folder(journal.parent)
    except OSError as error:
        raise HostError(f"cannot write the journal {journal}: {error.strerror}") from error


def erase_if_done(journal: Path) -> None:
    """Remove a journal that has nothing left to restore; whoever writes it holds the host's lock.

    Raises:
        HostError: it cannot be read or removed.
    """
    if not journal.exists() or load(journal).pending:
        return
    try:
        os.unlink(journal)  # noqa: PTH108  the tests kill the process at each call of the system
        sync_folder(journal.parent)
    except OSError as error:
        raise HostError(f"cannot remove the journal {journal}: {error.strerror}") from error


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def load(journal: Path) -> State:
    """Replay a journal; without one nothing is pending.

    Raises:
        HostError: it cannot be read, or a whole line is not one of a journal.
    """
    pending: dict[str, Pending] = {}
    apply: Mapping[str, Any] | None = None
    complete = undoing = False
    for entry in _entries(journal):
        do = entry["do"]
        if do == "write":
            new = Pending(
                entry["path"], entry["before"], (entry["after"],), entry.get("boot") or ""
            )
            old = pending.get(new.path)
            pending[new.path] = new if old is None else _again(old, new)
        elif do in _CLOSES:
            pending.pop(entry["path"], None)
        elif do == "apply":
            apply, complete, undoing = entry, False, False
        elif do == "applied":
            complete = True
        elif do == "rollback":
            complete, undoing = False, True
    return State(tuple(pending.values()), apply, complete, undoing)


def _again(old: Pending, new: Pending) -> Pending:
    """Return an entry that was written over: what was there first is what comes back."""
    afters = tuple(dict.fromkeys((*old.afters, *new.afters)))
    return replace(old, afters=afters, boot=new.boot)


def _entries(journal: Path) -> Iterator[dict[str, Any]]:
    """Yield the entries. A torn line was never acted upon, and is skipped."""
    try:
        lines = journal.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return
    except OSError as error:
        raise HostError(f"cannot read the journal {journal}: {error.strerror}") from error
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        if not _whole(entry):
            raise HostError(
                f"line {number} of the journal {journal} must be an entry of a journal, but is "
                f"{line[:80]!r}: put back what it says by hand, then move it away"
            )
        yield entry


def _whole(entry: object) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("do"), str):
        return False
    if entry["do"] in _CLOSES:
        return isinstance(entry.get("path"), str)
    if entry["do"] != "write":
        return True
    before = entry.get("before", 0)
    texts = (entry.get("path"), entry.get("after"))
    return all(isinstance(text, str) for text in texts) and (
        before is None or isinstance(before, str)
    )
