"""Starts at the end of a study that try a profile: that it starts, its latencies, its answers.

No profile is written that no start of the study ran (:mod:`trimtab.search.final_profiles`). Where
the confirmation ran another one, or the screen took the budget, a start set aside tries it. What
the budget has left besides pays for answers: one start for each profile that no start answered
for, and one of the baseline where it answered only once. These starts enter no estimate of an
effect.
"""

from __future__ import annotations

from typing import ClassVar

from trimtab.model import BASELINE, Candidate, Outcome, Phase, StartRequest
from trimtab.search.arms import BASELINE_ARM, MAX_ARM, PROVEN_ARM, requests
from trimtab.search.conclusion import conclude
from trimtab.search.fidelity import any_output_tokens, has_output_tokens
from trimtab.search.final_profiles import objection
from trimtab.search.history import History
from trimtab.search.verdicts import decide


class AcceptancePhase:
    """The starts that try profiles; see the module."""

    phase: ClassVar[Phase] = Phase.ANSWERS

    def next_block(self, history: History) -> tuple[StartRequest, ...]:
        """Return the next starts to make at the end of a study, within the budget."""
        money = history.remaining
        affordable: list[tuple[str, Candidate]] = []
        for arm, chosen in _unseen(history) or _unanswered(history):
            money -= history.cost(Phase.ANSWERS, chosen)
            if money >= 0 and (arm != BASELINE_ARM or affordable or _tried(history)):
                affordable.append((arm, chosen))
        return requests(history.space, Phase.ANSWERS, 0, affordable)

    def reserve(self, history: History, index: int) -> float:
        """Return that nothing must be kept: no phase follows."""
        return 0.0


def _unseen(history: History) -> list[tuple[str, Candidate]]:
    """Return the profiles that are suggested and that no start tried yet, the larger one first."""
    last = decide(history).last
    ended = {s.request.candidate for s in history.starts if s.outcome is not Outcome.VOID}
    tried = _tried(history)
    wishes = {last.best: MAX_ARM, last.proven: PROVEN_ARM}
    return [
        (arm, chosen)
        for chosen, arm in wishes.items()
        if chosen not in ended and arm not in tried and objection(history, chosen)
    ]


def _unanswered(history: History) -> list[tuple[str, Candidate]]:
    stock = sum(has_output_tokens(start, BASELINE) for start in history.starts)
    if not stock:
        return []
    conclusion = conclude(history)
    tried = _tried(history)
    asked: dict[Candidate, str] = {}
    for arm, chosen in (
        (PROVEN_ARM, conclusion.proven),
        (MAX_ARM, conclusion.best),
        (BASELINE_ARM, BASELINE),
    ):
        enough = stock > 1 if chosen == BASELINE else any_output_tokens(history.starts, chosen)
        if not enough and arm not in tried and (arm == BASELINE_ARM or chosen):
            asked.setdefault(chosen, arm)
    return [(arm, chosen) for chosen, arm in asked.items()]


def _tried(history: History) -> set[str]:
    return {start.request.stem for start in history.of_phase(Phase.ANSWERS)}
