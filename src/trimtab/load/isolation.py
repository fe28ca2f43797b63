"""Did a server's prefix cache serve what an earlier load left in it?

An arm that meets prompts it has cached from before looks faster than it is: a second measurement
of the same running server with the same seed skips most of its prefill. What the load's own
prompts have in common explains hits; more of them were carried over.

Is the server idle, and still the same? A load begins on an idle one and ends on the same.

Samples of a server's Prometheus page (exposition format 0.0.4), whatever else it holds.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Collection, Iterable
from itertools import pairwise
from typing import Final

from trimtab.families import families
from trimtab.http_client import loopback

_SAMPLE: Final = re.compile(
    r'(?P<name>[^\s{]+)(?:\{(?:[^"}]|"(?:[^"\\]|\\.)*")*\})?\s+(?P<value>\S+)(?:\s.*)?'
)


def sums(page: bytes, names: Collection[str]) -> dict[str, float]:
    """Return name → sum over all labels of the samples of these names.

    A name without a finite sample is absent: the server does not tell.
    """
    found: dict[str, float] = {}
    wanted = tuple(names)
    for line in page.decode("utf-8", "replace").split("\n"):
        sample = _SAMPLE.fullmatch(line.rstrip("\r")) if line.startswith(wanted) else None
        if sample is None or sample["name"] not in wanted:
            continue
        value = _number(sample["value"])
        if math.isfinite(value):
            found[sample["name"]] = found.get(sample["name"], 0.0) + value
    return found


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


MARGIN: Final = 0.01
"""Share of the prompt tokens that may be served beyond what the load explains."""


def cache_counts(url: str, key: str | None = None) -> tuple[float, float] | None:
    """Return the prompt tokens that a server looked up in its prefix cache, and those it found.

    ``None`` if it does not tell.
    """
    page = loopback.get(url, "/metrics", 5.0, key)
    return None if page is None else parse(page)


def parse(page: bytes) -> tuple[float, float] | None:
    """Return both counters of a page, ``None`` if it lacks one or is no such page."""
    for family in families():
        names = [family.series.cache_queries, family.series.cache_hits]
        counts = sums(page, [f"{name}_total" for name in names if name])
        if len(counts) == len(names):
            queries, hits = (counts[f"{name}_total"] for name in names)
            return queries, hits
    return None


def reusable_tokens(prompts: Iterable[tuple[int, ...]]) -> int:
    """Return how many tokens of some prompts a perfect prefix cache, empty at first, would serve.

    That is all tokens less the nodes of the prompts' trie, and so the sum of what neighbours in
    sorted order have in common: an upper bound of what any real cache can find, whatever the order
    of sending, the size of its blocks and what it evicts. (Answers are no prompts: a load never
    sends back what the server said.)
    """
    return sum(_common(*pair) for pair in pairwise(sorted(prompts)))


def _common(first: tuple[int, ...], second: tuple[int, ...]) -> int:
    low, high = 0, min(len(first), len(second))
    while low < high:  # slices compare in C
        middle = (low + high + 1) // 2
        if first[low:middle] == second[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def carry_over(
    before: tuple[float, float] | None, after: tuple[float, float] | None, explained: int
) -> str:
    """Return why the cache was not as empty as for any other arm, "" if nothing says so.

    ``before`` and ``after`` are what :func:`cached` found around a load whose prompts explain
    ``explained`` hits.
    """
    if before is None or after is None:
        return ""
    queries, hits = after[0] - before[0], after[1] - before[1]
    if queries <= 0 or hits - explained <= MARGIN * queries:
        return ""
    return (
        f"the prefix cache served {hits / queries:.0%} of the prompt tokens, and the load's own "
        f"prefixes explain {min(explained / queries, 1):.0%}: an earlier load left the rest; take "
        "another --seed, or restart the server"
    )


PATIENCE: Final = 30.0
"""Seconds to wait: requests that a client gave up are aborted within a step or two."""

_BEGAN: Final = "process_start_time_seconds"


def incarnation(url: str, key: str | None = None) -> float | None:
    """Return what tells a server from its successor on the same port: when its process began.

    ``None`` if it does not tell.
    """
    return _sums(url, key, _BEGAN).get(_BEGAN)


def requests_in_flight(url: str, key: str | None = None) -> float | None:
    """Return how many requests a server works on or has queued; ``None`` if it hides it.

    A server has the series of one family, so those of all are asked for.
    """
    gauges = [
        name for family in families() for name in (family.series.running, family.series.waiting)
    ]
    counts = _sums(url, key, *filter(None, gauges))
    return sum(counts.values()) if counts else None


def _sums(url: str, key: str | None, *names: str) -> dict[str, float]:
    return sums(loopback.get(url, "/metrics", 5.0, key) or b"", names)


def drain(
    url: str,
    key: str | None = None,
    *,
    patience: float = PATIENCE,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Wait until the server is idle and return how many requests it still has, 0 if none.

    A server that does not tell is taken to be idle.
    """
    waited = 0.0
    while (busy := requests_in_flight(url, key)) and waited < patience:
        sleep(0.5)
        waited += 0.5
    return int(busy or 0)
