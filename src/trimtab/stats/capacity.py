"""The highest rate that meets an SLO, from noisy probes: where to probe next, and the estimate.

A probe's margin is the largest of log(statistic / limit) over the SLO's terms: below zero the SLO
holds. It rises with the rate, so the capacity is where it crosses zero. Fitting margins uses how
far a probe missed; a bisection on pass or fail alone throws that away, and needs twice the probes
for the same error (methods: margins as in vLLM's sweep before #35306, monotone as in AIPerf).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import optimize

BISECTIONS: Final = 4
AROUND: Final = (0.96, 1.04, 0.92, 1.00)
"""Rates of the last probes, relative to what the earlier ones estimate."""

_FARTHEST: Final = 16
"""Doublings (or halvings) of the first rate after which no bracket is looked for any more."""

_NEAR: Final = math.log(1.3)
"""How far from the crossing a probe may lie to shape the local line (log of the rate)."""

CLIP: Final = 1.5
"""Largest margin that counts: how late an overloaded server is tells how long it was watched."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One rate (requests/s) that was tried. ``margin`` is ``inf`` where the server could not."""

    rate: float
    margin: float


def next_rate(probes: Sequence[Probe], first: float) -> float | None:
    """Return the rate to probe next, ``None`` when the search is over.

    ``first`` is where to begin: a quarter of what the server does when saturated. Then doubling
    or halving to a bracket, bisections of its logarithm, and probes around the estimate.
    """
    if not probes:
        return first
    passed = [probe.rate for probe in probes if probe.margin <= 0]
    failed = [probe.rate for probe in probes if probe.margin > 0]
    if not passed or not failed:
        if len(probes) > _FARTHEST:
            return None
        return max(passed) * 2 if passed else min(failed) / 2
    begun = next(
        i for i, probe in enumerate(probes) if (probe.margin > 0) != (probes[0].margin > 0)
    )
    after = len(probes) - begun - 1
    if after < BISECTIONS:
        low, high = _bracket(probes)
        return math.sqrt(low * high)
    if after < BISECTIONS + len(AROUND):
        centre = crossing(probes[: begun + 1 + BISECTIONS])
        return None if centre is None else centre * AROUND[after - BISECTIONS]
    return None


def crossing(probes: Sequence[Probe]) -> float | None:
    """Return the rate at which the margin crosses zero, ``None`` if no probe lies on one side.

    Margins are made monotone (isotonic regression) to find the region of the crossing; there a
    line through the margins over the log of the rate gives the root.
    """
    if all(probe.margin > 0 for probe in probes) or all(probe.margin <= 0 for probe in probes):
        return None
    ordered = sorted(probes, key=lambda one: one.rate)
    x = np.log([probe.rate for probe in ordered])
    y = np.clip([probe.margin for probe in ordered], -CLIP, CLIP)
    rough = _monotone_root(x, np.asarray(optimize.isotonic_regression(y).x))
    weight = np.clip(1 - np.abs(x - rough) / _NEAR, 0, None)  # the curve is no line far away
    near = weight > 0
    if near.sum() < 3 or np.ptp(x[near]) == 0:
        return math.exp(rough)
    slope, level = np.polyfit(x[near] - rough, y[near], 1, w=np.sqrt(weight[near]))
    if slope <= 0:
        return math.exp(rough)
    return math.exp(rough + float(np.clip(-level / slope, -_NEAR / 2, _NEAR / 2)))


def _monotone_root(
    x: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    y: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> float:
    """Return where a rising step line crosses zero, by interpolation."""
    above = int(np.argmax(y > 0)) if (y > 0).any() else len(y) - 1
    below = max(0, above - 1)
    if y[above] <= 0 or y[below] > 0 or y[above] == y[below]:
        return float(x[above] if y[above] <= 0 else x[below])
    share = -y[below] / (y[above] - y[below])
    return float(x[below] + share * (x[above] - x[below]))


def _bracket(probes: Sequence[Probe]) -> tuple[float, float]:
    """Return a rate that passed and one that failed, next to each other where order allows."""
    failed = min(probe.rate for probe in probes if probe.margin > 0)
    passed = [probe.rate for probe in probes if probe.margin <= 0 and probe.rate < failed]
    if passed:
        return max(passed), failed
    best = max(probe.rate for probe in probes if probe.margin <= 0)
    return failed, best  # noise has turned them round: the crossing lies between all the same
