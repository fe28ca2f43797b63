"""Two stages of evidence about one effect, combined so that the error stays what it says."""

from __future__ import annotations

import math
from typing import Final

from scipy import special

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
