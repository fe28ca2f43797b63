"""Memory: how much there is, its page size, huge pages and swap."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from trimtab.facts.parsing import read_fact, run_fact, selected_word
from trimtab.host import Host
from trimtab.model import Fact

THP = "/sys/kernel/mm/transparent_hugepage"


@dataclass(frozen=True, slots=True)
class SwapArea:
    """A swap device or file that is on; ``used`` in bytes."""

    name: str
    used: int
    priority: int


@dataclass(frozen=True, slots=True)
class MemoryFacts:
    """Memory. Sizes are bytes; ``thp_enabled`` and ``thp_defrag`` are the chosen words."""

    total: Fact[int]
    available: Fact[int]
    page_size: Fact[int]
    thp_enabled: Fact[str]
    thp_defrag: Fact[str]
    swap_total: Fact[int]
    swaps: Fact[tuple[SwapArea, ...]]


def parse_meminfo(text: str, key: str) -> int | None:
    """Return the bytes of one line of ``/proc/meminfo`` (which is written in kB)."""
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if name == key and words:
            return int(words[0]) * (1024 if words[1:] == ["kB"] else 1)
    return None


def parse_swaps(text: str) -> tuple[SwapArea, ...]:
    """Return the areas of ``/proc/swaps``; blanks in a name are written as octal escapes."""
    areas = []
    for line in text.splitlines()[1:]:
        name, _, _, used, priority = line.split()[-5:]
        plain = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), name)
        areas.append(SwapArea(plain, int(used) * 1024, int(priority)))
    return tuple(areas)


def _field(key: str) -> Callable[[str], int | None]:
    return lambda text: parse_meminfo(text, key)


def _word(text: str) -> str | None:
    return selected_word(text) or None


def read(host: Host) -> MemoryFacts:
    """Read the facts of the memory."""
    return MemoryFacts(
        total=read_fact(host, "/proc/meminfo", _field("MemTotal")),
        available=read_fact(host, "/proc/meminfo", _field("MemAvailable")),
        page_size=run_fact(host, ("getconf", "PAGESIZE"), lambda text: int(text)),
        thp_enabled=read_fact(host, f"{THP}/enabled", _word),
        thp_defrag=read_fact(host, f"{THP}/defrag", _word),
        swap_total=read_fact(host, "/proc/meminfo", _field("SwapTotal")),
        swaps=read_fact(host, "/proc/swaps", parse_swaps),
    )
