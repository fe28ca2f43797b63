"""A load with the guards that need the server: idle before it, its caches empty of others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from trimtab import formatting
from trimtab.load.carried import cached, carried_over
from trimtab.load.drained import drain
from trimtab.load.run import LoadResult


def guarded(url: str, key: str | None, load: Callable[[], LoadResult]) -> LoadResult:
    """Wait until the server is idle, drive a load, and void its windows where it was not alone.

    A server that is still busy after `trimtab.load.drained.PATIENCE` is loaded all the same, so
    that the reason is recorded where it is looked for: with the windows.
    """
    busy = drain(url, key)
    before = cached(url, key)
    found = load()
    reasons = [carried_over(before, cached(url, key), found.reusable)]
    if busy:
        left = formatting.count(busy, "earlier request")
        reasons.append(f"not drained: the server still worked on {left} when the load began")
    return _voided(found, tuple(filter(None, reasons)))


def _voided(found: LoadResult, reasons: tuple[str, ...]) -> LoadResult:
    if not reasons:
        return found
    windows = tuple(replace(one, void=(*one.void, *reasons)) for one in found.windows)
    return replace(found, windows=windows, void=reasons)
