"""The gate's readings as a covariate: how fast the machine itself was before each start."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from trimtab.model import Start
from trimtab.stats.effects import Column, Estimate, Fit, fit

NAME: Final = "machine speed"
"""The column's name in a fit; no tuning or arm has a space in its name."""

_LEVEL: Final = 0.01
"""Two-sided p up to which its slope is worth a degree of freedom: blocks have taken out what is
slow already, and a column that explains nothing only costs power. By p and not by a number of
standard errors, for with the one degree of freedom of a small screen three are nothing rare (one
case in five), and what is left of the noise then is next to nothing by chance: 91.6 % of the
intervals held the truth there instead of 94.2 (3,000 screens of 8 rows and 5 columns)."""

_READINGS: Final = ("gflops", "copy_gbps")
"""What the clock, heat, the hypervisor and others leave of the machine. To ask each of these for
itself costs honesty: the best of five columns that explain nothing passes the rule above in 8 % of
screens instead of 1 %, narrows the intervals (93.6 % of them hold the truth instead of 94.6), and
something null passes a test among 11 tunings in 7 % instead of 3 % (800 screens of 24 rows)."""


def fit_with_speed(
    y: Sequence[float], starts: Sequence[Start], columns: Mapping[str, Column]
) -> Fit:
    """Fit logs on blocks and columns, and on the machine's speed where that explains them.

    Whether it does is asked of the covariate alone, never of an arm's effect.
    """
    blocks = [start.request.block for start in starts]
    found = fit(y, blocks, columns)
    speed = machine_speed(starts)
    if speed is None or found.noise.df < 2:
        return found
    wider = fit(y, blocks, {**columns, NAME: speed})
    slope = wider.estimate(NAME)
    if slope is None or not slope.se or not _explains(slope):
        return found
    return wider if _variance(wider, columns) < _variance(found, columns) else found


def _explains(slope: Estimate) -> bool:
    p = slope.p_greater
    return p is not None and 2 * min(p, 1 - p) <= _LEVEL


def _variance(fitted: Fit, columns: Mapping[str, Column]) -> float:
    """Return the mean variance of the columns' estimates, infinite where one has none.

    Where the machine was faster for one arm than for another, an estimate rests on the slope, and
    can be less sure with the covariate than without, although there is less noise.
    """
    found = [fitted.estimate(name) for name, column in columns.items() if np.any(column)]
    if not found:
        return fitted.noise.ss / fitted.noise.df
    return float(
        np.mean([math.inf if one is None or one.se is None else one.se**2 for one in found])
    )


def machine_speed(starts: Sequence[Start]) -> Column | None:
    """Return the log speed of the machine before each start, centred; ``None`` if not known.

    The mean over those readings of the gate that every start has. The gate runs before the server
    and cannot see the arm, so what it explains of the noise can be taken out without bias (CUPED;
    Deng et al., WSDM 2013): with a correlation of rho the variance falls by 1 - rho**2.
    """
    read = [key for key in _READINGS if all(start.gate.get(key, 0.0) > 0 for start in starts)]
    if not starts or not read:
        return None
    logs = np.array([[math.log(start.gate[key]) for key in read] for start in starts])
    speed = logs.mean(axis=1)
    speed -= speed.mean()
    return speed if float(np.ptp(speed)) > 0 else None
