"""The verdict for one tuning, with the sentence that explains it.

What the tests, the estimates and the confirmation suggest, before it is asked what may ship.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from trimtab import formatting
from trimtab.model import Effect, Factor, Phase, TuningVerdict, Verdict
from trimtab.search.arms import arm_without, clash, is_on, is_preset
from trimtab.search.comparisons import (
    Contender,
    contender,
    contenders,
    redundant_tuning,
    removal_effects,
)
from trimtab.search.estimates import ALPHA, SETTLING, FactorEstimate, as_effect, metric_of
from trimtab.search.final_profiles import FinalProfiles, final_profiles, unconfirmed_profiles
from trimtab.search.history import History, derived
from trimtab.search.phases import confirm, host, screen
from trimtab.search.selection import RATE, Profiles
from trimtab.stats.effects import detectable_effect

_NONE = Effect(None, None, None, None, 0)
_LOST = "no estimate: the starts measured cannot tell its effect from others"


def tuning_verdict(history: History, factor: Factor) -> TuningVerdict:
    """Return the verdict for a factor."""
    metric = _told(history, factor)
    look = _shown(history, factor, metric)
    effect = _NONE if look is None else as_effect(look.estimate, look.starts)
    verdict, reason = _judge(history, factor, look, effect)
    return TuningVerdict(
        tuning=factor.tuning,
        value=factor.value,
        verdict=verdict,
        effect=effect,
        metric=metric,
        reason=reason,
        phase=look.phase.value if look is not None else "",
    )


def is_false_alarm(history: History, factor: Factor) -> bool:
    """Whether the inert tuning passed a test that it cannot pass but by chance or by drift."""
    return (
        factor.dummy
        and min(history.p_better[factor.tuning], history.p_worse[factor.tuning]) <= ALPHA
    )


def _told(history: History, factor: Factor) -> str:
    """Return the metric that a verdict speaks of: the objective where the factor lowers it."""
    if history.estimates.harms(factor):
        return history.space.objective
    return metric_of(history.space, factor)


def _shown(history: History, factor: Factor, metric: str) -> FactorEstimate | None:
    """Return the look that a verdict speaks of: the significant one, else the screen's.

    The second stage's has few rows, and only a part in the test.
    """
    looks = [k for k in history.estimates.looks(factor, metric) if k.phase is not Phase.FOLLOW]
    if len(looks) < 2:
        return looks[0] if looks else None
    if history.p_better[factor.tuning] <= ALPHA:
        return min(looks, key=lambda look: _or_one(look.estimate.p_greater))
    if history.p_worse[factor.tuning] <= ALPHA:
        return min(looks, key=lambda look: _or_one(look.estimate.p_less))
    return looks[-1]


def _or_one(p: float | None) -> float:
    return 1.0 if p is None else p


def _judge(
    history: History, factor: Factor, look: FactorEstimate | None, effect: Effect
) -> tuple[Verdict, str]:
    failure = history.failures.get(factor.tuning)
    if failure is not None:
        return failure.verdict, failure.reason
    if look is None:
        served = _measured(history, factor)
        verdict = Verdict.INCONCLUSIVE if served else Verdict.NOT_TESTED
        return verdict, _LOST if served else _untested(history, factor)
    where = _where(history, factor, look)
    better, worse = history.p_better[factor.tuning], history.p_worse[factor.tuning]
    if is_false_alarm(history, factor):
        return Verdict.INCONCLUSIVE, f"inert by construction, yet its test passed {where}"
    harmful = history.estimates.harms(factor)
    if worse <= ALPHA and (harmful or better > ALPHA):
        return Verdict.AVOID, f"worse {where}, adjusted p = {worse:.2g}"
    if harmful:
        return Verdict.INCONCLUSIVE, f"it seems to lower {history.space.objective} {where}"
    if better <= ALPHA:
        return Verdict.ADOPT, f"better {where}, adjusted p = {better:.2g}"
    if history.q[factor.tuning] <= RATE and not factor.dummy:
        return Verdict.LIKELY, (
            f"better {where}, but not significant after correcting for "
            f"{len(history.space.factors)} tunings; about {RATE:.0%} of what is called likely is "
            f"a false alarm (q = {history.q[factor.tuning]:.2g})"
        )
    return _open(history, look, effect, where)


def _open(
    history: History, look: FactorEstimate, effect: Effect, where: str
) -> tuple[Verdict, str]:
    """Return the verdict of an effect that is not significant in either direction."""
    if effect.low is None or effect.high is None or look.estimate.se is None:
        return Verdict.INCONCLUSIVE, f"too few starts {where} to know the noise"
    margin = history.space.margin
    if effect.low >= 1 - margin and effect.high <= 1 + margin:
        return Verdict.NO_EFFECT, f"the interval lies within ±{formatting.percent(margin)} {where}"
    tests = len(history.space.factors)
    least = detectable_effect(look.estimate.se, look.estimate.df, tests)
    holds = effect.low <= 1 <= effect.high
    why = "its interval holds 1" if holds else f"not significant among {tests} tunings"
    gain = formatting.percent(math.expm1(min(least, 690.0)))
    return Verdict.INCONCLUSIVE, f"{why} {where}; a gain below {gain} is not detectable"


def _where(history: History, factor: Factor, look: FactorEstimate) -> str:
    starts = formatting.count(look.starts, "start")
    if look.phase is Phase.LEAD:
        return f"alone against the baseline, {starts}"
    if look.phase is Phase.HOST:
        return host.sample_phrase(history, factor, look.starts)
    others = [other for other in history.centre if other is not factor]
    return f"around {formatting.factors(others) or 'the baseline'}, {starts}"


def _untested(history: History, factor: Factor) -> str:
    other = clash(history.space, factor, history.centre)
    if other is not None:
        return f"excluded by {other.tuning}, which won"
    if factor.of_host:
        return host.untested_reason(history, factor)
    planned = screen.plan(history)
    if planned is None:
        return "the budget leaves no room to test it"
    if factor not in planned.factors:
        return (
            f"the budget has room for {formatting.count(len(planned.factors), 'tuning')}, and "
            "others are expected to give more"
        )
    return "no start with it was measured yet"


def _measured(history: History, factor: Factor) -> bool:
    """Whether a start of a phase that verdicts rest on was measured with the tuning on."""
    return any(
        start.valid and is_on(factor, start.request.candidate)
        for start in history.starts
        if start.request.phase in SETTLING and not is_preset(start.request.stem)
    )


@dataclass(frozen=True, slots=True)
class Decision:
    """The analysis of a study with the verdicts, and the profiles that follow from them."""

    tested: History
    answers: tuple[TuningVerdict, ...]
    planned: Profiles
    removed: Mapping[str, Effect]
    last: FinalProfiles


@derived
def decide(history: History) -> Decision:
    """Return what a study suggests. Starts that were set aside for profiles decide nothing."""
    tested = history.without(Phase.ANSWERS)
    answers = tuple(tuning_verdict(tested, factor) for factor in tested.space.factors)
    planned = confirm.suggested_profiles(tested)
    tried = contenders(tested, planned)
    removed = removal_effects(tested, planned.proven)
    if not tried and _screened_whole(tested):
        last = unconfirmed_profiles(answers, planned, history.starts)
    else:
        smaller = _smaller(tested, planned, removed)
        last = final_profiles(tested.space, answers, planned, tried, smaller)
    return Decision(tested, answers, planned, removed, last)


def _smaller(
    history: History, planned: Profiles, removed: Mapping[str, Effect]
) -> Contender | None:
    """Return the profile without the tuning that it does not need, if there is one."""
    spare = redundant_tuning(history.space, removed)
    for factor in planned.proven:
        if factor.tuning == spare:
            rest = tuple(other for other in planned.proven if other is not factor)
            return contender(history, arm_without(factor), rest)
    return None


def _screened_whole(history: History) -> bool:
    """Whether the screen was planned to take the whole budget, and every block of it has begun."""
    planned = screen.plan(history)
    if planned is None or not planned.whole:
        return False
    return history.block_count(Phase.SCREEN) >= len(planned.design.blocks)
