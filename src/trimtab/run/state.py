"""Where a run keeps what the next one cleans up after, should everything be killed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import platformdirs

from trimtab.errors import HostError
from trimtab.host import Host
from trimtab.host_settings import transaction
from trimtab.model import HostWrite
from trimtab.processes import procfs, recovery
from trimtab.storage import atomic_files

ROOT = Path("/run/trimtab")
"""Root's folder: a reboot, which undoes kernel settings, empties it too."""

LOCK = transaction.LOCK
JOURNAL = "run.journal"
_RUN = "run-"


def base() -> Path:
    """Return the folder for the records of all runs of this user."""
    return ROOT if os.geteuid() == 0 else platformdirs.user_state_path("trimtab")


def journal() -> Path:
    """Return the journal of host settings; one is enough, for one trimtab holds the host."""
    return base() / JOURNAL


def tidy(host: Host) -> tuple[str, ...]:
    """Undo what killed runs left: processes and host settings. Return a sentence for each.

    Raises:
        StudyError: another user could have written what lies there.
    """
    said: list[str] = []
    atomic_files.require_own(base())
    for folder in sorted(base().glob(f"{_RUN}*")):
        if ended := recovery.reap_leftovers(folder):
            said.append(f"an earlier run left processes, which were ended: {_list(ended)}")
        if not _alive(folder.name.removeprefix(_RUN)):  # otherwise it may be about to write
            with suppress(OSError):
                folder.rmdir()
    try:
        open_paths = transaction.pending_places(journal())
    except HostError as error:  # damaged: whoever reads this must put things back by hand
        return (*said, str(error))
    try:
        sentences = transaction.recover(journal(), host, lock=LOCK, erase=True)
    except HostError:
        return tuple(said)  # another run holds the host, and restores it itself
    if open_paths:
        said.append(f"an earlier run left host settings, which were restored: {_list(open_paths)}")
    return (*said, *sentences)


@contextmanager
def temporary_writes(writes: Sequence[HostWrite], host: Host) -> Iterator[None]:
    """Make host writes while the body runs, as `trimtab.host_settings.transaction` does."""
    if not writes:
        yield
        return
    path = journal()
    atomic_files.private_folder(path.parent)
    with transaction.temporary_writes(writes, host, path, lock=LOCK, erase=True):
        yield


@contextmanager
def record() -> Iterator[Path | None]:
    """Yield a folder for this run's record, ``None`` where there is no place to write."""
    stat = procfs.read(os.getpid())
    folder = base() / f"{_RUN}{os.getpid()}-{0 if stat is None else stat.start}"
    try:
        atomic_files.private_folder(base())
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError:
        yield None  # a read-only container: the keeper alone must do
        return
    try:
        yield folder
    finally:
        with suppress(OSError):
            folder.rmdir()


def _alive(named: str) -> bool:
    """Whether the run of a folder lives: the process of that number that began at that time.

    A number alone may have been given to another process since. Former folders have no time.
    """
    pid, _, start = named.partition("-")
    stat = procfs.read(int(pid)) if pid.isdigit() else None
    return stat is not None and stat.alive and start in ("", str(stat.start))


def _list(items: Sequence[object]) -> str:
    return ", ".join(str(item) for item in items)
