"""Adjustments for many tests: the family-wise error (Holm), the false discovery rate (BH).

Two stages of evidence about one effect, combined so that the error stays what it says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

_STEPS: Final = 400
"""Values of the noise over which a joint probability is averaged."""

_LEAST: Final = 1e-14
"""Smallest p-value of which a joint probability is told from that of a smaller one."""


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


def step_down(p: Mapping[str, float], df: int) -> dict[str, float]:
    """Return p-values adjusted step-down for the largest of t statistics that share their noise.

    The columns of an orthogonal design give independent effects but one residual variance; where
    that came out small, all statistics are large together, and Bonferroni's sum counts it once for
    each. With 11 tests on 9 degrees of freedom the first step asks for p = .0053, Holm's for .0045
    (Dunnett and Tamhane 1991, with the correlation of orthogonal effects, which is 0).

    Args:
        p: one-sided p-values of t statistics; a test that was not made counts as 1.
        df: degrees of freedom of the noise that they share, at least 1.
    """
    adjusted: dict[str, float] = {}
    largest = 0.0
    for rank, name in enumerate(sorted(p, key=lambda name: p[name])):
        largest = max(largest, _any(p[name], len(p) - rank, df))
        adjusted[name] = largest
    return {name: adjusted[name] for name in p}


def _any(p: float, many: int, df: int) -> float:
    """Return the probability that one of ``many`` statistics has a p-value as small as ``p``."""
    if p >= 0.5:
        return min(1.0, many * p)
    scale, weight = _scales(df)
    single = special.ndtr(float(special.stdtrit(df, max(p, _LEAST))) * scale)
    return float(weight @ -np.expm1(many * np.log1p(-single)))


@cache
def _scales(df: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return values of the estimated standard deviation in units of the true one, and weights."""
    low, high = np.log(special.chdtri(df, [1.0 - 1e-15, 1e-15]) / df) / 2
    logs = np.linspace(float(low), float(high), _STEPS)
    density = np.exp(df * logs - df * np.exp(2 * logs) / 2)
    return np.exp(logs), density / density.sum()


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


_TINY: Final = 1e-300
"""Smallest p-value whose normal quantile is finite."""


def inverse_normal(p1: float, p2: float, weight: float) -> float:
    """Return the p-value of two independent one-sided ones: the weighted inverse normal method.

    Valid whatever was done between the stages with the first one's data, because only the weights
    must be fixed beforehand (Bauer and Koehne 1994; Lehmacher and Wassmer 1999).

    Args:
        p1: the first stage's p-value.
        p2: the second stage's, from other data.
        weight: the first stage's share of the information, as planned, from 0 to 1.
    """
    return _upper(math.sqrt(weight) * _quantile(p1) + math.sqrt(1 - weight) * _quantile(p2))


def two_looks(p1: float, p2: float | None, weight: float) -> float:
    """Return the p-value of looking at the first stage alone and at both stages together.

    The smaller of the two counts, and is charged for both: the probability that either is as
    small when there is no effect, for a correlation of ``sqrt(weight)`` (Owen 1956). That holds
    whichever tunings went on to the second stage; without one, ``p2`` is ``None``.
    """
    smaller = p1 if p2 is None else min(p1, inverse_normal(p1, p2, weight))
    rho = math.sqrt(weight)
    bound = _quantile(smaller)
    both = float(special.owens_t(bound, math.sqrt((1 - rho) / (1 + rho))))
    return min(1.0, _upper(bound) + 2 * both)


def _quantile(p: float) -> float:
    return -float(special.ndtri(min(max(p, _TINY), 1 - 1e-16)))


def _upper(z: float) -> float:
    return float(special.ndtr(-z))
