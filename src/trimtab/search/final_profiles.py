"""The final profiles: which of those planned the confirmation lets stand, and why not the rest.

A profile is a promise that this exact combination starts and serves. Tunings that work one by one
may fail together, and latencies add up. So what the tests and the estimates suggest is written
only if a start of this study ran it and was measured, and if the starts show that it keeps the
SLO. Otherwise the best combination that did both is written, or the baseline.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from trimtab import formatting
from trimtab.model import (
    BASELINE,
    Candidate,
    Comparison,
    Factor,
    Outcome,
    Phase,
    Space,
    Start,
    TuningVerdict,
    Verdict,
)
from trimtab.search.arms import MAX_ARM, PROVEN_ARM, candidate_of, is_preset
from trimtab.search.comparisons import Contender, main_metric
from trimtab.search.estimates import Analysis
from trimtab.search.failures import FAILED
from trimtab.search.fidelity import any_output_tokens
from trimtab.search.history import History
from trimtab.search.response_surface import ResponseSurface, response_surface
from trimtab.search.selection import Profiles

UNRELIABLE = 2
"""Failed starts in the confirmation from which on a profile is not proven."""


@dataclass(frozen=True, slots=True)
class FinalProfiles:
    """The two profiles, the comparisons of exactly these, and the sentences about the others."""

    proven: Candidate
    best: Candidate
    confirmed: tuple[Comparison, ...]
    notes: tuple[str, ...]


def final_profiles(
    space: Space,
    answers: Sequence[TuningVerdict],
    planned: Profiles,
    tried: Sequence[Contender],
    smaller: Contender | None = None,
) -> FinalProfiles:
    """Return the profiles that stand after the confirmation.

    Args:
        space: the question.
        answers: the verdicts of the factors.
        planned: the profiles that lead phase and screen suggest.
        tried: those of them that are arms of the confirmation, ``proven`` first.
        smaller: the profile ``proven`` less a tuning that it was shown not to need.
    """
    won = {each.tuning for each in answers if each.verdict is Verdict.ADOPT}
    metric = main_metric(space, planned.best)
    standing = [
        contender for contender in tried if _in(won, contender) and _holds(space, contender)
    ]
    top = _highest(standing, metric)
    whole = BASELINE if top is None else top.candidate
    best = _best(planned, tried, whole, metric)
    notes = (*_outside(planned), *_notes(space, won, planned, tried, (whole, best)))
    if smaller is None or whole != candidate_of(planned.proven) or not _holds(space, smaller):
        return FinalProfiles(whole, best, tuple(_confirmed(tried, whole, best)), notes)
    proven = smaller.candidate
    note = f"the proven profile is the smaller one: with the rest, {_lost(planned, smaller)}"
    best = proven if best == whole else best
    confirmed = _confirmed((*tried, smaller), proven, best)
    return FinalProfiles(proven, best, tuple(confirmed), (*notes, note))


def _lost(planned: Profiles, smaller: Contender) -> str:
    out = [factor for factor in planned.proven if factor not in smaller.factors]
    return f"{formatting.factors(out)} gives less than the margin"


def unconfirmed_profiles(
    answers: Sequence[TuningVerdict], planned: Profiles, starts: Sequence[Start]
) -> FinalProfiles:
    """Return the profiles of a study that had no room for a confirmation.

    Each tuning of ``proven`` won its test, on average over the others. What they give together is
    not claimed: under interactions the sum of the effects is no estimate of it (in simulation with
    4 % interactions its 95 % interval held the truth in 80 % of the studies only).
    """
    won = {each.tuning for each in answers if each.verdict is Verdict.ADOPT}
    proven = candidate_of(factor for factor in planned.proven if factor.tuning in won)
    best = candidate_of(planned.best)
    note = (
        "the budget had no room for a confirmation: each tuning of proven won its own test, and "
        f"what they give together was not measured{_unanswered(proven, best, starts)}"
    )
    return FinalProfiles(proven, best, (), (note,))


def _unanswered(proven: Candidate, best: Candidate, starts: Sequence[Start]) -> str:
    """Say of which profiles no start took answers, beside a start of the baseline that did."""
    if not any_output_tokens(starts, BASELINE):
        return ", nor whether they change the answers"
    named = {chosen: name for name, chosen in ((MAX_ARM, best), (PROVEN_ARM, proven)) if chosen}
    lost = [name for one, name in named.items() if not any_output_tokens(starts, one)]
    change = "change" if len(lost) > 1 else "changes"
    return f", nor whether {' and '.join(reversed(lost))} {change} the answers" if lost else ""


def _in(won: set[str], contender: Contender) -> bool:
    return all(factor.tuning in won for factor in contender.factors)


def _holds(space: Space, contender: Contender) -> bool:
    """Whether an arm served reliably and the fresh starts do not contradict it.

    Each of its tunings has passed a test already; the confirmation says what they give together.
    To ask of it to be significant once more, or only to come out above 1, would cost gain and
    inflate the claim, because the unlucky half of the errors would never be told: on L1, at 40
    starts and 5 % noise, all of the .4 points by which claims were too high came from it
    (docs/search.md).
    """
    if (
        contender.failed >= UNRELIABLE
        or contender.broken_limits
        or contender.worse
        or contender.faded
    ):
        return False
    return contender.ratio(main_metric(space, contender.factors)) is not None


def _highest(arms: Sequence[Contender], metric: str) -> Contender | None:
    """Return the arm with the largest estimate, the first (smaller) one of equals."""
    return max(arms, key=lambda one: one.ratio(metric) or 0.0, default=None)


def _best(
    planned: Profiles, tried: Sequence[Contender], proven: Candidate, metric: str
) -> Candidate:
    """Return the candidate of the profile ``max``: never one that is shown to give less.

    Where the confirmation does not speak of the largest profile, that one is offered, untested.
    """
    if _unknown(planned, tried, metric):
        return candidate_of(planned.best)
    largest = sorted(tried, key=lambda one: -len(one.factors))
    able = (
        contender
        for contender in largest
        if contender.ratio(metric) and not contender.broken_limits and not contender.worse
    )
    return next((contender.candidate for contender in able), proven)


def _unknown(planned: Profiles, tried: Sequence[Contender], metric: str) -> bool:
    whole = next((contender for contender in tried if contender.factors == planned.best), None)
    return whole is None or (whole.ratio(metric) is None and not whole.failed)


def _confirmed(
    tried: Sequence[Contender], proven: Candidate, best: Candidate
) -> Iterator[Comparison]:
    """Yield the comparisons of the final profiles, under their final names."""
    for name, chosen in ((PROVEN_ARM, proven), (MAX_ARM, best)):
        if chosen == BASELINE or (name == MAX_ARM and best == proven):
            continue
        for contender in tried:
            if contender.candidate == chosen:
                yield from (replace(compared, arm=name) for compared in contender.comparisons)


def _outside(planned: Profiles) -> Iterator[str]:
    if planned.costly:
        costly = formatting.factors(planned.costly)
        yield f"the SLO has no room for what it is expected to cost, so it is left out: {costly}"


def _notes(
    space: Space,
    won: set[str],
    planned: Profiles,
    tried: Sequence[Contender],
    chosen: tuple[Candidate, Candidate],
) -> Iterator[str]:
    proven, best = chosen
    if proven == BASELINE and won:
        yield "the tunings that won were not confirmed: the proven profile is the baseline"
    elif proven == BASELINE:
        yield "no tuning is proven: the proven profile is the baseline"
    for contender in tried:
        if contender.failed:
            yield _failed(contender)
        if contender.broken_limits:
            limits = ", ".join(contender.broken_limits)
            yield f"{_words(contender)} is not adopted because of the SLO: {limits}"
        effect = contender.effect(main_metric(space, contender.factors))
        if effect is not None and contender.candidate == proven and (effect.low or 0.0) <= 1:
            yield (
                f"each tuning of proven won its own test; the confirmation alone does not show "
                f"it: {formatting.effect(effect)}"
            )
        rejected = contender.candidate != best or _in(won, contender)
        if effect is not None and contender.candidate != proven and rejected:
            kept = ", kept as max only" if contender.candidate == best else ""
            yield (
                f"tested and not confirmed: {_words(contender)}: {formatting.effect(effect)}{kept}"
            )
    if _unknown(planned, tried, main_metric(space, planned.best)) and best != proven:
        yield f"the max profile ({formatting.factors(planned.best)}) was not confirmed"
    elif planned.best != planned.proven and candidate_of(planned.best) not in chosen:
        other = "the proven one" if best == proven != BASELINE else _others(tried, best)
        yield (
            f"{formatting.factors(planned.best)} looked better but was not when confirmed: "
            f"the max profile is {other}"
        )


def _failed(contender: Contender) -> str:
    starts = formatting.count(contender.starts, "start")
    verdict = ": it is not proven" if contender.failed >= UNRELIABLE else ""
    return (
        f"{_words(contender)} failed in {contender.failed} of {starts} of the "
        f"confirmation{verdict}"
    )


def _others(tried: Sequence[Contender], best: Candidate) -> str:
    return next(
        (_words(contender) for contender in tried if contender.candidate == best), "the baseline"
    )


def _words(contender: Contender) -> str:
    return formatting.factors(contender.factors)


@dataclass(frozen=True, slots=True)
class Release:
    """The profiles to write, those of them that are shown to keep the SLO, and the sentences."""

    proven: Candidate
    best: Candidate
    within_slo: tuple[str, ...]
    notes: tuple[str, ...]


def release(history: History, last: FinalProfiles, planned: Candidate) -> Release:
    """Return what may be written of the profiles that the study suggests.

    Args:
        history: all of the study, with the starts set aside for profiles.
        last: the profiles that tests, estimates and confirmation suggest.
        planned: what ``max`` was to be before the confirmation.
    """
    tested = history.without(Phase.ANSWERS)
    ran = _ran(history.starts)
    worth = _worth(tested.estimates)
    able = [one for one in ran if one != BASELINE and not history.limits.broken(one)]
    proven, best = last.proven, last.best
    notes: list[str] = []
    if why := objection(history, proven):
        smaller = (one for one in able if set(one) < set(last.proven))
        proven = max(smaller, key=lambda one: (worth(one), len(one)), default=BASELINE)
        notes.append(_instead(PROVEN_ARM, last.proven, proven, why))
    # One that never started says nothing against the combinations that did.
    dead = planned not in (best, BASELINE) and planned not in ran
    wish = planned if dead and best in (proven, last.proven, BASELINE) else best
    if why := objection(history, wish):
        best = _best_that_ran(tested, able, worth, proven)
        notes.append(_instead(MAX_ARM, wish, best, why))
    chosen = {PROVEN_ARM: proven, MAX_ARM: best}
    kept = tuple(
        arm for arm, one in chosen.items() if history.space.limits and history.limits.are_kept(one)
    )
    notes += _unshown(history, chosen, kept)
    return Release(proven, best, kept, tuple(notes))


def objection(history: History, values: Candidate) -> str:
    """Return why a combination may not be written, "" if it may."""
    if values == BASELINE:
        return ""
    if values not in _ran(history.starts):
        tried = [start for start in history.starts if start.request.candidate == values]
        if any(start.outcome in FAILED for start in tried):
            return f"it failed when it was started (start {tried[-1].number})"
        return "no start of this study ran this combination"
    return "; ".join(history.limits.broken(values))


def _ran(starts: Iterable[Start]) -> list[Candidate]:
    """Return the combinations that a start ran as they are, each once."""
    return list(
        dict.fromkeys(
            start.request.candidate
            for start in starts
            if start.outcome is Outcome.MEASURED
            and not start.request.live
            and not is_preset(start.request.stem)
        )
    )


def _best_that_ran(
    history: History,
    able: Sequence[Candidate],
    worth: Callable[[Candidate], float],
    proven: Candidate,
) -> Candidate:
    """Return the best combination that ran, at least the proven one; none with the inert one."""
    factors = {(factor.tuning, factor.value): factor for factor in history.space.factors}
    out = history.unusable

    def fit(one: Candidate) -> bool:
        parts = [factors.get(pair) for pair in one]
        return all(
            part is not None
            and not part.dummy
            and part.tuning not in out
            and not history.estimates.harms(part)
            for part in parts
        )

    larger = [one for one in able if fit(one) and set(one) > set(proven)]
    found = max(larger, key=worth, default=proven)
    return found if worth(found) > worth(proven) else proven


def _worth(analysis: Analysis) -> Callable[[Candidate], float]:
    """Return what a combination is expected to give on the objective, log scale."""
    surface = response_surface(analysis)
    alone = {
        (factor.tuning, factor.value): analysis.expected(factor, analysis.space.objective) or 0.0
        for factor in analysis.space.factors
        if not factor.dummy
    }

    def worth(values: Candidate) -> float:
        known = () if surface is None else _settings(surface.factors)
        rest = sum(alone.get(pair, 0.0) for pair in values if pair not in known)
        return rest + (0.0 if surface is None else _height(surface, values))

    return worth


def _settings(factors: Iterable[Factor]) -> set[tuple[str, object]]:
    return {(factor.tuning, factor.value) for factor in factors}


def _height(surface: ResponseSurface, values: Candidate) -> float:
    row = [(factor.tuning, factor.value) in values for factor in surface.factors]
    return float(surface.known.surface.value(np.array([row]))[0])


def _instead(arm: str, wish: Candidate, chosen: Candidate, why: str) -> str:
    other = formatting.settings(chosen) or "the baseline"
    return (
        f"the {arm} profile is not {formatting.settings(wish)}: {why}. The best combination that "
        f"ran and is allowed is written instead: {other}"
    )


def _unshown(history: History, chosen: dict[str, Candidate], kept: Sequence[str]) -> Iterator[str]:
    """Say which written profiles are not shown to keep the SLO, and therefore do not state it."""
    measured = any(start.valid for start in history.starts)
    names = [arm for arm, one in chosen.items() if arm not in kept]
    if history.space.limits and measured and names:
        verb = "are" if len(names) > 1 else "is"
        yield (
            f"{' and '.join(names)} {verb} not shown to keep the SLO: the profile does not state "
            "it"
        )
