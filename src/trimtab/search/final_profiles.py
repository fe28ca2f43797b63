"""The final profiles: which of those planned the confirmation lets stand, and why not the rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from trimtab import formatting
from trimtab.model import BASELINE, Candidate, Comparison, Space, Start, TuningVerdict, Verdict
from trimtab.search.arms import MAX_ARM, PROVEN_ARM, candidate_of
from trimtab.search.comparisons import Contender, main_metric
from trimtab.search.fidelity import any_output_tokens
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
