"""Applied settings: made, told about, and taken back. One journal holds all that is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from trimtab import host_resources
from trimtab.errors import HostError, SettingRefusedError
from trimtab.host import Host
from trimtab.host_settings import journal
from trimtab.host_settings.journal import JournalState, PendingRestore
from trimtab.host_settings.transaction import LOCK, host_lock, make, restore
from trimtab.model import HostWrite

FOLDER = Path("/var/lib/trimtab/host")
"""Where the journal lies: root's, and not emptied by a reboot."""

JOURNAL = "journal.jsonl"


class SettingState(StrEnum):
    """The present state of an applied setting."""

    HOLDS = "in effect"
    CHANGED = "changed since by somebody else"
    UNMADE = "not written: the apply was interrupted"
    REBOOT = "reset by a reboot"
    GONE = "its process has ended"
    UNREADABLE = "cannot be read"


@dataclass(frozen=True, slots=True)
class AppliedSetting:
    """One applied setting. Texts are as `places.shown` gives them; ``now`` may be a reason.

    ``journalled``: a rollback puts ``before`` back; else it had the value before the apply.
    """

    place: str
    before: str
    after: str
    now: str
    standing: SettingState
    journalled: bool


@dataclass(frozen=True, slots=True)
class HostStatus:
    """What is applied. ``label`` is "" if nothing is; ``at`` in UTC, ISO 8601.

    ``complete``: all of it was made. ``undoing``: it was taken back, but for ``settings``.
    """

    label: str = ""
    at: str = ""
    persist: str = ""
    complete: bool = False
    undoing: bool = False
    settings: tuple[AppliedSetting, ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether no setting is applied."""
        return not self.label and not self.settings

    @property
    def stands(self) -> bool:
        """Whether each setting was made and is in effect."""
        return self.complete and all(
            setting.standing is SettingState.HOLDS for setting in self.settings
        )


def apply(
    writes: Sequence[HostWrite],
    host: Host,
    *,
    label: str,
    persist: str = "",
    folder: Path = FOLDER,
    lock: Path = LOCK,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> None:
    """Make the writes, in order, and leave them; settings of an earlier apply give way.

    Files that keep settings over a boot come first in ``writes``, so that they go last: as long
    as one of them is there, a reboot does not end the kernel settings.

    Raises:
        SettingRefusedError: one was refused; all of them were taken back.
        HostError: another trimtab holds the host, or a setting could not be taken back.
    """
    with host_lock(lock):
        _make_folder(folder)
        book = folder / JOURNAL
        _give_way(host, book, {write.path for write in writes})
        journal.note(
            book,
            {
                "do": "apply",
                "label": label,
                "at": clock().isoformat(timespec="seconds"),
                "boot": host_resources.boot(host),
                "persist": persist,
                "writes": [asdict(write) for write in writes],
            },
        )
        try:
            make(writes, host, book)
            journal.note(book, {"do": "applied"})
        except BaseException as error:
            sentences = restore(host, book, forget=False)
            journal.erase_if_done(book)
            if not isinstance(error, HostError):
                raise
            but = f", except: {'; '.join(sentences)}" if sentences else ""
            raise SettingRefusedError(f"{error}; all was put back{but}") from error


def rollback(
    host: Host,
    *,
    force: bool = False,
    forget: bool = False,
    folder: Path = FOLDER,
    lock: Path = LOCK,
) -> tuple[str, ...]:
    """Take back everything, last first; return a sentence for each setting that was not.

    ``force`` takes back also what somebody else has changed; ``forget`` leaves it, for good.

    Raises:
        HostError: the journal cannot be read; nothing is taken back, and it is left as it is.
    """
    book = folder / JOURNAL
    if not book.exists():
        return ()
    with host_lock(lock):
        journal.load(book)  # one that is damaged is not written to
        journal.note(book, {"do": "rollback"})
        sentences = restore(host, book, force=force, forget=forget)
        journal.erase_if_done(book)
    return sentences


def reload_units(host: Host) -> str:
    """Let systemd read a unit that was made or removed; return a sentence if it does not."""
    if not host.exists("/run/systemd/system"):
        return ""
    try:
        host.run(["systemctl", "daemon-reload"], 60.0)
    except HostError as error:
        return f"run 'systemctl daemon-reload' yourself: {error}"
    return ""


def status(host: Host, *, folder: Path = FOLDER) -> HostStatus:
    """Return what is applied, and how each setting stands now.

    Raises:
        HostError: the journal cannot be read.
    """
    state = journal.load(folder / JOURNAL)
    if state.apply is None and not state.pending:
        return HostStatus()
    entry = state.apply or {}
    return HostStatus(
        label=str(entry.get("label", "?")),
        at=str(entry.get("at", "?")),
        persist=str(entry.get("persist", "")),
        complete=state.complete,
        undoing=state.undoing,
        settings=tuple(_settings(host, state)),
    )


def _settings(host: Host, state: JournalState) -> Iterator[AppliedSetting]:
    pending = {one.path: one for one in state.pending}
    wanted = {one["path"]: str(one["text"]) for one in (state.apply or {}).get("writes", ())}
    applied_in = str((state.apply or {}).get("boot", ""))
    if state.undoing:
        wanted = {place: text for place, text in wanted.items() if place in pending}
    for place, one in pending.items():
        wanted.setdefault(place, one.afters[-1])
    for place, after in wanted.items():
        yield _held(host, place, after, pending.get(place), state, applied_in)


def _held(
    host: Host,
    place: str,
    after: str,
    one: PendingRestore | None,
    state: JournalState,
    applied_in: str,
) -> AppliedSetting:
    before = after if one is None else one.before
    told: dict[str, Any] = {
        "place": place,
        "before": host_resources.display_text(place, before),
        "after": host_resources.display_text(place, after),
        "journalled": one is not None,
    }
    try:
        now = host_resources.read(host, place)
    except HostError as error:
        return AppliedSetting(now=str(error), standing=SettingState.UNREADABLE, **told)
    boot = host_resources.boot(host)
    made_in = applied_in if one is None else one.boot
    if host_resources.is_same_text(place, now, after):
        standing = SettingState.HOLDS
    elif now is None and place.startswith("rlimit:"):
        standing = SettingState.GONE
    elif made_in and boot and made_in != boot and not host_resources.lasts(place):
        standing = SettingState.REBOOT
    elif not state.complete and host_resources.is_same_text(place, now, before):
        standing = SettingState.UNMADE
    else:
        standing = SettingState.CHANGED
    return AppliedSetting(now=host_resources.display_text(place, now), standing=standing, **told)


def _give_way(host: Host, book: Path, wanted: set[str]) -> None:
    """Take back what is applied and not wanted any more, and close what a reboot has ended."""
    boot = host_resources.boot(host)
    entries = journal.load(book).pending
    lasting = any(host_resources.lasts(entry.path) for entry in entries)
    ended = {
        entry.path
        for entry in entries
        if entry.boot and boot and entry.boot != boot and not lasting
    }
    others = {entry.path for entry in entries if entry.path not in wanted}
    if sentences := restore(host, book, others | ended, forget=False):
        raise HostError(
            f"{'; '.join(sentences)}: 'trimtab host rollback --force' sets it back, --forget "
            "leaves it for good"
        )


def _make_folder(folder: Path) -> None:
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        for path in reversed(missing):
            path.mkdir(mode=0o700 if path == folder else 0o755)
            journal.sync_folder(path.parent)
    except OSError as error:
        raise HostError(f"cannot make {folder} for the journal: {error.strerror}") from error
