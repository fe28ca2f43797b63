"""Host writes: journalled before they are made, and restored on any exit.

The journal is a file of JSON lines, each on disk before what it announces (format 1):

    {"do": "write", "path": ..., "before": ..., "after": ...}    about to be written
    {"do": "restored", "path": ...}                              back to what it was
    {"do": "left", "path": ..., "now": ...}                      changed by another since; not ours

Restoring goes backwards, and compares first: what somebody else has changed in the meantime is
theirs, and is left and reported.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from trimtab.errors import HostError, SettingRefusedError
from trimtab.facts.text import selected
from trimtab.host import Host
from trimtab.model import HostWrite

LOCK = Path("/run/trimtab-host.lock")
"""One lock for the machine, in a folder that only root can write and a reboot empties."""


Switch = Callable[[bool], None]
"""Makes the live writes, or restores them."""


@dataclass(frozen=True, slots=True)
class _Pending:
    path: str
    before: str
    after: str


@contextmanager
def applied(
    writes: Sequence[HostWrite],
    host: Host,
    journal: Path,
    *,
    live: Sequence[HostWrite] = (),
    lock: Path = LOCK,
) -> Iterator[Switch]:
    """Make the writes, hold them while the body runs, restore them however it ends.

    A write is read back; one that the kernel did not take undoes the earlier ones. The ``live``
    ones are made and restored meanwhile, by calling what is yielded; in the end they are restored
    like the others. That call raises as this does, and must have returned before the body ends.

    Raises:
        SettingRefusedError: a write was refused.
        HostError: another trimtab holds the host, or a setting could not
            be restored or was changed by somebody else meanwhile.
    """

    def switch(on: bool) -> None:
        if not on:
            _report(_restore(host, journal, {write.path for write in live}))
            return
        for write in live:
            _write(host, journal, write)

    if not writes and not live:
        yield switch
        return
    with _exclusive(lock):
        _report(_restore(host, journal))
        try:
            for write in writes:
                _write(host, journal, write)
            yield switch
        except BaseException as error:
            for sentence in _restore(host, journal):
                error.add_note(sentence)
            raise
        _report(_restore(host, journal))


def recover(journal: Path, host: Host, *, lock: Path = LOCK) -> tuple[str, ...]:
    """Restore what a killed run left behind; return a sentence for each setting not restored.

    Safe to repeat, and does nothing without a journal.
    """
    if not pending(journal):
        return ()
    with _exclusive(lock):
        return _restore(host, journal)


def pending(journal: Path) -> tuple[str, ...]:
    """Return the paths that the journal still has to restore, in the order of their writes."""
    return tuple(one.path for one in _open_entries(journal))


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise HostError(
            f"another trimtab is changing this host ({path} is locked): wait until it has ended"
        ) from error
    except OSError as error:
        raise HostError(
            f"host settings need root: cannot lock {path}: {error.strerror}"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _report(sentences: Sequence[str]) -> None:
    if sentences:
        raise HostError("; ".join(sentences))


def _write(host: Host, journal: Path, write: HostWrite) -> None:
    try:
        before = host.read(write.path)
    except HostError as error:
        raise SettingRefusedError(str(error)) from error
    if selected(before) == write.text:
        return
    _note(journal, {"do": "write", "path": write.path, "before": before, "after": write.text})
    try:
        host.write(write.path, write.text)
        now = selected(host.read(write.path))
    except HostError as error:
        raise SettingRefusedError(str(error)) from error
    if now != write.text:
        raise SettingRefusedError(
            f"{write.path} must read {write.text!r} after the write, but reads {now!r}"
        )


def _restore(host: Host, journal: Path, paths: Collection[str] | None = None) -> tuple[str, ...]:
    """Restore all open entries, last first; go on past failures and return their sentences.

    Only those of ``paths``, if given.
    """
    sentences: list[str] = []
    for one in reversed(_open_entries(journal)):
        if paths is not None and one.path not in paths:
            continue
        try:
            now = selected(host.read(one.path))
            if now not in (one.after, selected(one.before)):
                _note(journal, {"do": "left", "path": one.path, "now": now})
                sentences.append(
                    f"{one.path} was left at {now!r}: somebody changed it after trimtab had "
                    f"written {one.after!r} over {selected(one.before)!r}"
                )
                continue
            if now != selected(one.before):
                _put_back(host, one)
            _note(journal, {"do": "restored", "path": one.path})
        except HostError as error:
            sentences.append(
                f"{one.path} must be set back to {selected(one.before)!r} by hand: {error}"
            )
    return tuple(sentences)


def _put_back(host: Host, one: _Pending) -> None:
    # A file that offers a choice ("always [madvise] never") takes only the chosen word.
    is_choice = selected(one.before) != one.before.strip()
    host.write(one.path, selected(one.before) if is_choice else one.before)
    now = selected(host.read(one.path))
    if now != selected(one.before):
        raise HostError(f"the kernel keeps {now!r}")


def _note(journal: Path, entry: dict[str, str]) -> None:
    """Append one line and wait until it, and a new file's name, are on disk."""
    fresh = not journal.exists()
    line = json.dumps(entry, separators=(",", ":")) + "\n"
    try:
        if not fresh and not journal.read_bytes().endswith(b"\n"):
            line = "\n" + line  # a torn last line must not swallow this one
        handle = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(handle, line.encode())
            os.fsync(handle)
        finally:
            os.close(handle)
        if fresh:
            folder = os.open(journal.parent, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except OSError as error:
        raise HostError(f"cannot write the journal {journal}: {error.strerror}") from error


def _open_entries(journal: Path) -> list[_Pending]:
    """Replay the journal. A torn line was never acted upon, and is skipped."""
    try:
        lines = journal.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise HostError(f"cannot read the journal {journal}: {error.strerror}") from error
    entries: dict[str, _Pending] = {}
    for line in lines:
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        if entry["do"] == "write":
            entries.setdefault(
                entry["path"], _Pending(entry["path"], entry["before"], entry["after"])
            )
        else:
            entries.pop(entry["path"], None)
    return list(entries.values())
