"""What a study found, from the question and the ledger alone. Works on any part of a study."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from trimtab.model import (
    Answer,
    Candidate,
    Comparison,
    Conclusion,
    Effect,
    Factor,
    Space,
    Start,
    Verdict,
)
from trimtab.search.answers import answer, findings
from trimtab.search.arms import MAX_ARM, PROVEN_ARM, together
from trimtab.search.comparisons import confirmations, guide_comparison
from trimtab.search.looks import LOOKS, Analysis, analyse, metric_of
from trimtab.search.notes import notes_of, words
from trimtab.search.profiles import Profiles, profiles
from trimtab.stats.power import detectable


def conclude(space: Space, starts: Sequence[Start]) -> Conclusion:
    """Return the answer that the starts made so far support."""
    analysis = analyse(space, starts)
    known = findings(space, starts, analysis)
    answers = tuple(answer(known, factor) for factor in space.factors)
    planned = profiles(space, starts)
    confirmed = confirmations(space, starts, analysis, planned)
    proven, why = _proven(space, answers, planned, confirmed)
    best, caution = _best(space, planned, confirmed, proven)
    return Conclusion(
        answers=answers,
        proven=together(proven),
        best=best,
        confirmed=confirmed,
        guide=guide_comparison(space, starts, analysis),
        sd=analysis.noise[space.objective].sd,
        detectable=_detectable(space, analysis),
        notes=tuple(note for note in (*notes_of(space, starts, known), why, caution) if note),
    )


def _proven(
    space: Space,
    answers: Sequence[Answer],
    planned: Profiles,
    confirmed: Sequence[Comparison],
) -> tuple[tuple[Factor, ...], str]:
    """Return the factors that won and whose profile the confirmation found better."""
    won = {each.tuning for each in answers if each.verdict is Verdict.WIN}
    arms = ((MAX_ARM, planned.best), (PROVEN_ARM, planned.proven))
    tried = [(arm, factors) for arm, factors in arms if factors and _in(won, factors)]
    for arm, factors in tried:
        if _holds(space, arm, factors, confirmed):
            return factors, ""
    if not won:
        return (), "no tuning is proven: the proven profile is the baseline"
    seen = [c for arm, _ in tried for c in confirmed if c.arm == arm]
    if not seen:
        return (), "the tunings that won were not confirmed: the proven profile is the baseline"
    return (), (
        f"the confirmation of {words(tried[-1][1])} gave {_interval(seen[-1].effect)}, not above "
        "1: the proven profile is the baseline"
    )


def _in(won: set[str], factors: Sequence[Factor]) -> bool:
    return all(factor.tuning in won for factor in factors)


def _holds(
    space: Space, arm: str, factors: Sequence[Factor], confirmed: Sequence[Comparison]
) -> bool:
    """Whether an arm is above the baseline: on the objective if any factor is about it.

    Where all factors are about another metric, that one counts, and the objective must not
    have been lowered.
    """
    effects = {c.metric: c.effect for c in confirmed if c.arm == arm}
    about = dict.fromkeys(metric_of(space, factor) for factor in factors)
    objective = effects.get(space.objective)
    if space.objective in about or objective is None:
        return _above(objective)
    unharmed = objective.high is not None and objective.high >= 1
    return unharmed and all(_above(effects.get(metric)) for metric in about)


def _above(effect: Effect | None) -> bool:
    return effect is not None and effect.low is not None and effect.low > 1


def _best(
    space: Space,
    planned: Profiles,
    confirmed: Sequence[Comparison],
    proven: Sequence[Factor],
) -> tuple[Candidate, str]:
    """Return the candidate of the profile ``max``, and a caution about it."""
    arm = PROVEN_ARM if planned.best == planned.proven else MAX_ARM
    factors = planned.best
    if not factors or factors == tuple(proven):
        return together(proven), ""
    metric = space.objective
    if all(metric_of(space, factor) != metric for factor in factors):
        metric = metric_of(space, factors[0])
    ratio = next((c.effect.ratio for c in confirmed if (c.arm, c.metric) == (arm, metric)), None)
    if ratio is None:
        return together(factors), f"the max profile ({words(factors)}) was not confirmed"
    if ratio <= 1:
        return together(proven), f"{words(factors)} looked better but was not when confirmed"
    return together(factors), ""


def _interval(effect: Effect) -> str:
    if effect.low is None or effect.high is None:
        return "no interval"
    return f"a 95 % interval of {effect.low:.3g} to {effect.high:.3g}"


def _detectable(space: Space, analysis: Analysis) -> float | None:
    """Return the smallest detectable gain of a typical factor in the latest phase that has any."""
    for phase in reversed(LOOKS):
        least = [
            detectable(look.estimate.se, look.estimate.df, len(space.factors))
            for factor in space.factors
            for look in analysis.looks(factor, space.objective)
            if look.phase is phase and look.estimate.se is not None
        ]
        if least:
            return math.expm1(min(median(least), 690.0))
    return None
