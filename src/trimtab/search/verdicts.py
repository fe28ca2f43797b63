"""The verdict for one tuning, with the sentence that explains it.

What the tests, the estimates and the confirmation suggest, before it is asked what may ship.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trimtab import formatting
from trimtab.model import Effect, Factor, Phase, Space, Start, TuningVerdict, Verdict
from trimtab.search.comparisons import (
    Contender,
    contender,
    contenders,
    redundant_tuning,
    removal_effects,
)
from trimtab.search.estimates import (
    SETTLING,
    Analysis,
    FactorEstimate,
    analyse,
    as_effect,
    metric_of,
)
from trimtab.search.failures import Failure, failures
from trimtab.search.final_profiles import FinalProfiles, final_profiles, unconfirmed_profiles
from trimtab.search.history import (
    arm_without,
    block_count,
    clash,
    is_on,
    is_preset,
    memoize,
    starts_of_phase,
)
from trimtab.search.phases import confirm, host, screen
from trimtab.search.selection import (
    ALPHA,
    RATE,
    Profiles,
    adjusted_p_better,
    adjusted_p_worse,
    centre,
    harms,
    q_values,
)
from trimtab.stats.effects import detectable_effect

_NONE = Effect(None, None, None, None, 0)
_LOST = "no estimate: the starts measured cannot tell its effect from others"


@dataclass(frozen=True, slots=True)
class VerdictBasis:
    """All that the verdicts rest on: the analysis, adjusted p-values, failures, and the plan."""

    space: Space
    analysis: Analysis
    better: dict[str, float]
    worse: dict[str, float]
    q: dict[str, float]
    failed: dict[str, Failure]
    centre: tuple[Factor, ...]
    plan: screen.ScreenPlan | None


def verdict_basis(space: Space, starts: Sequence[Start], analysis: Analysis) -> VerdictBasis:
    """Gather what the verdicts rest on."""
    return VerdictBasis(
        space=space,
        analysis=analysis,
        better=adjusted_p_better(space, starts, analysis),
        worse=adjusted_p_worse(space, starts, analysis),
        q=q_values(space, starts, analysis),
        failed=failures(space, starts),
        centre=centre(space, starts),
        plan=screen.plan(space, starts_of_phase(starts, Phase.LEAD)),
    )


def tuning_verdict(known: VerdictBasis, factor: Factor) -> TuningVerdict:
    """Return the verdict for a factor."""
    metric = _told(known, factor)
    look = _shown(known, factor, metric)
    effect = _NONE if look is None else as_effect(look.estimate, look.starts)
    verdict, reason = _judge(known, factor, look, effect)
    return TuningVerdict(
        tuning=factor.tuning,
        value=factor.value,
        verdict=verdict,
        effect=effect,
        metric=metric,
        reason=reason,
        phase=look.phase.value if look is not None else "",
    )


def is_false_alarm(known: VerdictBasis, factor: Factor) -> bool:
    """Whether the inert tuning passed a test that it cannot pass but by chance or by drift."""
    return factor.dummy and min(known.better[factor.tuning], known.worse[factor.tuning]) <= ALPHA


def _told(known: VerdictBasis, factor: Factor) -> str:
    """Return the metric that a verdict speaks of: the objective where the factor lowers it."""
    if harms(known.space, known.analysis, factor):
        return known.space.objective
    return metric_of(known.space, factor)


def _shown(known: VerdictBasis, factor: Factor, metric: str) -> FactorEstimate | None:
    """Return the look that a verdict speaks of: the significant one, else the screen's.

    The second stage's has few rows, and only a part in the test.
    """
    looks = [k for k in known.analysis.looks(factor, metric) if k.phase is not Phase.FOLLOW]
    if len(looks) < 2:
        return looks[0] if looks else None
    if known.better[factor.tuning] <= ALPHA:
        return min(looks, key=lambda look: _or_one(look.estimate.p_greater))
    if known.worse[factor.tuning] <= ALPHA:
        return min(looks, key=lambda look: _or_one(look.estimate.p_less))
    return looks[-1]


def _or_one(p: float | None) -> float:
    return 1.0 if p is None else p


def _judge(
    known: VerdictBasis, factor: Factor, look: FactorEstimate | None, effect: Effect
) -> tuple[Verdict, str]:
    failure = known.failed.get(factor.tuning)
    if failure is not None:
        return failure.verdict, failure.reason
    if look is None:
        served = _measured(known, factor)
        verdict = Verdict.INCONCLUSIVE if served else Verdict.NOT_TESTED
        return verdict, _LOST if served else _untested(known, factor)
    where = _where(known, factor, look)
    better, worse = known.better[factor.tuning], known.worse[factor.tuning]
    if is_false_alarm(known, factor):
        return Verdict.INCONCLUSIVE, f"inert by construction, yet its test passed {where}"
    harmful = harms(known.space, known.analysis, factor)
    if worse <= ALPHA and (harmful or better > ALPHA):
        return Verdict.AVOID, f"worse {where}, adjusted p = {worse:.2g}"
    if harmful:
        return Verdict.INCONCLUSIVE, f"it seems to lower {known.space.objective} {where}"
    if better <= ALPHA:
        return Verdict.ADOPT, f"better {where}, adjusted p = {better:.2g}"
    if known.q[factor.tuning] <= RATE and not factor.dummy:
        return Verdict.LIKELY, (
            f"better {where}, but not significant after correcting for "
            f"{len(known.space.factors)} tunings; about {RATE:.0%} of what is called likely is a "
            f"false alarm (q = {known.q[factor.tuning]:.2g})"
        )
    return _open(known, look, effect, where)


def _open(
    known: VerdictBasis, look: FactorEstimate, effect: Effect, where: str
) -> tuple[Verdict, str]:
    """Return the verdict of an effect that is not significant in either direction."""
    if effect.low is None or effect.high is None or look.estimate.se is None:
        return Verdict.INCONCLUSIVE, f"too few starts {where} to know the noise"
    margin = known.space.margin
    if effect.low >= 1 - margin and effect.high <= 1 + margin:
        return Verdict.NO_EFFECT, f"the interval lies within ±{formatting.percent(margin)} {where}"
    tests = len(known.space.factors)
    least = detectable_effect(look.estimate.se, look.estimate.df, tests)
    holds = effect.low <= 1 <= effect.high
    why = "its interval holds 1" if holds else f"not significant among {tests} tunings"
    gain = formatting.percent(math.expm1(min(least, 690.0)))
    return Verdict.INCONCLUSIVE, f"{why} {where}; a gain below {gain} is not detectable"


def _where(known: VerdictBasis, factor: Factor, look: FactorEstimate) -> str:
    starts = formatting.count(look.starts, "start")
    if look.phase is Phase.LEAD:
        return f"alone against the baseline, {starts}"
    if look.phase is Phase.HOST:
        return host.sample_phrase(known.analysis.starts, factor, look.starts)
    others = [other for other in known.centre if other is not factor]
    return f"around {formatting.factors(others) or 'the baseline'}, {starts}"


def _untested(known: VerdictBasis, factor: Factor) -> str:
    other = clash(known.space, factor, known.centre)
    if other is not None:
        return f"excluded by {other.tuning}, which won"
    if factor.of_host:
        return host.untested_reason(known.space, known.analysis.starts, factor)
    if known.plan is None:
        return "the budget leaves no room to test it"
    if factor not in known.plan.factors:
        return (
            f"the budget has room for {formatting.count(len(known.plan.factors), 'tuning')}, and "
            "others are expected to give more"
        )
    return "no start with it was measured yet"


def _measured(known: VerdictBasis, factor: Factor) -> bool:
    """Whether a start of a phase that verdicts rest on was measured with the tuning on."""
    return any(
        start.valid and is_on(factor, start.request.candidate)
        for start in known.analysis.starts
        if start.request.phase in SETTLING and not is_preset(start.request.stem)
    )


@dataclass(frozen=True, slots=True)
class Decision:
    """The analysis of a study with the verdicts, and the profiles that follow from them."""

    analysis: Analysis
    known: VerdictBasis
    answers: tuple[TuningVerdict, ...]
    planned: Profiles
    removed: Mapping[str, Effect]
    last: FinalProfiles


@memoize
def decide(space: Space, everything: Sequence[Start]) -> Decision:
    """Return what a study suggests. Starts that were set aside for profiles decide nothing."""
    starts = [start for start in everything if start.request.phase is not Phase.ANSWERS]
    analysis = analyse(space, starts)
    known = verdict_basis(space, starts, analysis)
    answers = tuple(tuning_verdict(known, factor) for factor in space.factors)
    planned = confirm.suggested_profiles(space, starts)
    tried = contenders(analysis, planned)
    removed = removal_effects(analysis, planned.proven)
    if not tried and _screened_whole(known, starts):
        last = unconfirmed_profiles(answers, planned, everything)
    else:
        last = final_profiles(space, answers, planned, tried, _smaller(analysis, planned, removed))
    return Decision(analysis, known, answers, planned, removed, last)


def _smaller(
    analysis: Analysis, planned: Profiles, removed: Mapping[str, Effect]
) -> Contender | None:
    """Return the profile without the tuning that it does not need, if there is one."""
    spare = redundant_tuning(analysis.space, removed)
    for factor in planned.proven:
        if factor.tuning == spare:
            rest = tuple(other for other in planned.proven if other is not factor)
            return contender(analysis, arm_without(factor), rest)
    return None


def _screened_whole(known: VerdictBasis, starts: Sequence[Start]) -> bool:
    """Whether the screen was planned to take the whole budget, and every block of it has begun."""
    if known.plan is None or not known.plan.whole:
        return False
    return block_count(starts, Phase.SCREEN) >= len(known.plan.design.blocks)
