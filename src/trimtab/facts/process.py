"""Parsers for what ``/proc/PID`` shows of a running process. Pure text in, values out.

Where the memory of a process lies: ``/proc/PID/numa_maps``.

The variables that a process of a server was given.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from trimtab.facts.parsing import parse_cpu_list
from trimtab.host import Host
from trimtab.model import Process

HEAP = 64 * 1024 * 1024
"""HEAP_MAX_SIZE of glibc on 64 bits (malloc/arena.c): a heap is aligned to its own size."""

_MAPPING = re.compile(
    r"(?P<start>[0-9a-f]+)-(?P<end>[0-9a-f]+) (?P<perms>\S{4}) \S+ \S+ "
    r"(?P<inode>\d+)\s*(?P<path>.*)"
)


@dataclass(frozen=True, slots=True)
class Region:
    """One line of ``/proc/PID/maps``: addresses, permissions ("r-xp"), file ("" if none)."""

    start: int
    end: int
    perms: str
    inode: int
    path: str

    @property
    def anonymous(self) -> bool:
        """No file behind it. Kernels may name such memory "[anon:...]"."""
        return self.inode == 0 and (not self.path or self.path.startswith("[anon"))


def parse_maps(text: str) -> tuple[Region, ...]:
    """Parse ``/proc/PID/maps``; lines of another form are skipped."""
    matches = (_MAPPING.match(line) for line in text.splitlines())
    return tuple(
        Region(
            int(match["start"], 16),
            int(match["end"], 16),
            match["perms"],
            int(match["inode"]),
            match["path"].strip(),
        )
        for match in matches
        if match
    )


def executable_files(maps: Iterable[Region]) -> frozenset[str]:
    """Return the files of which code is mapped; a deleted file keeps its " (deleted)"."""
    return frozenset(m.path for m in maps if "x" in m.perms and m.path.startswith("/"))


def parse_environ(text: str) -> Mapping[str, str]:
    """Parse ``/proc/PID/environ``: the variables at the time of ``exec``, not later changes."""
    pairs = (entry.partition("=") for entry in text.split("\0") if entry)
    return {name: value for name, equals, value in pairs if equals}


def parse_allowed_cpus(status: str) -> tuple[int, ...]:
    """Return the CPUs of ``Cpus_allowed_list`` in a ``status`` file.

    Raises:
        ValueError: the file does not hold the line.
    """
    for line in status.splitlines():
        key, _, value = line.partition(":")
        if key == "Cpus_allowed_list":
            return parse_cpu_list(value)
    raise ValueError("no Cpus_allowed_list")


def huge_page_bytes(rollup: str) -> int:
    """Return the bytes of ``AnonHugePages`` in a ``smaps_rollup`` file (proc(5)).

    Raises:
        ValueError: the file does not hold the line.
    """
    for line in rollup.splitlines():
        key, _, value = line.partition(":")
        if key == "AnonHugePages":
            return int(value.split()[0]) * 1024
    raise ValueError("no AnonHugePages")


def arena_bounds(maps: Iterable[Region]) -> tuple[int, int]:
    """Return the smallest and largest number of glibc arenas that the mappings allow.

    Every arena but the main one lives in heaps: anonymous, 64 MiB-aligned, readable and writable
    at the front, reserved (``---p``) to the next 64 MiB (glibc malloc/arena.c, new_heap). An arena
    gets a second heap only when a request below the mmap threshold (at most 32 MiB) no longer
    fits, so a heap filled by up to 32 MiB is the last one of an arena of its own: the smallest
    number counts those, plus the main arena. The largest counts every partly filled heap. A
    region that merely crosses an aligned address may be a heap merged with its neighbour, and
    counts for the largest only.
    """
    lines = tuple(maps)
    sure = possible = 0
    for current, after in pairwise(lines):
        if not (current.perms.startswith("rw-p") and current.anonymous):
            continue
        if not (after.perms == "---p" and after.anonymous and after.start == current.end):
            continue
        start = current.end - current.end % HEAP
        if start < current.start or start == current.end or after.end < start + HEAP:
            continue
        possible += 1
        if start == current.start and current.end - start <= HEAP // 2:
            sure += 1
    return 1 + sure, 1 + possible


_PAGES = re.compile(r"\bN(\d+)=(\d+)")
_SIZE = re.compile(r"\bkernelpagesize_kB=(\d+)")


def parse_numa_maps(text: str) -> Mapping[int, int]:
    """Return NUMA node → bytes of the process that lie there (numa(7))."""
    found: dict[int, int] = {}
    for line in text.splitlines():
        size = _SIZE.search(line)
        if size is None:
            continue
        for node, pages in _PAGES.findall(line):
            found[int(node)] = found.get(int(node), 0) + int(pages) * int(size[1]) * 1024
    return found


TRUSTED = ("api",)
"""Roles whose ``environ`` is whole. vLLM titles its other processes (setproctitle), which writes
over the head of theirs: there a variable that is missing may still have been given."""


def variables(host: Host, processes: Sequence[Process], process: Process) -> Mapping[str, str]:
    """Return a process's variables; those of its parent where a title has written over them.

    Only several API servers are read so: the command that supervises them gave them its own.

    Raises:
        HostError: they cannot be read.
    """
    text = host.read(f"/proc/{process.pid}/environ")
    inside = any(other.pid == process.ppid for other in processes)
    covered = not text or text.startswith("\0")  # the title's rest; a tail may be left
    if not covered or process.role not in TRUSTED or not inside:
        return parse_environ(text)
    return parse_environ(host.read(f"/proc/{process.ppid}/environ"))
