"""CPU readings around windows: of this process, of the server's tree, of the machine."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from pathlib import Path

from trimtab.load.guards import HostCpu


def client_cpu() -> float:
    """Return the CPU seconds that this process has used."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def parse_stat(text: str, ticks: float) -> HostCpu | None:
    """Parse the first line of ``/proc/stat`` (man 5 proc_stat); ``ticks`` a second.

    Returns ``None`` if the line is not what it should be. Guest time is part of user time, and
    waiting for I/O is idle time.
    """
    words = text.partition("\n")[0].split()
    if len(words) < 9 or words[0] != "cpu" or not all(word.isdecimal() for word in words[1:]):
        return None
    user, nice, system, idle, iowait, irq, softirq, steal = (int(w) / ticks for w in words[1:9])
    busy = user + nice + system + irq + softirq
    return HostCpu(busy, steal, busy + steal + idle + iowait)


def host_cpu(path: Path = Path("/proc/stat")) -> HostCpu | None:
    """Return the machine's CPU seconds, or ``None`` where the kernel does not tell."""
    try:
        text = path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    return parse_stat(text, os.sysconf("SC_CLK_TCK"))


HostReader = Callable[[], HostCpu | None]
"""What :func:`host_cpu` is; tests give their own."""
