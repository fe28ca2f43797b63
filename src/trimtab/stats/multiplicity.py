"""Adjustments for many tests: the family-wise error (Holm), the false discovery rate (BH)."""

from __future__ import annotations

from collections.abc import Mapping


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """Return p-values adjusted step-down (Holm 1979), valid under any dependence.

    Reject all at or below alpha to keep the family-wise error at alpha.

    Every member of the family must be there; one that was never tested counts as p = 1.
    """
    adjusted: dict[str, float] = {}
    largest = 0.0
    for rank, name in enumerate(sorted(p, key=lambda name: p[name])):
        largest = max(largest, min(1.0, (len(p) - rank) * p[name]))
        adjusted[name] = largest
    return {name: adjusted[name] for name in p}


def benjamini_hochberg(p: Mapping[str, float]) -> dict[str, float]:
    """Return q-values (Benjamini and Hochberg 1995): reject all at or below q.

    Of those rejected the expected share of false ones is then at most q, for tests that are
    independent or positively dependent, as the columns of an orthogonal design are.
    """
    adjusted: dict[str, float] = {}
    least = 1.0
    ordered = sorted(p, key=lambda name: p[name])
    for rank, name in reversed(list(enumerate(ordered, start=1))):
        least = min(least, len(p) / rank * p[name])
        adjusted[name] = least
    return {name: adjusted[name] for name in p}
