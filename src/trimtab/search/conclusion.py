"""What a study found, from the question and the ledger alone. Works on any part of a study."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import median

from trimtab.model import Comparison, Conclusion, Phase, Space, Start
from trimtab.search.arms import BASELINE_ARM, MAX_ARM, PROVEN_ARM, together
from trimtab.search.comparable import comparable
from trimtab.search.comparisons import contenders, guide_comparison
from trimtab.search.contrasts import contrast
from trimtab.search.decision import decide
from trimtab.search.fidelity import failed, fidelity, sentence
from trimtab.search.final import Final
from trimtab.search.further import further
from trimtab.search.jointly import jointly
from trimtab.search.limits import held
from trimtab.search.looks import Analysis
from trimtab.search.notes import notes_of
from trimtab.search.outside import outside
from trimtab.search.pareto import pareto
from trimtab.search.refine import valued
from trimtab.search.release import Release, release
from trimtab.search.removal import labelled
from trimtab.search.spread import spread, study_noise, told
from trimtab.stats.effects import LEAST_DF, detectable


def conclude(space: Space, starts: Sequence[Start]) -> Conclusion:
    """Return the answer that the starts made so far support."""
    everything = comparable(starts)
    starts = [start for start in everything if start.request.phase is not Phase.ANSWERS]
    found = decide(space, everything)
    analysis, known, last = found.analysis, found.known, found.last
    allowed = release(analysis, everything, last, together(found.planned.best))
    named = {PROVEN_ARM: allowed.proven}
    if allowed.best != allowed.proven:
        named[MAX_ARM] = allowed.best
    front = pareto(analysis, allowed.proven, allowed.best, further(space, starts, found.planned))
    named |= {one.arm: one.candidate for one in front.arms if one.member}
    said = tuple(fidelity(everything, named.items()))
    noise = spread(starts, space.objective, study_noise(analysis))
    tried = contenders(analysis, found.planned)
    answers = (valued(labelled(space, one, found.removed), space, starts) for one in found.answers)
    return Conclusion(
        answers=tuple(outside(space, everything, jointly(space, answers, tried), named.values())),
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
                *map(sentence, said),
                *failed(everything),
                told(noise) if noise else "",
            )
            if note
        ),
        fidelity=said,
        pareto=front.arms,
        spread=noise,
        within_slo=(
            *allowed.within_slo,
            *(
                one.arm
                for one in front.arms
                if space.limits
                and one.arm not in (PROVEN_ARM, MAX_ARM)
                and held(space, everything, one.candidate)
            ),
        ),
    )


def _of_released(last: Final, allowed: Release) -> Iterator[Comparison]:
    """Yield the comparisons of the profiles that are written."""
    for one in last.confirmed:
        whole = (last.best, allowed.best) if one.arm == MAX_ARM else (last.proven, allowed.proven)
        if whole[0] == whole[1]:
            yield one


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
    return _detectable_together(space, analysis)


def _detectable_together(space: Space, analysis: Analysis) -> float | None:
    """Return the smallest detectable gain of a profile that was compared without a screen."""
    for arm in (PROVEN_ARM, MAX_ARM):
        found = contrast(analysis, arm, BASELINE_ARM, space.objective)
        if found is not None and found.se is not None and found.df >= LEAST_DF:
            return math.expm1(min(detectable(found.se, found.df, 1), 690.0))
    return None
