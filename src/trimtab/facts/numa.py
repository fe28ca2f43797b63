"""Where the memory of a process lies: ``/proc/PID/numa_maps``."""

from __future__ import annotations

import re
from collections.abc import Mapping

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
