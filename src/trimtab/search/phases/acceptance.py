"""Starts at the end of a study that try a profile: that it starts, its latencies, its answers.

No profile is written that no start of the study ran (:mod:`trimtab.search.release`). Where the
confirmation ran another one, or the screen took the budget, a start set aside tries it. What the
budget has left besides pays for answers: one start for each profile that no start answered for,
and one of the baseline where it answered only once. These starts enter no estimate of an effect.
"""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.model import BASELINE, Candidate, Outcome, Phase, Space, Start, StartRequest
from trimtab.search.budget import remaining_budget, start_cost
from trimtab.search.conclusion import conclude
from trimtab.search.fidelity import any_output_tokens, has_output_tokens
from trimtab.search.history import BASELINE_ARM, MAX_ARM, PROVEN_ARM, requests
from trimtab.search.release import objection
from trimtab.search.verdicts import decide


def acceptance_block(space: Space, starts: Sequence[Start]) -> tuple[StartRequest, ...]:
    """Return the next start to make at the end of a study, within the budget; empty at its end."""
    money = remaining_budget(space, starts)
    arms = _unseen(space, starts) or _unanswered(space, starts)
    found: list[tuple[str, Candidate]] = []
    for arm, chosen in arms:
        money -= start_cost(space, starts, Phase.ANSWERS, chosen)
        if money >= 0 and (arm != BASELINE_ARM or found or _tried(starts)):
            found.append((arm, chosen))
    return requests(space, Phase.ANSWERS, 0, found)


def _unseen(space: Space, starts: Sequence[Start]) -> list[tuple[str, Candidate]]:
    """Return the profiles that are suggested and that no start tried yet, the larger one first."""
    last = decide(space, starts).last
    ended = {s.request.candidate for s in starts if s.outcome is not Outcome.VOID}
    tried = _tried(starts)
    wanted = {last.best: MAX_ARM, last.proven: PROVEN_ARM}
    return [
        (arm, chosen)
        for chosen, arm in wanted.items()
        if chosen not in ended and arm not in tried and objection(space, starts, chosen)
    ]


def _unanswered(space: Space, starts: Sequence[Start]) -> list[tuple[str, Candidate]]:
    stock = sum(has_output_tokens(start, BASELINE) for start in starts)
    if not stock:
        return []
    conclusion = conclude(space, starts)
    tried = _tried(starts)
    asked: dict[Candidate, str] = {}
    for arm, chosen in (
        (PROVEN_ARM, conclusion.proven),
        (MAX_ARM, conclusion.best),
        (BASELINE_ARM, BASELINE),
    ):
        enough = stock > 1 if chosen == BASELINE else any_output_tokens(starts, chosen)
        if not enough and arm not in tried and (arm == BASELINE_ARM or chosen):
            asked.setdefault(chosen, arm)
    return [(arm, chosen) for chosen, arm in asked.items()]


def _tried(starts: Sequence[Start]) -> set[str]:
    return {start.request.stem for start in starts if start.request.phase is Phase.ANSWERS}
