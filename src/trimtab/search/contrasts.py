"""One arm of the confirmation against another, from the blocks that hold both."""

from __future__ import annotations

from trimtab.model import Phase
from trimtab.search.arms import of_phase
from trimtab.search.looks import Analysis, fit_phase, usable
from trimtab.stats.effects import Estimate


def contrast(analysis: Analysis, arm: str, other: str, metric: str) -> Estimate | None:
    """Return how much better ``arm`` is than ``other``, log scale, better-is-greater.

    ``None`` when either was not measured, or the starts cannot tell them apart. The noise is the
    confirmation's, pooled over its arms.
    """
    rows = [s for s in of_phase(analysis.starts, Phase.CONFIRM) if usable(s, metric)]
    if not {arm, other} <= {start.request.stem for start in rows}:
        return None
    model = fit_phase(analysis.space, rows, Phase.CONFIRM, metric, reference=other)
    return model.estimate(arm, analysis.noise[Phase.CONFIRM, metric])
