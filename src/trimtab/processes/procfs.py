"""Processes as ``/proc`` shows them: who descends from whom, in which session, since when.

A process is identified by its id *and* its start time (clock ticks after boot, field 22 of
``/proc/PID/stat``, proc(5)): an id alone is reused.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Stat:
    """What ``/proc/PID/stat`` says of one process.

    ``start`` is in clock ticks after boot, ``own`` and ``reaped`` are clock ticks of CPU time:
    of the process, and of those of its children that ended and were waited for.
    """

    pid: int
    comm: str
    state: str
    ppid: int
    pgid: int
    sid: int
    own: int
    reaped: int
    start: int

    @property
    def alive(self) -> bool:
        """Whether it still runs; a zombie does not."""
        return self.state not in ("Z", "X")

    @property
    def identity(self) -> tuple[int, int]:
        """Process id and start time: together never reused within one boot."""
        return (self.pid, self.start)


def parse_stat(text: str) -> Stat:
    """Parse one line of ``/proc/PID/stat``.

    Raises:
        ValueError: it is not such a line.
    """
    head, _, tail = text.rpartition(")")  # the name may hold spaces and parentheses itself
    pid, _, comm = head.partition(" (")
    fields = tail.split()
    if len(fields) < 20 or not pid.isdigit():
        raise ValueError(f"a line of /proc/PID/stat has at least 22 fields, but got {text!r}")
    ppid, pgid, sid = (int(field) for field in fields[1:4])
    user, system, child_user, child_system = (int(field) for field in fields[11:15])
    return Stat(
        pid=int(pid),
        comm=comm,
        state=fields[0],
        ppid=ppid,
        pgid=pgid,
        sid=sid,
        own=user + system,
        reaped=child_user + child_system,
        start=int(fields[19]),
    )


def read(pid: int) -> Stat | None:
    """Return what is known of one process; ``None`` when there is none of that id."""
    try:
        return parse_stat((PROC / str(pid) / "stat").read_text(errors="replace"))
    except (FileNotFoundError, ProcessLookupError):
        return None


def snapshot() -> dict[int, Stat]:
    """Return all processes that are visible now, by id."""
    stats = (read(int(entry.name)) for entry in PROC.iterdir() if entry.name.isdigit())
    return {stat.pid: stat for stat in stats if stat is not None}


def descendants(root: int, processes: Mapping[int, Stat]) -> list[Stat]:
    """Return the descendants of ``root``, parents before their children."""
    stats: list[Stat] = []
    level = [root]
    while level:
        children = [stat for stat in processes.values() if stat.ppid in level]
        stats += children
        level = [stat.pid for stat in children]
    return stats


def cmdline(pid: int) -> tuple[str, ...]:
    """Return the arguments as ``/proc`` shows them now; empty when the process is gone.

    A process title (setproctitle) replaces them by the title, padded; the padding is cut off.
    """
    try:
        raw = (PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return ()
    text = raw.rstrip(b"\0 ").decode(errors="replace")
    return tuple(text.split("\0")) if text else ()


def environment(pid: int) -> dict[str, str]:
    """Return the environment as ``/proc`` shows it; empty when it cannot be read."""
    try:
        raw = (PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return {}
    pairs = (item.partition("=") for item in raw.decode(errors="replace").split("\0"))
    return {name: value for name, found, value in pairs if found}


def cpu_ticks(processes: Iterable[Stat]) -> int:
    """Return the CPU clock ticks of these processes and of their children that are gone."""
    return sum(stat.own + stat.reaped for stat in processes)


def peak_memory(pids: Iterable[int]) -> int | None:
    """Return the sum of the peak resident memory of processes in bytes.

    ``None`` if no process shows it; one that has ended does not count.
    """
    peaks: list[int] = []
    for pid in pids:
        try:
            status = (PROC / str(pid) / "status").read_text()
        except OSError:
            continue
        peaks += [1024 * int(kib) for kib in _PEAK.findall(status)]
    return sum(peaks) if peaks else None
