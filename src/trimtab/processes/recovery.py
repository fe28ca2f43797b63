"""What a run leaves on disk to find its server by, should every owner of it be killed.

``running.json`` lies in the start's folder from before the server is executed until nothing of it
is left. It holds process ids with their start times, the session, and a random cookie that every
process of the tree carries in its environment; it holds nothing of the environment itself.

A process is taken for ours only on proof: its id and start time are on record, or it carries the
cookie (a process title wipes it: setproctitle writes over the environment), or it is in a session
that holds such a process, because a session's number is not reused while the session has a
member, or it descends from one of them.
"""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from trimtab.processes import procfs
from trimtab.processes.procfs import Stat
from trimtab.storage import atomic_files

FILE = "running.json"
COOKIE = "TRIMTAB_COOKIE"
FORMAT = 1
"""Format of the file. History: 1, first."""

_COOKIE = re.compile(r"[0-9a-f]{32}")
_MAX_BYTES = 16 * 1024 * 1024
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_PATIENCE = 12.0
"""Seconds to let a keeper that is ending its tree finish: its grace and its insisting."""


@dataclass(frozen=True, slots=True)
class ServerRecord:
    """A server on record. Processes are (id, start time in ticks after boot)."""

    boot: str
    cookie: str
    owner: tuple[int, int]
    keeper: tuple[int, int]
    members: tuple[tuple[int, int], ...] = ()


def boot_id() -> str:
    """Return the kernel's random name of this boot."""
    return _BOOT_ID.read_text(encoding="ascii").strip()


def record(folder: Path, running: ServerRecord) -> None:
    """Write the record: complete on disk, or not there at all."""
    atomic_files.write(folder / FILE, json.dumps({"format": FORMAT, **asdict(running)}))


def erase(folder: Path) -> None:
    """Remove the record."""
    (folder / FILE).unlink(missing_ok=True)


def load(path: Path) -> ServerRecord | None:
    """Read a record; ``None`` for one that is of another format or damaged."""
    try:
        data = json.loads(atomic_files.read(path, _MAX_BYTES))
        if data["format"] != FORMAT:
            return None
        if not _COOKIE.fullmatch(data["cookie"]):
            return None
        return ServerRecord(
            boot=str(data["boot"]),
            cookie=data["cookie"],
            owner=_identity(data["owner"]),
            keeper=_identity(data["keeper"]),
            members=tuple(_identity(one) for one in data["members"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def reap_leftovers(folder: Path) -> tuple[int, ...]:
    """End what former runs left running, by the records at or below ``folder``.

    A server whose owner still lives is left alone. Returns the ids of the processes that had to
    be ended; the records of servers that are gone are removed.
    """
    ended: list[int] = []
    for path in sorted(folder.rglob(FILE)):
        running = load(path)
        if running is None or running.boot != boot_id():
            path.unlink(missing_ok=True)
            continue
        if not _lives(running.owner):
            ended += end(running)
            path.unlink(missing_ok=True)
    return tuple(ended)


def end(running: ServerRecord, patience: float = _PATIENCE) -> list[int]:
    """End everything of a server and return the ids that needed SIGKILL, the keeper's apart.

    A keeper that still lives ends the tree itself; ``patience`` seconds are given to it.
    """
    until = time.monotonic() + patience
    while _lives(running.keeper) and time.monotonic() < until:
        time.sleep(0.05)
    if _lives(running.keeper):
        os.kill(running.keeper[0], signal.SIGKILL)
    killed: set[int] = set()
    until = time.monotonic() + _PATIENCE
    while (stats := survivors(running)) and time.monotonic() < until:
        for stat in stats:
            _kill(stat)
            killed.add(stat.pid)
        time.sleep(0.05)
    return sorted(killed)


def survivors(running: ServerRecord) -> list[Stat]:
    """Return the processes of a server that still run, without its keeper."""
    processes = {pid: stat for pid, stat in procfs.snapshot().items() if stat.alive}
    return own_processes(running, processes, lambda pid: procfs.environment(pid).get(COOKIE, ""))


def own_processes(
    running: ServerRecord, processes: Mapping[int, Stat], cookie: Callable[[int], str]
) -> list[Stat]:
    """Choose, from all living processes, those that are proven to be the server's.

    ``cookie(pid)`` reads the cookie in a process's environment, "" for none.
    """
    members = set(running.members)
    begun = running.keeper[1]  # nothing of ours is older than the keeper
    young = {pid: stat for pid, stat in processes.items() if stat.start >= begun}
    proven = {
        pid
        for pid, stat in young.items()
        if stat.identity in members or (running.cookie and cookie(pid) == running.cookie)
    }
    session = running.keeper[0]
    keeper = processes.get(session)
    lives = keeper is not None and keeper.identity == running.keeper
    if lives or any(young[pid].sid == session for pid in proven):
        proven |= {pid for pid, stat in young.items() if stat.sid == session}
    for pid in tuple(proven):
        proven |= {stat.pid for stat in procfs.descendants(pid, young)}
    proven -= {session if lives else 0, os.getpid()}
    return [young[pid] for pid in sorted(proven)]


def _lives(identity: tuple[int, int]) -> bool:
    stat = procfs.read(identity[0])
    return stat is not None and stat.alive and stat.identity == identity


def _kill(stat: Stat) -> None:
    """SIGKILL to exactly this process, not to a later one with its id."""
    try:
        handle = os.pidfd_open(stat.pid)
    except ProcessLookupError:
        return
    try:
        now = procfs.read(stat.pid)
        if now is not None and now.identity == stat.identity:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        os.close(handle)


def _identity(pair: object) -> tuple[int, int]:
    if not isinstance(pair, list) or len(pair) != 2:
        raise ValueError(f"a process is an id and a start time, but got {pair!r}")
    return (int(pair[0]), int(pair[1]))
