"""What the tests, the estimates and the confirmation suggest, before it is asked what may ship."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trimtab.model import Answer, Effect, Phase, Space, Start
from trimtab.search import confirm
from trimtab.search.answers import Findings, answer, findings
from trimtab.search.arms import blocks_of, without_arm
from trimtab.search.comparisons import Contender, contender, contenders
from trimtab.search.final import Final, final, one_by_one
from trimtab.search.looks import Analysis, analyse
from trimtab.search.memo import remembered
from trimtab.search.profiles import Profiles
from trimtab.search.removal import redundant, removals


@dataclass(frozen=True, slots=True)
class Decision:
    """The analysis of a study with the verdicts, and the profiles that follow from them."""

    analysis: Analysis
    known: Findings
    answers: tuple[Answer, ...]
    planned: Profiles
    removed: Mapping[str, Effect]
    last: Final


@remembered
def decide(space: Space, everything: Sequence[Start]) -> Decision:
    """Return what a study suggests. Starts that were set aside for profiles decide nothing."""
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
    return Decision(analysis, known, answers, planned, removed, last)


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
