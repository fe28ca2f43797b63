"""What the proven profile loses without each of its tunings, from the confirmation's own blocks.

The removal effect f(S) - f(S without k) and the average effect of the screen are two estimands;
they differ where tunings interact. A tuning may give much on average and nothing beside the
others: then it is redundant, and the smaller profile is preferred.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from trimtab import formatting
from trimtab.model import Answer, Effect, Factor, Phase, Space, Verdict
from trimtab.search import confirm
from trimtab.search.arms import PROVEN_ARM, of_phase, without_arm
from trimtab.search.contrasts import contrast
from trimtab.search.looks import Analysis, metric_of, to_ratio, usable


def removals(analysis: Analysis, proven: Sequence[Factor]) -> dict[str, Effect]:
    """Return tuning → what the profile gains by it: a ratio above 1 is lost without it.

    Empty where the confirmation had no room for it. Each effect is on the tuning's own metric, and
    all intervals hold together (Bonferroni over the profile's tunings).
    """
    found = {}
    for factor in proven:
        effect = _removal(analysis, factor, len(proven))
        if effect is not None:
            found[factor.tuning] = effect
    return found


def _removal(analysis: Analysis, factor: Factor, many: int) -> Effect | None:
    metric, own = metric_of(analysis.space, factor), without_arm(factor)
    estimate = contrast(analysis, PROVEN_ARM, own, metric)
    if estimate is None:
        return None
    level = confirm.level(analysis.space, analysis.starts)
    interval = estimate.interval(1 - (1 - level) / many)
    low, high = (None, None) if interval is None else map(to_ratio, interval)
    starts = sum(
        start.request.stem in (own, PROVEN_ARM) and usable(start, metric)
        for start in of_phase(analysis.starts, Phase.CONFIRM)
    )
    return Effect(math.exp(estimate.value), low, high, estimate.p_greater, starts)


def redundant(space: Space, found: Mapping[str, Effect]) -> str | None:
    """Return the tuning that the profile does not need, ``None`` if it needs all or it is open.

    It is one whose removal is shown to cost less than the study's margin; of several the one
    that gives least: only one was left out at a time, and two may stand in for each other, so
    that what the profile gives without both was not measured.
    """
    spare = [
        (effect.ratio or 0.0, tuning)
        for tuning, effect in found.items()
        if effect.high is not None and effect.high < 1 + space.margin
    ]
    return min(spare)[1] if spare else None


def labelled(space: Space, answer: Answer, found: Mapping[str, Effect]) -> Answer:
    """Return an answer with its removal effect, and the sentence that it adds."""
    effect = found.get(answer.tuning)
    if effect is None or answer.verdict is not Verdict.ADOPT:
        return answer
    shown = f"{formatting.percent((effect.ratio or 1.0) - 1)} {_bounds(effect)}"
    if effect.low is not None and effect.low > 1:
        said = f"the profile needs it: {shown} against leaving it out"
    elif effect.high is not None and effect.high < 1 + space.margin:
        said = f"redundant in the profile: {shown} against leaving it out"
    else:
        said = f"whether the profile needs it is open: {shown} against leaving it out"
    return replace(answer, removal=effect, reason=f"{answer.reason}; {said}")


def _bounds(effect: Effect) -> str:
    if effect.low is None or effect.high is None:
        return "(no interval)"
    return f"[{formatting.percent(effect.low - 1)}, {formatting.percent(effect.high - 1)}]"
