"""One arm of the confirmation against another, from the blocks that hold both."""

from __future__ import annotations

import math

import numpy as np

from trimtab.model import Phase
from trimtab.search.arms import of_phase
from trimtab.search.covariate import fit_with_speed
from trimtab.search.looks import Analysis, higher_is_better, usable
from trimtab.stats.effects import Estimate


def contrast(analysis: Analysis, arm: str, other: str, metric: str) -> Estimate | None:
    """Return how much better ``arm`` is than ``other``, log scale, better-is-greater.

    ``None`` when either was not measured, or the starts cannot tell them apart. The noise is the
    confirmation's, pooled over its arms.
    """
    rows = [s for s in of_phase(analysis.starts, Phase.CONFIRM) if usable(s, metric)]
    if not {arm, other} <= {start.request.stem for start in rows}:
        return None
    sign = 1.0 if higher_is_better(analysis.space, metric) else -1.0
    y = [sign * math.log(start.metrics[metric]) for start in rows]
    columns = {
        name: np.array([float(start.request.stem == name) for start in rows], dtype=np.float64)
        for name in sorted({start.request.stem for start in rows} - {other})
    }
    model = fit_with_speed(y, rows, columns)
    return model.estimate(arm, analysis.noise[Phase.CONFIRM, metric])
