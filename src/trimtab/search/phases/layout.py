"""The rows of a screen: a design without pairs that must not be on together, of the right size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

import numpy as np

from trimtab.model import Factor, Space
from trimtab.stats import designs
from trimtab.stats.effects import fit

_TRIES: Final = 8
"""Designs drawn where pairs must be kept apart; the one that estimates best is taken."""


def conflicting(space: Space, factors: Sequence[Factor]) -> tuple[tuple[int, int], ...]:
    """Return the pairs of factors, by their places, that must not be on together."""
    return tuple(
        (i, j)
        for i, one in enumerate(factors)
        for j, other in enumerate(factors[:i])
        if frozenset((one.tuning, other.tuning)) in space.conflicts
    )


@lru_cache(maxsize=64)
def layout(
    factors: int, rows: int, pairs: tuple[tuple[int, int], ...], seed: int, most: int
) -> designs.Screen:
    """Return a design without conflicting pairs; of several the one that estimates best.

    Args:
        factors: number of factors.
        rows: rows of the design.
        pairs: places of factors that must not be on together.
        seed: of the draw.
        most: rows to keep; those that the estimates lose least by are left out.
    """
    best = None
    for attempt in range(_TRIES if pairs else 1):
        rng = np.random.default_rng(np.random.SeedSequence((seed, 7, attempt)))
        drawn = designs.screen(factors, rows, rng)
        found = designs.Screen(
            tuple(
                tuple(designs.repaired(row, pairs, rng) for row in block) for block in drawn.blocks
            )
        )
        score = _score(factors, found)
        if best is None or score < best[0]:
            best = (score, found)
    assert best is not None
    design = best[1]
    while design.rows > most:
        design = min(_shorter(design), key=lambda one: _score(factors, one))
    return design


def _shorter(design: designs.Screen) -> Iterator[designs.Screen]:
    """Yield the design without each row in turn."""
    for place, block in enumerate(design.blocks):
        for row in range(len(block)):
            rest = (block[:row] + block[row + 1 :],) if len(block) > 1 else ()
            yield designs.Screen(design.blocks[:place] + rest + design.blocks[place + 1 :])


def _score(factors: int, design: designs.Screen) -> tuple[int, float]:
    """Return how many factors cannot be estimated, and the largest standard error."""
    on = np.array([row for block in design.blocks for row in block], dtype=np.float64)
    labels = [index for index, block in enumerate(design.blocks) for _ in block]
    columns = {str(index): on[:, index] for index in range(factors)}
    slopes = fit([0.0] * len(labels), labels, columns).slopes
    return factors - len(slopes), max([scale for _, scale in slopes.values()], default=0.0)
