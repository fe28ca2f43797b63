"""Variance components: how much starts differ, how much windows of one start, and what follows.

The model of a window is ``log(metric) = mean + arm + block + start + window`` with independent
``start ~ (0, s_r^2)`` and ``window ~ (0, s_w^2)``, so the mean of a start over n_w windows varies
by ``s_r^2 + s_w^2 / n_w``. Both are estimated by the method of moments.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from trimtab.stats.effects import Noise


def window_noise(blocks: Iterable[Sequence[Sequence[float]]]) -> Noise:
    """Return the noise of one window: what is left of logs after their start and their place.

    Each block holds a row of logs for each of its starts, all rows of one length, because the
    starts of a block send the same requests: a window whose requests are harder is harder for
    every arm, and does not count as noise. Where a block has a single start that cannot be told
    apart, and does count.
    """
    total = Noise(0.0, 0)
    for rows in blocks:
        logs = np.asarray(rows, dtype=np.float64)
        starts, windows = logs.shape
        residual = logs - logs.mean(axis=1, keepdims=True)
        if starts > 1:
            residual = residual - residual.mean(axis=0, keepdims=True)
        df = max(1, starts - 1) * (windows - 1)
        total = total.pooled(Noise(float(np.sum(residual**2)), df))
    return total


def between(starts: Noise, windows: Noise, each: float) -> float:
    """Return s_r, the sd between starts beyond what their windows explain.

    ``s_r^2 = max(0, Var(start means) - s_w^2 / n_w)``.

    Args:
        starts: the residual noise of start means, after arms and blocks; df above 0.
        windows: the noise of one window; df above 0.
        each: windows of a start, n_w.
    """
    share = windows.ss / windows.df / each
    return math.sqrt(max(0.0, starts.ss / starts.df - share))


def best_windows(s_r: float, s_w: float, start_cost: float, window_cost: float, most: int) -> int:
    """Return the windows for each start that give the most precision for a budget of time.

    ``n_w* = ceil(sqrt((start_cost / window_cost) * (s_w^2 / s_r^2)))`` (Kalibera and Jones, ISMM
    2013), at least 1 and at most ``most``: an s_r that is estimated as 0 would ask for infinitely
    many. ``start_cost`` is what a start costs without its windows, in the unit of both.
    """
    if s_w == 0.0:
        return 1
    if s_r == 0.0:
        return most
    wanted = math.sqrt(start_cost / window_cost) * s_w / s_r
    return int(min(most, max(1, math.ceil(wanted))))
