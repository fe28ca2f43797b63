"""Holm's step-down adjustment (Holm 1979): family-wise error under any dependence."""

from __future__ import annotations

from collections.abc import Mapping


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """Return adjusted p-values: reject all at or below alpha to keep the family at alpha.

    Every member of the family must be there; one that was never tested counts as p = 1.
    """
    adjusted: dict[str, float] = {}
    largest = 0.0
    for rank, name in enumerate(sorted(p, key=lambda name: p[name])):
        largest = max(largest, min(1.0, (len(p) - rank) * p[name]))
        adjusted[name] = largest
    return {name: adjusted[name] for name in p}
