"""Did a server's prefix cache serve what an earlier load left in it?

An arm that meets prompts it has cached from before looks faster than it is: a second measurement
of the same running server with the same seed skips most of its prefill. What the load's own
prompts have in common explains hits; more of them were carried over.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Final

from trimtab.http_client import loopback
from trimtab.load import counters

MARGIN: Final = 0.01
"""Share of the prompt tokens that may be served beyond what the load explains."""

_COUNTED: Final = ("vllm:prefix_cache_queries_total", "vllm:prefix_cache_hits_total")
"""Counters in prompt tokens (vLLM 0.32, v1/metrics/loggers.py), one for each engine; requests that
were preempted and come again are not in them."""


def cached(url: str, key: str | None = None) -> tuple[float, float] | None:
    """Return the prompt tokens that a server looked up in its prefix cache, and those it found.

    ``None`` if it does not tell.
    """
    page = loopback.get(url, "/metrics", 5.0, key)
    return None if page is None else parse(page)


def parse(page: bytes) -> tuple[float, float] | None:
    """Return both counters of a page, ``None`` if it lacks one or is no such page."""
    found = counters.sums(page, _COUNTED)
    queries, hits = (found.get(name) for name in _COUNTED)
    return None if queries is None or hits is None else (queries, hits)


def reusable(prompts: Iterable[tuple[int, ...]]) -> int:
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


def carried_over(
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
