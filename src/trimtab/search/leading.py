"""What leads so far, for somebody who watches: never a claim, the conclusion makes those."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab import formatting
from trimtab.metrics.table import geometric_mean
from trimtab.model import BASELINE, Answer, Comparison, Phase, Space, Start
from trimtab.search.arms import of_phase
from trimtab.search.conclusion import conclude
from trimtab.search.looks import usable


def leading(space: Space, starts: Sequence[Start]) -> Comparison | None:
    """Return the best arm so far against the baseline; ``None`` when nothing is better yet.

    Once the confirmation has measured a profile and the baseline it is the best profile that
    stands, before that the best lead.
    """
    found = conclude(space, starts)
    fresh = [s.request.candidate for s in of_phase(starts, Phase.CONFIRM) if s.valid]
    if BASELINE in fresh and any(fresh):
        arms = [one for one in found.confirmed if one.metric == space.objective]
    else:
        arms = [one for answer in found.answers for one in _alone(space, starts, answer)]
    better = [one for one in arms if (one.effect.ratio or 0.0) > 1.0]
    return max(better, key=lambda one: one.effect.ratio or 0.0, default=None)


def _alone(space: Space, starts: Sequence[Start], answer: Answer) -> list[Comparison]:
    """Return a lead's effect as a comparison; nothing for what is not tested alone."""
    if answer.phase != Phase.LEAD or answer.metric != space.objective:
        return []
    stock = [
        start.metrics[space.objective]
        for start in of_phase(starts, Phase.LEAD)
        if start.request.candidate == BASELINE and usable(start, space.objective)
    ]
    if not stock or answer.effect.ratio is None:
        return []
    base = geometric_mean(stock)
    ratio = answer.effect.ratio
    value = base * ratio if space.higher_is_better else base / ratio
    name = formatting.setting(answer.tuning, answer.value)
    return [Comparison(name, space.objective, base, value, answer.effect)]
