"""What a study found, from the question and the ledger alone. Works on any part of a study.

What a reader must know besides the verdicts.

Gains that no profile holds: a verdict must not send its reader where the profiles do not go.

What leads so far, for somebody who watches: never a claim, the conclusion makes those.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from statistics import median

from trimtab import formatting
from trimtab.metrics.table import geometric_mean
from trimtab.model import (
    BASELINE,
    Candidate,
    Comparison,
    Conclusion,
    Phase,
    TuningVerdict,
    Verdict,
)
from trimtab.presets import GUIDE
from trimtab.search.arms import BASELINE_ARM, MAX_ARM, PROVEN_ARM, candidate_of
from trimtab.search.comparisons import (
    contenders,
    guide_comparison,
    with_joint_effects,
    with_removal_effect,
)
from trimtab.search.estimates import LOOKS, Analysis, contrast, is_usable, metrics_of
from trimtab.search.estimates import NAME as SPEED
from trimtab.search.fidelity import failure_sentences, fidelity, fidelity_sentence
from trimtab.search.final_profiles import FinalProfiles
from trimtab.search.history import History, derived
from trimtab.search.noise import noise_sentence, study_noise, variance_components
from trimtab.search.pareto import ParetoFront, pareto_front
from trimtab.search.pareto_arms import pareto_arms
from trimtab.search.phases import lead, screen
from trimtab.search.phases.refine import with_refined_level
from trimtab.search.release import Release, release
from trimtab.search.remarks import remarks
from trimtab.search.verdicts import Decision, decide, is_false_alarm
from trimtab.stats.effects import LEAST_DF, detectable_effect


def notes_of(history: History) -> list[str]:
    """Return what a reader must know besides the verdicts, one sentence each."""
    space, starts = history.space, history.starts
    notes = [history.blocking_reason, *_without_value(history), *history.limits.notes()]
    if len(space.factors) > 1 and screen.plan(history) is None and starts:
        notes.append(_no_screen(history))
    if space.guide and starts and not _asked(history):
        notes.append(
            f"{_called(space.preset)} is not compared: the budget has no start to spare for it"
        )
    notes += [
        f"{formatting.factors([factor])} won alone, but every start failed in which it was on "
        f"together with {formatting.factors(history.centre)}: it is left out"
        for factor in history.dropped_leads
    ]
    notes += [
        f"the inert tuning {factor.tuning} passed a test that it can pass only by chance "
        "or by drift: read small effects of this study with doubt"
        for factor in space.factors
        if is_false_alarm(history, factor)
    ]
    remarked = remarks(starts, space.objective, metrics_of(space))
    return [*notes, *_taken_out(history), *remarked]


def _called(preset: str) -> str:
    return "the guide" if preset == GUIDE else preset


def _taken_out(history: History) -> list[str]:
    """Say where the gate's readings are part of the analysis."""
    space, fits = history.space, history.estimates.fits
    if not any(SPEED in fits[phase, space.objective].slopes for phase in (*LOOKS, Phase.CONFIRM)):
        return []
    return ["the machine's own speed, read before each start, is taken out of the noise"]


def _without_value(history: History) -> list[str]:
    """Say which measured starts a metric's analysis cannot use.

    Only the objective must be there; another metric may be absent for a reason of its own.
    """
    found = []
    for metric in metrics_of(history.space):
        lost = [
            start.number
            for start in history.starts
            if start.valid
            and not is_usable(start, metric)
            and (metric == history.space.objective or metric in start.metrics)
        ]
        if lost:
            verb = "has" if len(lost) == 1 else "have"
            left = "is" if len(lost) == 1 else "are"
            found.append(
                f"{formatting.count(len(lost), 'start')} {verb} no positive value of {metric} and "
                f"{left} left out: {', '.join(map(str, lost))}"
            )
    return found


def _asked(history: History) -> bool:
    """Whether the guide is an arm of this study's first block."""
    space = history.space
    if lead.leads_to_test(space):
        return lead.has_guide_arm(space)
    planned = screen.plan(history)
    return planned is not None and any(arm == space.preset for arm, _ in planned.opening)


def _no_screen(history: History) -> str:
    settled = {*history.failures} | {factor.tuning for factor in history.centre}
    left = screen.screenable_factors(history.space, history.centre, settled)
    if all(factor.dummy for factor in left):
        return ""
    return f"no screen: the budget leaves fewer than 8 starts for {len(left)} tunings"


GAINS = (Verdict.ADOPT, Verdict.LIKELY)


def with_exclusions(
    history: History, answers: Iterable[TuningVerdict], written: Iterable[Candidate]
) -> Iterator[TuningVerdict]:
    """Yield the verdicts, a gain that no written profile holds with what keeps it out.

    One that is expected to break the SLO by itself is to be avoided, whatever it gives besides.
    """
    held = {tuning for values in written for tuning, _ in values}
    for answer in answers:
        if answer.verdict not in GAINS or answer.tuning in held:
            yield answer
            continue
        alone = ((answer.tuning, answer.value),)
        why = "; ".join(history.limits.broken(alone))
        if why and history.limits.are_broken(alone):
            yield replace(
                answer,
                verdict=Verdict.AVOID,
                reason=f"it breaks the SLO ({why}); on {answer.metric} it is {answer.reason}",
            )
        else:
            yield replace(
                answer, reason=f"{answer.reason}; no profile holds it: {why or 'see the notes'}"
            )


@derived
def conclude(history: History) -> Conclusion:
    """Return the answer that the starts made so far support."""
    decision = decide(history)
    tested, planned, last = decision.tested, decision.planned, decision.last
    analysis, objective = tested.estimates, history.space.objective
    allowed = release(history, last, candidate_of(planned.best))
    wishes = pareto_arms(tested, planned)
    front = pareto_front(tested, allowed.proven, allowed.best, wishes)
    named = _profile_candidates(allowed, front)
    said = tuple(fidelity(history.starts, named.items()))
    noise = variance_components(tested.starts, objective, study_noise(analysis))
    return Conclusion(
        answers=tuple(with_exclusions(history, _verdicts(decision), named.values())),
        proven=allowed.proven,
        best=allowed.best,
        confirmed=tuple(_of_released(last, allowed)),
        guide=guide_comparison(tested),
        sd=analysis.noise[Phase.SCREEN, objective].sd,
        detectable=_detectable(analysis),
        notes=tuple(
            note
            for note in (
                *notes_of(tested),
                *last.notes,
                *allowed.notes,
                *front.notes,
                *map(fidelity_sentence, said),
                *failure_sentences(history.starts),
                noise_sentence(noise) if noise else "",
            )
            if note
        ),
        fidelity=said,
        pareto=front.arms,
        spread=noise,
        within_slo=(*allowed.within_slo, *_pareto_within_slo(history, front)),
    )


def _profile_candidates(allowed: Release, front: ParetoFront) -> dict[str, Candidate]:
    """Return the candidate of each profile that the study writes, by its arm."""
    named = {PROVEN_ARM: allowed.proven}
    if allowed.best != allowed.proven:
        named[MAX_ARM] = allowed.best
    return named | {arm.arm: arm.candidate for arm in front.arms if arm.member}


def _verdicts(decision: Decision) -> Iterable[TuningVerdict]:
    """Return the verdicts with the effects of refined levels, of removal, and of joint use."""
    tested = decision.tested
    verdicts = (
        with_refined_level(with_removal_effect(tested.space, answer, decision.removed), tested)
        for answer in decision.answers
    )
    return with_joint_effects(tested.space, verdicts, contenders(tested, decision.planned))


def _pareto_within_slo(history: History, front: ParetoFront) -> Iterator[str]:
    """Yield the arms of the Pareto set, apart from the two profiles, that keep the limits."""
    for arm in front.arms:
        if (
            history.space.limits
            and arm.arm not in (PROVEN_ARM, MAX_ARM)
            and history.limits.are_kept(arm.candidate)
        ):
            yield arm.arm


def _of_released(last: FinalProfiles, allowed: Release) -> Iterator[Comparison]:
    """Yield the comparisons of the profiles that are written."""
    for comparison in last.confirmed:
        whole = (
            (last.best, allowed.best)
            if comparison.arm == MAX_ARM
            else (last.proven, allowed.proven)
        )
        if whole[0] == whole[1]:
            yield comparison


def _detectable(analysis: Analysis) -> float | None:
    """Return the smallest detectable gain of a typical factor in the latest phase that has any."""
    space = analysis.space
    for phase in (Phase.SCREEN, Phase.LEAD):
        least = [
            detectable_effect(look.estimate.se, look.estimate.df, len(space.factors))
            for factor in space.factors
            for look in analysis.looks(factor, space.objective)
            if look.phase is phase and look.estimate.se is not None
        ]
        if least:
            return math.expm1(min(median(least), 690.0))
    return _detectable_together(analysis)


def _detectable_together(analysis: Analysis) -> float | None:
    """Return the smallest detectable gain of a profile that was compared without a screen."""
    for arm in (PROVEN_ARM, MAX_ARM):
        estimate = contrast(analysis, arm, BASELINE_ARM, analysis.space.objective)
        if estimate is not None and estimate.se is not None and estimate.df >= LEAST_DF:
            return math.expm1(min(detectable_effect(estimate.se, estimate.df, 1), 690.0))
    return None


def incumbent(history: History) -> Comparison | None:
    """Return the best arm so far against the baseline; ``None`` when nothing is better yet.

    Once the confirmation has measured a profile and the baseline it is the best profile that
    stands, before that the best lead.
    """
    conclusion, objective = conclude(history), history.space.objective
    fresh = [s.request.candidate for s in history.of_phase(Phase.CONFIRM) if s.valid]
    if BASELINE in fresh and any(fresh):
        arms = [
            comparison for comparison in conclusion.confirmed if comparison.metric == objective
        ]
    else:
        arms = [
            comparison for answer in conclusion.answers for comparison in _alone(history, answer)
        ]
    better = [arm for arm in arms if (arm.effect.ratio or 0.0) > 1.0]
    return max(better, key=lambda one: one.effect.ratio or 0.0, default=None)


def _alone(history: History, answer: TuningVerdict) -> list[Comparison]:
    """Return a lead's effect as a comparison; nothing for what is not tested alone."""
    space = history.space
    if answer.phase != Phase.LEAD or answer.metric != space.objective:
        return []
    stock = [
        start.metrics[space.objective]
        for start in history.of_phase(Phase.LEAD)
        if start.request.candidate == BASELINE and is_usable(start, space.objective)
    ]
    if not stock or answer.effect.ratio is None:
        return []
    base = geometric_mean(stock)
    ratio = answer.effect.ratio
    value = base * ratio if space.higher_is_better else base / ratio
    name = formatting.setting(answer.tuning, answer.value)
    return [Comparison(name, space.objective, base, value, answer.effect)]
