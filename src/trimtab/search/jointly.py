"""Tunings that a small budget ran in a profile only: what that comparison says of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from trimtab.model import Answer, Effect, Phase, Space, Verdict
from trimtab.search.comparisons import Contender


def jointly(
    space: Space, answers: Iterable[Answer], tried: Sequence[Contender]
) -> Iterator[Answer]:
    """Yield the verdicts, with what the comparison of a profile says of those not tested.

    A profile of one tuning is a test of it. Of several, none is measured by itself.
    """
    for one in answers:
        arm = _arm(one, tried)
        if arm is None:
            yield one
        elif len(arm.factors) == 1:
            effect = arm.effect(one.metric) or one.effect
            told = f"alone against the baseline, as the {arm.arm} profile"
            verdict = _verdict(space, effect)
            yield replace(
                one, verdict=verdict, effect=effect, phase=Phase.CONFIRM.value, reason=told
            )
        else:
            ran = f"it ran only together with others, in the {arm.arm} profile"
            yield replace(one, reason=f"{one.reason}; {ran}")


def _arm(one: Answer, tried: Sequence[Contender]) -> Contender | None:
    """Return the smallest arm that measured a tuning which was not tested."""
    held = [
        arm
        for arm in tried
        if one.verdict is Verdict.NOT_TESTED
        and arm.ratio(one.metric) is not None
        and one.tuning in {factor.tuning for factor in arm.factors}
    ]
    return min(held, key=lambda arm: len(arm.factors), default=None)


def _verdict(space: Space, effect: Effect) -> Verdict:
    """Return what the interval of one comparison says.

    A gain is likely at most: to adopt it, it must win a test, and then be confirmed.
    """
    if effect.low is None or effect.high is None:
        return Verdict.INCONCLUSIVE
    if effect.low > 1:
        return Verdict.LIKELY
    if effect.high < 1:
        return Verdict.AVOID
    within = effect.low >= 1 - space.margin and effect.high <= 1 + space.margin
    return Verdict.NO_EFFECT if within else Verdict.INCONCLUSIVE
