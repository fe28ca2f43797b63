"""What a study found, from the question and the ledger alone. Works on any part of a study.

What a reader must know besides the verdicts.

Gains that no profile holds: a verdict must not send its reader where the profiles do not go.

What leads so far, for somebody who watches: never a claim, the conclusion makes those.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
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
    Space,
    Start,
    TuningVerdict,
    Verdict,
)
from trimtab.presets import GUIDE
from trimtab.search.comparisons import (
    contenders,
    guide_comparison,
    with_joint_effects,
    with_removal_effect,
)
from trimtab.search.estimates import LOOKS, Analysis, contrast, is_usable, metrics_of
from trimtab.search.estimates import NAME as SPEED
from trimtab.search.failures import blocking_reason
from trimtab.search.fidelity import failure_sentences, fidelity, fidelity_sentence
from trimtab.search.final_profiles import FinalProfiles
from trimtab.search.history import (
    BASELINE_ARM,
    MAX_ARM,
    PROVEN_ARM,
    candidate_of,
    comparable_starts,
    starts_of_phase,
)
from trimtab.search.noise import noise_sentence, study_noise, variance_components
from trimtab.search.pareto import ParetoFront, pareto_front
from trimtab.search.pareto_arms import pareto_arms
from trimtab.search.phases import lead, screen
from trimtab.search.phases.refine import with_refined_level
from trimtab.search.release import Release, release
from trimtab.search.remarks import remarks
from trimtab.search.selection import dropped_leads
from trimtab.search.slo_limits import breaks_limits, broken_limits, keeps_limits, limit_notes
from trimtab.search.verdicts import Decision, VerdictBasis, decide, is_false_alarm
from trimtab.stats.effects import LEAST_DF, detectable_effect


def notes_of(space: Space, starts: Sequence[Start], known: VerdictBasis) -> list[str]:
    """Return what a reader must know besides the verdicts, one sentence each."""
    notes = [
        blocking_reason(space, starts),
        *_without_value(space, starts),
        *limit_notes(space, starts),
    ]
    if len(known.space.factors) > 1 and known.plan is None and starts:
        notes.append(_no_screen(known))
    if space.guide and starts and not _asked(space, known):
        notes.append(
            f"{_called(space.preset)} is not compared: the budget has no start to spare for it"
        )
    notes += [
        f"{formatting.factors([factor])} won alone, but every start failed in which it was on "
        f"together with {formatting.factors(known.centre)}: it is left out"
        for factor in dropped_leads(space, starts)
    ]
    notes += [
        f"the inert tuning {factor.tuning} passed a test that it can pass only by chance "
        "or by drift: read small effects of this study with doubt"
        for factor in space.factors
        if is_false_alarm(known, factor)
    ]
    remarked = remarks(starts, space.objective, metrics_of(space))
    return [*notes, *_taken_out(known), *remarked]


def _called(preset: str) -> str:
    return "the guide" if preset == GUIDE else preset


def _taken_out(known: VerdictBasis) -> list[str]:
    """Say where the gate's readings are part of the analysis."""
    space, fits = known.space, known.analysis.fits
    if not any(SPEED in fits[phase, space.objective].slopes for phase in (*LOOKS, Phase.CONFIRM)):
        return []
    return ["the machine's own speed, read before each start, is taken out of the noise"]


def _without_value(space: Space, starts: Sequence[Start]) -> list[str]:
    """Say which measured starts a metric's analysis cannot use.

    Only the objective must be there; another metric may be absent for a reason of its own.
    """
    found = []
    for metric in metrics_of(space):
        lost = [
            start.number
            for start in starts
            if start.valid
            and not is_usable(start, metric)
            and (metric == space.objective or metric in start.metrics)
        ]
        if lost:
            verb = "has" if len(lost) == 1 else "have"
            left = "is" if len(lost) == 1 else "are"
            found.append(
                f"{formatting.count(len(lost), 'start')} {verb} no positive value of {metric} and "
                f"{left} left out: {', '.join(map(str, lost))}"
            )
    return found


def _asked(space: Space, known: VerdictBasis) -> bool:
    """Whether the guide is an arm of this study's first block."""
    if lead.leads_to_test(space):
        return lead.has_guide_arm(space)
    return known.plan is not None and any(arm == space.preset for arm, _ in known.plan.opening)


def _no_screen(known: VerdictBasis) -> str:
    left = screen.screenable_factors(
        known.space, known.centre, {*known.failed} | {f.tuning for f in known.centre}
    )
    if all(factor.dummy for factor in left):
        return ""
    return f"no screen: the budget leaves fewer than 8 starts for {len(left)} tunings"


GAINS = (Verdict.ADOPT, Verdict.LIKELY)


def with_exclusions(
    space: Space,
    starts: Sequence[Start],
    answers: Iterable[TuningVerdict],
    written: Iterable[Candidate],
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
        why = "; ".join(broken_limits(space, starts, alone))
        if why and breaks_limits(space, starts, alone):
            yield replace(
                answer,
                verdict=Verdict.AVOID,
                reason=f"it breaks the SLO ({why}); on {answer.metric} it is {answer.reason}",
            )
        else:
            yield replace(
                answer, reason=f"{answer.reason}; no profile holds it: {why or 'see the notes'}"
            )


def conclude(space: Space, starts: Sequence[Start]) -> Conclusion:
    """Return the answer that the starts made so far support."""
    everything = comparable_starts(starts)
    starts = [start for start in everything if start.request.phase is not Phase.ANSWERS]
    decision = decide(space, everything)
    analysis, known, last = decision.analysis, decision.known, decision.last
    allowed = release(analysis, everything, last, candidate_of(decision.planned.best))
    front = pareto_front(
        analysis, allowed.proven, allowed.best, pareto_arms(space, starts, decision.planned)
    )
    named = _profile_candidates(allowed, front)
    said = tuple(fidelity(everything, named.items()))
    noise = variance_components(starts, space.objective, study_noise(analysis))
    answers = _verdicts(space, starts, decision)
    return Conclusion(
        answers=tuple(with_exclusions(space, everything, answers, named.values())),
        proven=allowed.proven,
        best=allowed.best,
        confirmed=tuple(_of_released(last, allowed)),
        guide=guide_comparison(analysis),
        sd=analysis.noise[Phase.SCREEN, space.objective].sd,
        detectable=_detectable(space, analysis),
        notes=tuple(
            note
            for note in (
                *notes_of(space, starts, known),
                *last.notes,
                *allowed.notes,
                *front.notes,
                *map(fidelity_sentence, said),
                *failure_sentences(everything),
                noise_sentence(noise) if noise else "",
            )
            if note
        ),
        fidelity=said,
        pareto=front.arms,
        spread=noise,
        within_slo=(*allowed.within_slo, *_pareto_within_slo(space, everything, front)),
    )


def _profile_candidates(allowed: Release, front: ParetoFront) -> dict[str, Candidate]:
    """Return the candidate of each profile that the study writes, by its arm."""
    named = {PROVEN_ARM: allowed.proven}
    if allowed.best != allowed.proven:
        named[MAX_ARM] = allowed.best
    return named | {arm.arm: arm.candidate for arm in front.arms if arm.member}


def _verdicts(
    space: Space, starts: Sequence[Start], decision: Decision
) -> Iterable[TuningVerdict]:
    """Return the verdicts with the effects of refined levels, of removal, and of joint use."""
    verdicts = (
        with_refined_level(with_removal_effect(space, answer, decision.removed), space, starts)
        for answer in decision.answers
    )
    return with_joint_effects(space, verdicts, contenders(decision.analysis, decision.planned))


def _pareto_within_slo(space: Space, starts: Sequence[Start], front: ParetoFront) -> Iterator[str]:
    """Yield the arms of the Pareto set, apart from the two profiles, that keep the limits."""
    for arm in front.arms:
        if (
            space.limits
            and arm.arm not in (PROVEN_ARM, MAX_ARM)
            and keeps_limits(space, starts, arm.candidate)
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


def _detectable(space: Space, analysis: Analysis) -> float | None:
    """Return the smallest detectable gain of a typical factor in the latest phase that has any."""
    for phase in (Phase.SCREEN, Phase.LEAD):
        least = [
            detectable_effect(look.estimate.se, look.estimate.df, len(space.factors))
            for factor in space.factors
            for look in analysis.looks(factor, space.objective)
            if look.phase is phase and look.estimate.se is not None
        ]
        if least:
            return math.expm1(min(median(least), 690.0))
    return _detectable_together(space, analysis)


def _detectable_together(space: Space, analysis: Analysis) -> float | None:
    """Return the smallest detectable gain of a profile that was compared without a screen."""
    for arm in (PROVEN_ARM, MAX_ARM):
        estimate = contrast(analysis, arm, BASELINE_ARM, space.objective)
        if estimate is not None and estimate.se is not None and estimate.df >= LEAST_DF:
            return math.expm1(min(detectable_effect(estimate.se, estimate.df, 1), 690.0))
    return None


def incumbent(space: Space, starts: Sequence[Start]) -> Comparison | None:
    """Return the best arm so far against the baseline; ``None`` when nothing is better yet.

    Once the confirmation has measured a profile and the baseline it is the best profile that
    stands, before that the best lead.
    """
    conclusion = conclude(space, starts)
    fresh = [s.request.candidate for s in starts_of_phase(starts, Phase.CONFIRM) if s.valid]
    if BASELINE in fresh and any(fresh):
        arms = [
            comparison
            for comparison in conclusion.confirmed
            if comparison.metric == space.objective
        ]
    else:
        arms = [
            comparison
            for answer in conclusion.answers
            for comparison in _alone(space, starts, answer)
        ]
    better = [arm for arm in arms if (arm.effect.ratio or 0.0) > 1.0]
    return max(better, key=lambda one: one.effect.ratio or 0.0, default=None)


def _alone(space: Space, starts: Sequence[Start], answer: TuningVerdict) -> list[Comparison]:
    """Return a lead's effect as a comparison; nothing for what is not tested alone."""
    if answer.phase != Phase.LEAD or answer.metric != space.objective:
        return []
    stock = [
        start.metrics[space.objective]
        for start in starts_of_phase(starts, Phase.LEAD)
        if start.request.candidate == BASELINE and is_usable(start, space.objective)
    ]
    if not stock or answer.effect.ratio is None:
        return []
    base = geometric_mean(stock)
    ratio = answer.effect.ratio
    value = base * ratio if space.higher_is_better else base / ratio
    name = formatting.setting(answer.tuning, answer.value)
    return [Comparison(name, space.objective, base, value, answer.effect)]
