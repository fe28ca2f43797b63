"""How studies of a benchmark cell went, and the rates and means over them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import stats

from trimtab.simulated import Landscape, load_landscape

cached_landscape = cache(load_landscape)


@dataclass(frozen=True)
class Case:
    """One cell of the benchmark: a landscape at a noise between starts, and a budget."""

    landscape: str
    noise: float
    starts: int

    def load(self) -> Landscape:
        """Return the landscape with the case's noise; a replay has its own."""
        found = cached_landscape(self.landscape)
        if found.replay:
            return found
        noise = found.noise.model_copy(
            update={"start": self.noise, "window": self.noise / 2, "walk": 0.3 * self.noise}
        )
        return found.model_copy(update={"noise": noise})


@dataclass(frozen=True)
class Result:
    """How one study of one tuner went. Gains are log ratios.

    ``null`` counts what is kept and gives nothing on average over the others, ``useless`` what the
    rest of what is kept does without: the one says whether a test was wrong, the other also counts
    what is redundant. ``best`` is the largest gain there is to find.
    """

    tuner: str
    true: float
    claimed: float
    covered: bool | None
    kept: frozenset[str]
    null: int
    useless: int
    best: float

    @property
    def regret(self) -> float:
        """The gain that was missed."""
        return self.best - self.true


def rate(hits: int, of: int) -> str:
    """Return a rate with its exact 95 % interval."""
    if of == 0:
        return "-"
    low, high = stats.binomtest(hits, of).proportion_ci(method="exact")
    return f"{hits / of:.2f} [{low:.2f}, {high:.2f}]"


def mean(values: Sequence[float]) -> str:
    """Return a mean in percentage points with its 95 % interval; "none" of fewer than two."""
    if len(values) < 2:
        return "none"
    half = 1.96 * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return f"{100 * float(np.mean(values)):+.1f} ± {100 * half:.1f}"


def errors(own: Sequence[Result]) -> list[float]:
    """Return claim less truth of the studies that claim a gain."""
    return [one.claimed - one.true for one in own if not math.isnan(one.claimed)]


def coverage(own: Sequence[Result]) -> tuple[int, int]:
    """Return how many intervals hold the truth, and of how many."""
    found = [one.covered for one in own if one.covered is not None]
    return sum(found), len(found)


def keeps(own: Sequence[Result], name: str) -> tuple[int, int]:
    """Return how many studies keep a tuning, and of how many.

    ``gain-3`` gives 2 % on average: 3 % alone, and 1 % beside ``gain-2``.
    """
    return sum(name in one.kept for one in own), len(own)


def near(own: Sequence[Result]) -> tuple[int, int]:
    """Return how many studies find 95 % of the largest gain, and of how many."""
    return sum(one.true >= 0.95 * one.best for one in own), len(own)
