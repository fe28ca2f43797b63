"""What a study found, from its history alone; it works on any part of a study.

Beside verdicts and profiles stand the sentences that a reader must know: what the budget left out,
what the limits of the SLO did, and how the starts were measured. A gain that no profile holds says
what keeps it out, because a verdict must not send its reader where the profiles do not go. The
incumbent leads so far, for somebody who watches: it is never a claim.

Starts whose speed changed while they were measured are named, and never dropped. A server that is
warm and alone is equally fast from beginning to end. Where the mean of the later
parts of its windows differs from that of the earlier ones by more than their noise, something
changed meanwhile: a neighbour, a clock, a cache. The start stays in every estimate, since dropping
it by its result would be choosing the result.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median
from typing import Final

from trimtab import formatting
from trimtab.metrics.table import geometric_mean
from trimtab.model import (
    BASELINE,
    Candidate,
    Comparison,
    Conclusion,
    Phase,
    Start,
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
from trimtab.search.final_profiles import FinalProfiles, Release, release
from trimtab.search.history import History, derived
from trimtab.search.noise import noise_sentence, study_noise, variance_components
from trimtab.search.pareto import ParetoFront, pareto_front
from trimtab.search.phases import lead, screen
from trimtab.search.phases.confirm import pareto_arms
from trimtab.search.phases.refine import with_refined_level
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


_FEWEST: Final = 4
"""Values from which on a change can be told from one odd value."""

_SMALLEST: Final = 0.02
"""Smallest change worth a word (log scale)."""

_SURE: Final = 5.0
"""Standard errors: the largest of a dozen splits in each of fifty starts stays below by chance."""

_Values = Sequence[tuple[int, float]]
"""Logs of throughput in order of time, each with the window (from 1) it is part of."""


@dataclass(frozen=True, slots=True)
class Shift:
    """A change inside a start: from window ``since`` (from 1) on, by ``change`` (log ratio)."""

    start: int
    since: int
    change: float


def shifts(starts: Sequence[Start], metric: str) -> Iterator[Shift]:
    """Yield the change points of a start's speed, one at most for each start.

    Speed is the output tokens/s of the parts of its windows, ``metric`` of whole ones where the
    parts are not known (ledgers of format 1) or one of them is empty. The noise of a value is the
    median absolute deviation over all starts.
    """
    steady = [start for start in starts if start.valid and not start.request.live]
    runs = [(start.number, _values(start, metric)) for start in steady]
    long = [(number, values) for number, values in runs if len(values) >= _FEWEST]
    deviations = [
        abs(log - median(one for _, one in values)) for _, values in long for _, log in values
    ]
    if not deviations:
        return
    sd = 1.4826 * median(deviations)
    for number, values in long:
        found = max((_split(values, k, sd) for k in range(2, len(values) - 1)), default=None)
        if found is not None and found[0] > _SURE and abs(found[2]) > _SMALLEST:
            yield Shift(number, found[1], found[2])


def _split(values: _Values, k: int, sd: float) -> tuple[float, int, float]:
    """Return how sure a change at value ``k`` is, its window, and the change."""
    logs = [log for _, log in values]
    change = fmean(logs[k:]) - fmean(logs[:k])
    error = sd * math.sqrt(1 / k + 1 / (len(logs) - k))
    return (abs(change) / error if error > 0 else 0.0), values[k][0], change


def _values(start: Start, metric: str) -> _Values:
    valid = [window for window in start.windows if not window.void]
    if valid and all(window.bins and min(window.bins) > 0 for window in valid):
        return [(window.index + 1, math.log(one)) for window in valid for one in window.bins]
    found = [(window.index + 1, window.metrics.get(metric, 0.0)) for window in valid]
    return [(at, math.log(value)) for at, value in found if value > 0]


ENOUGH_FOR_P99: Final = 1000
"""Requests of a start from which on its p99 is a percentile and not nearly its largest value:
1,000 of them give it to some 10 % (AIPerf's sizing)."""

_SHOWN: Final = 3

_KINDS: Final = {
    "no-steady-state": "had not reached a steady state when measured, and {count} all the same",
    "over-saturated": "got more requests than the server can do, and {count} all the same: "
    "{their} latencies tell how long {they} watched; lower the rate",
    "prompts-left-out": "could not send all of the file's prompts",
}
"""What the marks of a start (`Start.marks`) mean, by kind."""

_ONE: Final = {"count": "counts", "their": "its", "they": "it was"}
_MANY: Final = {"count": "count", "their": "their", "they": "they were"}


def remarks(starts: Sequence[Start], metric: str, used: Iterable[str]) -> list[str]:
    """Return a sentence for each kind of trouble that starts had while they were measured.

    ``used`` are the metrics that anything is said about.
    """
    measured = [start for start in starts if start.valid]
    marked = (_marked(measured, kind, means) for kind, means in _KINDS.items())
    few = any(name.endswith("_p99") for name in used)
    return [
        *_shifted(measured, metric),
        *(one for one in marked if one),
        *(_coarse(measured) if few else ()),
    ]


def _shifted(starts: Sequence[Start], metric: str) -> list[str]:
    """Name the starts whose speed changed between their windows."""
    found = list(shifts(starts, metric))
    if not found:
        return []
    shown = [
        f"start {shift.start} by {formatting.percent(math.expm1(shift.change))} from window "
        f"{shift.since} on"
        for shift in found
    ]
    changed = formatting.count(len(found), "start")
    count = _words(len(found))["count"]
    return [f"{changed} changed speed while measured, and {count} all the same: {_first(shown)}"]


def _words(many: int) -> dict[str, str]:
    return _ONE if many == 1 else _MANY


def _marked(starts: Sequence[Start], kind: str, means: str) -> str:
    found = [
        f"start {start.number} {start.marks[kind]}" for start in starts if kind in start.marks
    ]
    said = means.format(**_words(len(found)))
    return f"{formatting.count(len(found), 'start')} {said}: {_first(found)}" if found else ""


def _coarse(starts: Sequence[Start]) -> list[str]:
    """Say that a p99 rests on too few requests."""
    counts = [
        sum(window.requests for window in start.windows if not window.void) for start in starts
    ]
    few = [count for count in counts if 0 < count < ENOUGH_FOR_P99]
    if not few:
        return []
    rests = (
        f"the p99 of {formatting.count(len(few), 'start')} rests on fewer than {ENOUGH_FOR_P99:,} "
        f"requests ({min(few):,} at least): it is nearly the largest value of so few"
    )
    return [rests]


def _first(shown: Sequence[str]) -> str:
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return "; ".join(shown[:_SHOWN]) + more
