"""The headline of a study, from the same values as the tables under it. Pure.

How the starts of a study ended, in words, where that leaves it without an answer. Pure.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trimtab import formatting
from trimtab.model import (
    BASELINE,
    Candidate,
    Comparison,
    Conclusion,
    Effect,
    Headline,
    Outcome,
    Start,
    StudyStatus,
    TuningVerdict,
    Verdict,
)
from trimtab.report.rows import unit_of
from trimtab.report.study import Study

_SILENT = frozenset({Outcome.MEASURED, Outcome.VOID})


@dataclass(frozen=True, slots=True)
class Endings:
    """What happened to the starts that measured nothing.

    ``text`` counts them, "" where there is none worth a word. ``detail`` has what the first of
    them said. ``why`` is what follows ``trimtab show STUDY`` to see the evidence. ``hopeless``: a
    larger budget would end alike, because no start of the baseline, or none of another arm,
    measured anything.
    """

    text: str = ""
    detail: str = ""
    why: str = ""
    hopeless: bool = False


def endings(study: Study) -> Endings:
    """Return how the starts of a study ended: the baseline's first, then those of all arms."""
    starts = study.starts
    stock = [start for start in starts if start.request.candidate == BASELINE]
    failed, of_stock = _failed(starts), _failed(stock)
    if of_stock and not any(start.valid for start in stock):
        text = f"the baseline failed in {_of(of_stock, stock)}"
        return Endings(text, _said(of_stock), hopeless=True)
    nothing = not any(start.valid for start in starts if start.request.candidate != BASELINE)
    if failed:
        return Endings(f"{_of(failed, starts)} failed", _said(failed), _why(study), nothing)
    void = [start for start in starts if start.outcome is Outcome.VOID]
    if void and nothing:
        text = f"{_of(void, starts)} measured nothing, because all their windows were void"
        return Endings(text, _said(void), hopeless=True)
    return Endings()


def _failed(starts: Sequence[Start]) -> list[Start]:
    return [start for start in starts if start.outcome not in _SILENT]


def _of(some: Sequence[Start], starts: Sequence[Start]) -> str:
    return f"{len(some)} of {formatting.count(len(starts), 'start')}"


def _said(starts: Sequence[Start]) -> str:
    """Return what the first of some starts said."""
    first = min(starts, key=lambda one: one.number)
    said = formatting.line(first.detail) or first.outcome.value
    return f"start {first.number}: {said[:200]}"


def _why(study: Study) -> str:
    """Return the option that shows the evidence for a tuning with which starts failed."""
    blamed = [
        answer.tuning
        for answer in study.conclusion.answers
        if answer.verdict is Verdict.START_FAILED
    ]
    failed = [name for start in _failed(study.starts) for name, _ in start.request.candidate]
    names = {answer.tuning for answer in study.conclusion.answers}
    known = [name for name in (*blamed, *failed) if name in names]
    return f" --why {shlex.quote(known[0])}" if known else ""


PROVEN, MAX = "proven", "max"
_GAINS = (Verdict.ADOPT, Verdict.LIKELY)
_BY_CHANCE = 0.025
"""One-sided p from which on a gain counts whose interval is not shown."""


def headline(study: Study) -> Headline:
    """Return what the study comes to: recommended, promising, or no gain found."""
    total = _recommended(study.conclusion, study.objective)
    if total is not None:
        open_ = not _keeps_slo(study, total.arm)
        return _of_total(study, total, StudyStatus.PROMISING if open_ else StudyStatus.RECOMMENDED)
    totals = list(_promising(study.conclusion))
    if totals:
        return _of_total(study, totals[0], StudyStatus.PROMISING)
    tunings = _tunings(study.conclusion, study.objective)
    if tunings:
        return _of_tuning(study, tunings[0])
    return _no_gain(study)


def is_gain(effect: Effect) -> bool:
    """Whether an effect is shown to be a gain: its interval lies above 1."""
    if effect.ratio is None or effect.ratio <= 1:
        return False
    if effect.low is not None:
        return effect.low > 1
    return effect.p is not None and effect.p <= _BY_CHANCE


def _recommended(conclusion: Conclusion, objective: str) -> Comparison | None:
    """Return the confirmed total of the proven profile, if its interval lies above 1."""
    if conclusion.proven == BASELINE:
        return None
    metric = _metric(conclusion, conclusion.proven, objective)
    own = [
        comparison
        for comparison in conclusion.confirmed
        if (comparison.arm, comparison.metric) == (PROVEN, metric)
    ]
    return next(
        (
            comparison
            for comparison in own
            if comparison.effect.low is not None and comparison.effect.low > 1
        ),
        None,
    )


def _metric(conclusion: Conclusion, chosen: Candidate, objective: str) -> str:
    """Return the metric that a profile is about: the objective if any tuning of it is."""
    names = {name for name, _ in chosen}
    metrics = [answer.metric for answer in conclusion.answers if answer.tuning in names]
    return objective if objective in metrics or not metrics else metrics[0]


def _promising(conclusion: Conclusion) -> Iterator[Comparison]:
    """Yield the totals with a gain that are not recommended: profiles first, then others."""
    for arm in (PROVEN, MAX):
        yield from (
            comparison
            for comparison in conclusion.confirmed
            if comparison.arm == arm and is_gain(comparison.effect)
        )
    for standing in sorted(conclusion.pareto, key=lambda one: not one.member):
        yield from (
            comparison for comparison in standing.comparisons if is_gain(comparison.effect)
        )
    if conclusion.guide is not None and is_gain(conclusion.guide.effect):
        yield conclusion.guide


def _tunings(conclusion: Conclusion, objective: str) -> list[TuningVerdict]:
    """Return the tunings with a gain of their own.

    Those of a profile come first, then adopt, the objective's, and the largest.
    """
    own = [answer for answer in conclusion.answers if answer.verdict in _GAINS]
    held = {name for _, chosen in _profiles(conclusion) for name, _ in chosen}
    return sorted(
        own,
        key=lambda one: (
            one.tuning not in held,
            _GAINS.index(one.verdict),
            one.metric != objective,
            -(one.effect.ratio or 0.0),
        ),
    )


def _keeps_slo(study: Study, arm: str) -> bool:
    """Whether an arm is shown to keep the SLO, or there is none apart from the objective."""
    if not study.question.get("slo") or study.objective == "goodput":
        return True
    return arm in study.conclusion.within_slo


def _of_total(study: Study, total: Comparison, status: StudyStatus) -> Headline:
    subject = {PROVEN: "the proven profile", MAX: "the max profile"}.get(total.arm, total.arm)
    unit = f" {unit_of(total.metric)}".rstrip()
    detail = (
        f"{subject} against the baseline: {formatting.number(total.baseline)} -> "
        f"{formatting.number(total.value)}{unit}, {formatting.count(total.effect.starts, 'start')}"
    )
    detail += "".join(f"; {said}" for said in _costs(study.conclusion, total))
    if not _keeps_slo(study, total.arm):
        detail += "; the SLO is not shown to hold"
    advice, show = study.advice, study.advice.show
    step = _Step(advice.use or show)
    if status is StudyStatus.PROMISING:
        step = _confirmation(study, total.arm)
    return Headline(
        status=status,
        text=f"{status.value}: {total.metric} {formatting.effect(total.effect)}",
        metric=total.metric,
        next=step.command,
        detail=detail,
        arm=total.arm,
        effect=total.effect,
        baseline=total.baseline,
        value=total.value,
        needs=step.needs,
    )


def _costs(conclusion: Conclusion, total: Comparison) -> Iterator[str]:
    """Yield what an arm of the Pareto set is shown to give up on the other objectives."""
    for standing in conclusion.pareto:
        for comparison in standing.comparisons if standing.arm == total.arm else ():
            high = comparison.effect.high
            if comparison.metric != total.metric and high is not None and high < 1:
                yield f"{comparison.metric} {formatting.effect(comparison.effect)}"


def _of_tuning(study: Study, answer: TuningVerdict) -> Headline:
    conclusion = study.conclusion
    name = formatting.setting(answer.tuning, answer.value)
    arm = next((arm for arm, chosen in _profiles(conclusion) if answer.tuning in dict(chosen)), "")
    step = _confirmation(study, arm)
    return Headline(
        status=StudyStatus.PROMISING,
        text=f"{StudyStatus.PROMISING.value}: {answer.metric} {formatting.effect(answer.effect)}",
        metric=answer.metric,
        next=step.command,
        detail=f"{name} by its own test, {_rest(conclusion, answer, arm)}",
        arm=arm,
        tuning=answer.tuning,
        effect=answer.effect,
        needs=step.needs,
    )


def _rest(conclusion: Conclusion, answer: TuningVerdict, arm: str) -> str:
    """Say what is not known of a tuning's gain."""
    if not arm:
        return f"but no profile holds it: see --why {answer.tuning}"
    own = next((comparison for comparison in conclusion.confirmed if comparison.arm == arm), None)
    if own is not None:
        return f"but fresh starts of {arm} gave {formatting.effect(own.effect)}"
    profile = dict(_profiles(conclusion))[arm]
    if len(profile) > 1:
        return f"the total of {arm} ({len(profile)} tunings) was not measured"
    return "not repeated on fresh starts"


def _profiles(conclusion: Conclusion) -> tuple[tuple[str, Candidate], ...]:
    return ((PROVEN, conclusion.proven), (MAX, conclusion.best))


def _no_gain(study: Study) -> Headline:
    least, advice, ended = study.conclusion.detectable, study.advice, endings(study)
    if least is not None:
        text = f"this budget could detect {study.objective} +{formatting.percent(least)} or more"
    else:
        text = ended.text or "this budget leaves no room to test a tuning"
    helps = not ended.hopeless and (least is None or least > study.margin or _untested(study))
    larger = bool(advice.larger) and helps
    return Headline(
        status=StudyStatus.NO_GAIN,
        text=f"{StudyStatus.NO_GAIN.value}: {text}",
        metric=study.objective,
        next=advice.larger if larger else f"{advice.show}{ended.why}",
        detail=ended.detail if text == ended.text else ended.text,
        needs=advice.larger_cost if larger else "",
    )


def _untested(study: Study) -> bool:
    return any(answer.verdict is Verdict.NOT_TESTED for answer in study.conclusion.answers)


@dataclass(frozen=True, slots=True)
class _Step:
    """A command, and what it takes."""

    command: str
    needs: str = ""


def _confirmation(study: Study, arm: str) -> _Step:
    """Return what confirms an arm: a comparison where one can be made, else a larger study."""
    advice = study.advice
    command = dict(advice.confirm).get(arm)
    if command:
        return _Step(command, advice.confirm_cost)
    return _Step(advice.larger, advice.larger_cost) if advice.larger else _Step(advice.show)
