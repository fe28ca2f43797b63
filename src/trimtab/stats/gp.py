"""A Gaussian process over one ordered setting, with the noise of each mean as measured.

Squared-exponential kernel; its scale and height are those of highest marginal likelihood among a
few (Rasmussen and Williams 2006, eq. 2.23-2.30). The choice is the posterior mean's highest point
among the levels, never the best one observed: with noise the best observed is one that was lucky
(Letham et al. 2019; methods: regret 1.21 % against 1.96 % at 2 % noise).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_SCALES: Final = (0.7, 1.4, 2.8, 5.6)
"""Length scales tried, in the unit of x."""

_HEIGHTS: Final = (0.25, 0.5, 1.0, 2.0)
"""Standard deviations of the function tried, relative to the spread of y."""


@dataclass(frozen=True, slots=True)
class ProcessPosterior:
    """Mean and standard deviation of the function at each point asked for."""

    mean: tuple[float, ...]
    sd: tuple[float, ...]


def posterior(
    x: Sequence[float], y: Sequence[float], noise: Sequence[float], at: Sequence[float]
) -> ProcessPosterior:
    """Return what ``y`` (observed at ``x`` with these standard deviations) says of ``at``.

    Raises:
        ValueError: nothing was observed.
    """
    if not x:
        raise ValueError("a posterior needs an observation")
    points, values = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    middle = float(values.mean())
    spread = max(float(np.ptp(values)) / 2, float(np.median(noise)), 1e-6)
    diagonal = np.diag(np.square(np.maximum(np.asarray(noise, dtype=np.float64), 1e-6)))
    best: tuple[float, float, float] | None = None
    for scale, height in product(_SCALES, _HEIGHTS):
        found = _likelihood(points, values - middle, diagonal, scale, height * spread)
        if best is None or found > best[0]:
            best = (found, scale, height * spread)
    assert best is not None
    _, scale, height = best
    target = np.asarray(at, dtype=np.float64)
    inverse = np.linalg.inv(_kernel(points, points, scale, height) + diagonal)
    cross = _kernel(target, points, scale, height)
    mean = middle + cross @ inverse @ (values - middle)
    variance = height**2 - np.einsum("ij,jk,ik->i", cross, inverse, cross)
    sd = np.sqrt(np.clip(variance, 0.0, None))
    return ProcessPosterior(tuple(map(float, mean)), tuple(map(float, sd)))


def _kernel(one: Array, other: Array, scale: float, height: float) -> Array:
    distance = (one[:, None] - other[None, :]) / scale
    return np.asarray(height**2 * np.exp(-0.5 * distance**2), dtype=np.float64)


def _likelihood(x: Array, y: Array, noise: Array, scale: float, height: float) -> float:
    matrix = _kernel(x, x, scale, height) + noise
    sign, logdet = np.linalg.slogdet(matrix)
    if sign <= 0:
        return -math.inf
    return float(-0.5 * y @ np.linalg.solve(matrix, y) - 0.5 * logdet)
