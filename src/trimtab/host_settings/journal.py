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

An append that was interrupted leaves the beginning of an entry at the end of the file. What it
would have announced was never done, so it is skipped, and cut off by the next append. Whatever
else is no entry is damage: then nothing the journal says is acted upon, and it is left as it is,
for what is in force can only be told from it.

Format history:
    1 (trimtab 0.1): write, restored, left; no ``boot``, ``before`` is never null.
    2: the others. A journal of format 1 is read as one of an unknown boot.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trimtab import host_resources
from trimtab.errors import HostError
from trimtab.storage import atomic_files

_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_CLOSES = ("restored", "left", "reset", "gone")
_MARKS = ("applied", "rollback")
_HEADS = tuple(f'{{"do":"{do}"' for do in ("apply", "write", *_MARKS, *_CLOSES))
_TEXT = r'"(?:[^"\\]|\\u[0-9a-f]{4}|\\[^u])*'
_STRING = re.compile(_TEXT + '"')
_BEGUN = re.compile(rf"({_TEXT})(?:\\(?:u[0-9a-f]{{0,3}})?)?\Z")
_CLOSERS = {"{": "}", "[": "]"}
_TAILS = ("", ":0", "0", '"":0', "ull", "ll", "l")
"""What makes a JSON text whole, its brackets apart, that ends between two tokens, or in a null."""


@dataclass(frozen=True, slots=True)
class PendingRestore:
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
class JournalState:
    """What a journal says: what is to be restored, in the order of the writes, and by whose apply.

    ``apply`` is the last "apply" entry, ``None`` if there is none; ``complete``: its writes are
    all made. ``undoing``: they are being taken back.
    """

    pending: tuple[PendingRestore, ...] = ()
    apply: Mapping[str, Any] | None = None
    complete: bool = False
    undoing: bool = False


def note(journal: Path, entry: Mapping[str, Any]) -> None:
    """Append one line and wait until it, and a new file's name, are on disk.

    What an interrupted append has left at the end is cut off first.

    Raises:
        HostError: it cannot be written, or the journal's end is damaged; what it announces must
            not be done.
    """
    if not _whole(entry):  # nobody could read it back
        raise HostError(f"an entry of the journal {journal} must name a place, but is {entry!r}")
    line = json.dumps(entry, separators=(",", ":")).encode() + b"\n"
    try:
        atomic_files.require_own_journal(journal)
        fresh = not journal.exists()
        lines = [] if fresh else journal.read_bytes().split(b"\n")
        last = lines[-1] if lines else b""
        torn = _is_torn(last)
        if not torn and _entry(last) is None:
            raise _damaged(journal, len(lines), last)
        handle = os.open(journal, _APPEND, 0o600)
        try:
            if torn and last:
                os.ftruncate(handle, os.fstat(handle).st_size - len(last))
            data = line if torn else b"\n" + line  # a whole line that lacks its end alone
            while data:
                data = data[os.write(handle, data) :]
            os.fsync(handle)
        finally:
            os.close(handle)
        if fresh:
            sync_folder(journal.parent)
    except HostError:
        raise
    except OSError as error:
        raise HostError(f"cannot write the journal {journal}: {error.strerror}") from error


def erase_if_done(journal: Path) -> None:
    """Remove a journal that has nothing left to restore. The caller holds the host's lock.

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


def load(journal: Path) -> JournalState:
    """Replay a journal; without one nothing is pending.

    Raises:
        HostError: it cannot be read, or a whole line is not one of a journal.
    """
    pending: dict[str, PendingRestore] = {}
    apply: Mapping[str, Any] | None = None
    complete = undoing = False
    for entry in _entries(journal):
        do = entry["do"]
        if do == "write":
            new = PendingRestore(
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
    return JournalState(tuple(pending.values()), apply, complete, undoing)


def _again(old: PendingRestore, new: PendingRestore) -> PendingRestore:
    """Return an entry that was written over: what was there first is what comes back."""
    afters = tuple(dict.fromkeys((*old.afters, *new.afters)))
    return replace(old, afters=afters, boot=new.boot)


def _entries(journal: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the entries, without a torn last one."""
    atomic_files.require_own_journal(journal)
    try:
        lines = journal.read_bytes().split(b"\n")
    except FileNotFoundError:
        return
    except OSError as error:
        raise HostError(f"cannot read the journal {journal}: {error.strerror}") from error
    for number, line in enumerate(lines, 1):
        if number == len(lines) and _is_torn(line):
            return
        entry = _entry(line)
        if entry is None:
            raise _damaged(journal, number, line)
        yield entry


def _damaged(journal: Path, number: int, line: bytes) -> HostError:
    return HostError(
        f"line {number} of the journal {journal} must be an entry of a journal, but is "
        f"{line[:80].decode(errors='replace')!r}: it was left as it is, for what to put back "
        "cannot be told; put back by hand what its write lines give as before, then move the file "
        f"away (mv {journal} {journal}.damaged)"
    )


def _entry(line: bytes) -> Mapping[str, Any] | None:
    """Return the entry of a line, ``None`` if it is none."""
    try:
        entry = _parsed(line.decode())
    except UnicodeDecodeError:
        return None
    return entry if isinstance(entry, Mapping) and _whole(entry) else None


def _is_torn(line: bytes) -> bool:
    """Whether a line without its end is what an interrupted append of an entry leaves.

    That is a beginning of what `note` writes: plain ASCII in which nothing is wrong but that it
    ends.
    """
    text = line.decode(errors="replace")
    if not text.isascii() or not any(
        text.startswith(head) or head.startswith(text) for head in _HEADS
    ):
        return False
    if _parsed(text) is not None:
        return False
    return any(_parsed(one) is not None for one in _completed(text))


def _completed(text: str) -> Iterator[str]:
    """Yield the shortest JSON texts that begin with ``text``, one of which parses if any does."""
    outside, quote, _ = _STRING.sub("", text).partition('"')
    if quote:
        text = _BEGUN.sub(r'\1"', text)
    opened: list[str] = []
    for sign in outside:
        if sign in _CLOSERS:
            opened.append(_CLOSERS[sign])
        elif opened and sign == opened[-1]:
            opened.pop()
    closing = "".join(reversed(opened))
    yield from (text + tail + closing for tail in _TAILS)


def _parsed(text: str) -> object:
    """Return the data of a JSON text, ``None`` if it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _whole(entry: Mapping[str, Any]) -> bool:
    """Whether it is an entry, with all that is read of it."""
    do = entry.get("do")
    if do in _MARKS:
        return True
    if do in _CLOSES:
        return host_resources.is_place(entry.get("path"))
    if do == "apply":
        told = (entry.get(name, "") for name in ("label", "at", "boot", "persist"))
        writes = entry.get("writes")
        return (
            all(isinstance(one, str) for one in told)
            and isinstance(writes, (list, tuple))
            and all(_is_write(write) for write in writes)
        )
    return (
        do == "write"
        and host_resources.is_place(entry.get("path"))
        and _is_text(entry.get("after"))
        and "before" in entry
        and (entry["before"] is None or _is_text(entry["before"]))
        and isinstance(entry.get("boot") or "", str)
    )


def _is_write(one: object) -> bool:
    return (
        isinstance(one, Mapping)
        and host_resources.is_place(one.get("path"))
        and _is_text(one.get("text"))
    )


def _is_text(text: object) -> bool:
    """Whether it is text that a file can hold: bytes that are not UTF-8 are lone surrogates."""
    try:
        return isinstance(text, str) and text.encode(errors="surrogateescape") is not None
    except UnicodeEncodeError:
        return False
