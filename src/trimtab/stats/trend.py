"""A straight line through a few equally spaced values, and how sure its slope is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Trend:
    """A least-squares line: its first and last value, and Student's t of its slope.

    ``t`` has two degrees of freedom fewer than there are values; it is infinite for a slope
    without any residual, 0 for a constant.
    """

    first: float
    last: float
    t: float

    @property
    def rise(self) -> float:
        """The slope times the span."""
        return self.last - self.first


def trend(values: Sequence[float]) -> Trend:
    """Return the ordinary least-squares line of the values over their position.

    Raises:
        ValueError: fewer than three values leave no residual.
    """
    n = len(values)
    if n < 3:
        raise ValueError(f"a trend needs at least 3 values, but got {n}")
    middle, level = (n - 1) / 2, math.fsum(values) / n
    spread = n * (n * n - 1) / 12
    slope = math.fsum((i - middle) * (one - level) for i, one in enumerate(values)) / spread
    residual = math.fsum((one - level - slope * (i - middle)) ** 2 for i, one in enumerate(values))
    error = math.sqrt(residual / (n - 2) / spread)
    if error > 1e-12 * abs(slope):
        t = slope / error
    else:
        t = math.copysign(math.inf, slope) if slope else 0.0
    return Trend(level - slope * middle, level + slope * middle, t)
