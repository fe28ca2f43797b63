"""Host writes: journalled before they are made, and restored on any exit.

Every write has an entry in a journal on disk first (``journal.py``). Restoring goes backwards, and
compares first: what somebody else has changed in the meantime is theirs, and is left and reported.
A kernel setting that was written in an earlier boot is the reboot's, unless files that were
written with it have made it again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from trimtab import host_resources
from trimtab.errors import HostError, SettingRefusedError
from trimtab.host import Host
from trimtab.host_settings.journal import PendingRestore, erase_if_done, load, note
from trimtab.model import HostWrite

LOCK = Path("/run/trimtab-host.lock")
"""One lock for the machine, in a folder that only root can write and a reboot empties."""


Switch = Callable[[bool], None]
"""Makes the live writes, or restores them."""


@contextmanager
def temporary_writes(
    writes: Sequence[HostWrite],
    host: Host,
    journal: Path,
    *,
    live: Sequence[HostWrite] = (),
    lock: Path = LOCK,
    erase: bool = False,
) -> Iterator[Switch]:
    """Make the writes, hold them while the body runs, restore them however it ends.

    A write is read back; one that the kernel did not take undoes the earlier ones. The ``live``
    ones are made and restored meanwhile, by calling what is yielded; in the end they are restored
    like the others. That call raises as this does, and must have returned before the body ends.
    ``erase`` removes the journal in the end, if nothing is left to restore.

    Raises:
        SettingRefusedError: a write was refused.
        HostError: another trimtab holds the host, or a setting could not
            be restored or was changed by somebody else meanwhile.
    """

    def switch(on: bool) -> None:
        if not on:
            _report(restore(host, journal, {write.path for write in live}))
            return
        make(live, host, journal)

    if not writes and not live:
        yield switch
        return
    with host_lock(lock):
        _report(restore(host, journal))
        try:
            make(writes, host, journal)
            yield switch
        except BaseException as error:
            for sentence in _finish(host, journal, erase=erase):
                error.add_note(sentence)
            raise
        _report(_finish(host, journal, erase=erase))


def recover(
    journal: Path,
    host: Host,
    *,
    lock: Path = LOCK,
    erase: bool = False,
    paths: Collection[str] | None = None,
) -> tuple[str, ...]:
    """Restore what a killed run left behind; return a sentence for each setting not restored.

    Only those of ``paths``, if given. Safe to repeat, and does nothing without a journal.
    ``erase`` removes the journal, if nothing is left to restore.
    """
    if not pending_places(journal) and not (erase and journal.exists()):
        return ()
    with host_lock(lock):
        return _finish(host, journal, erase=erase, paths=paths)


def _finish(
    host: Host, journal: Path, *, erase: bool, paths: Collection[str] | None = None
) -> tuple[str, ...]:
    sentences = restore(host, journal, paths)
    if erase:
        erase_if_done(journal)
    return sentences


def pending_places(journal: Path) -> tuple[str, ...]:
    """Return the places that the journal still has to restore, in the order of their writes."""
    return tuple(one.path for one in load(journal).pending)


@contextmanager
def host_lock(path: Path) -> Iterator[None]:
    """Hold the host's lock; the kernel lets go of it when the process ends, however it does.

    Raises:
        HostError: another process holds it, or it cannot be made.
    """
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


def make(writes: Sequence[HostWrite], host: Host, journal: Path) -> None:
    """Make the writes and leave them; the caller holds the lock.

    Raises:
        SettingRefusedError: one was refused; the journal says what the earlier ones were.
        HostError: the journal cannot be written.
    """
    boot = host_resources.boot(host)
    for write in writes:
        _write(host, journal, write, boot)


def _write(host: Host, journal: Path, write: HostWrite, boot: str) -> None:
    path, text = write.path, write.text
    try:
        before = host_resources.read(host, path)
    except HostError as error:
        raise SettingRefusedError(str(error)) from error
    if host_resources.is_same_text(path, before, text):
        return
    _disown(journal, path, before)
    note(journal, {"do": "write", "path": path, "before": before, "after": text, "boot": boot})
    try:
        host_resources.write(host, path, text)
        now = host_resources.read(host, path)
    except HostError as error:
        raise SettingRefusedError(str(error)) from error
    if not host_resources.is_same_text(path, now, text):
        raise SettingRefusedError(
            f"{path} must read {host_resources.display_text(path, text)!r} after the write, "
            f"but reads {host_resources.display_text(path, now)!r}"
        )


def _disown(journal: Path, path: str, now: str | None) -> None:
    """Close an open entry whose place somebody else has changed: theirs is what comes before."""
    for one in load(journal).pending:
        known = (one.before, *one.afters)
        if one.path == path and not any(
            host_resources.is_same_text(path, now, text) for text in known
        ):
            note(journal, {"do": "left", "path": path, "now": now})


def restore(
    host: Host,
    journal: Path,
    paths: Collection[str] | None = None,
    *,
    force: bool = False,
    forget: bool = True,
) -> tuple[str, ...]:
    """Restore all open entries, last first; go on past failures and return their sentences.

    Only those of ``paths``, if given. ``force`` restores also what somebody else has changed.
    ``forget``: what is left to somebody else is closed in the journal, else it stays open there.
    The caller holds the lock.
    """
    sentences: list[str] = []
    entries = load(journal).pending
    boot = host_resources.boot(host)
    lasting = any(host_resources.lasts(entry.path) for entry in entries)
    for entry in reversed(entries):
        if paths is not None and entry.path not in paths:
            continue
        elsewhen = bool(
            entry.boot and boot and entry.boot != boot and not host_resources.lasts(entry.path)
        )
        try:
            sentence = _close(host, journal, entry, elsewhen, lasting, force, forget)
        except HostError as error:
            sentence = (
                f"{entry.path} must be set back to "
                f"{host_resources.display_text(entry.path, entry.before)!r} by hand: "
                f"{error}"
            )
        sentences += [sentence] if sentence else []
    return tuple(sentences)


def _close(
    host: Host,
    journal: Path,
    one: PendingRestore,
    elsewhen: bool,
    lasting: bool,
    force: bool,
    forget: bool,
) -> str:
    """Restore one entry; return the sentence that says why it is not, or "".

    ``elsewhen``: it was written in an earlier boot. ``lasting``: with files that outlive one.
    """
    if elsewhen and not lasting:
        note(journal, {"do": "reset", "path": one.path})
        return ""
    now = host_resources.read(host, one.path)
    if now is None and one.path.startswith("rlimit:"):
        note(journal, {"do": "gone", "path": one.path})
        return ""
    was = host_resources.is_same_text(one.path, now, one.before)
    ours = any(host_resources.is_same_text(one.path, now, after) for after in one.afters)
    if not was and not ours and not force:
        if elsewhen:
            note(journal, {"do": "reset", "path": one.path})
            return ""
        return _leave(journal, one, now, forget)
    if not was:
        host_resources.restore(host, one.path, one.before)
        now = host_resources.read(host, one.path)
        if not host_resources.is_same_text(one.path, now, one.before):
            raise HostError(f"the kernel keeps {host_resources.display_text(one.path, now)!r}")
    host_resources.tidy(host, one.path)
    note(journal, {"do": "restored", "path": one.path})
    return ""


def _leave(journal: Path, one: PendingRestore, now: str | None, forget: bool) -> str:
    if forget:
        note(journal, {"do": "left", "path": one.path, "now": now})
    texts = (now, one.afters[-1], one.before)
    found, ours, before = (host_resources.display_text(one.path, text) for text in texts)
    return (
        f"{one.path} was left at {found!r}: somebody changed it after trimtab had written "
        f"{ours!r} over {before!r}"
    )
