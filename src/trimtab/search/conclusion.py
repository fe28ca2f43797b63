"""What a study found, from the question and the ledger alone. Works on any part of a study."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median

from trimtab.model import Conclusion, Effect, Phase, Space, Start
from trimtab.search import confirm
from trimtab.search.answers import Findings, answer, findings
from trimtab.search.arms import MAX_ARM, PROVEN_ARM, blocks_of, without_arm
from trimtab.search.comparable import comparable
from trimtab.search.comparisons import Contender, contender, contenders, guide_comparison
from trimtab.search.fidelity import failed, fidelity, sentence
from trimtab.search.final import final, one_by_one
from trimtab.search.further import further
from trimtab.search.looks import Analysis, analyse
from trimtab.search.notes import notes_of
from trimtab.search.pareto import pareto
from trimtab.search.profiles import Profiles
from trimtab.search.refine import valued
from trimtab.search.removal import labelled, redundant, removals
from trimtab.search.spread import spread, study_noise, told
from trimtab.stats.power import detectable


def conclude(space: Space, starts: Sequence[Start]) -> Conclusion:
    """Return the answer that the starts made so far support."""
    everything = comparable(starts)
    starts = [start for start in everything if start.request.phase is not Phase.ANSWERS]
    analysis = analyse(space, starts)
    known = findings(space, starts, analysis)
    answers = tuple(answer(known, factor) for factor in space.factors)
    planned = confirm.planned(space, starts)
    tried = contenders(analysis, planned)
    removed = removals(analysis, planned.proven)
    if not tried and _screened_whole(known, starts):
        last = one_by_one(answers, planned, everything)
    else:
        last = final(space, answers, planned, tried, _smaller(analysis, planned, removed))
    named = {PROVEN_ARM: last.proven}
    if last.best != last.proven:
        named[MAX_ARM] = last.best
    front = pareto(analysis, last.proven, last.best, further(space, starts, planned))
    named |= {one.arm: one.candidate for one in front.arms if one.member}
    said = tuple(fidelity(everything, named.items()))
    noise = spread(starts, space.objective, study_noise(analysis))
    return Conclusion(
        answers=tuple(valued(labelled(space, one, removed), space, starts) for one in answers),
        proven=last.proven,
        best=last.best,
        confirmed=last.confirmed,
        guide=guide_comparison(analysis),
        sd=analysis.noise[Phase.SCREEN, space.objective].sd,
        detectable=_detectable(space, analysis),
        notes=tuple(
            note
            for note in (
                *notes_of(space, starts, known),
                *last.notes,
                *front.notes,
                *map(sentence, said),
                *failed(everything),
                told(noise) if noise else "",
            )
            if note
        ),
        fidelity=said,
        pareto=front.arms,
        spread=noise,
    )


def _smaller(
    analysis: Analysis, planned: Profiles, removed: Mapping[str, Effect]
) -> Contender | None:
    """Return the profile without the tuning that it does not need, if there is one."""
    spare = redundant(analysis.space, removed)
    for factor in planned.proven:
        if factor.tuning == spare:
            rest = tuple(other for other in planned.proven if other is not factor)
            return contender(analysis, without_arm(factor), rest)
    return None


def _screened_whole(known: Findings, starts: Sequence[Start]) -> bool:
    """Whether the screen was planned to take the whole budget, and every block of it has begun."""
    if known.plan is None or not known.plan.whole:
        return False
    return blocks_of(starts, Phase.SCREEN) >= len(known.plan.design.blocks)


def _detectable(space: Space, analysis: Analysis) -> float | None:
    """Return the smallest detectable gain of a typical factor in the latest phase that has any."""
    for phase in (Phase.SCREEN, Phase.LEAD):
        least = [
            detectable(look.estimate.se, look.estimate.df, len(space.factors))
            for factor in space.factors
            for look in analysis.looks(factor, space.objective)
            if look.phase is phase and look.estimate.se is not None
        ]
        if least:
            return math.expm1(min(median(least), 690.0))
    return None
