"""What several objectives give: the arms of the confirmation, and which of them stand."""

from __future__ import annotations

from dataclasses import dataclass

from trimtab.model.answer import Comparison
from trimtab.model.knowledge import Candidate


@dataclass(frozen=True, slots=True)
class Advantage:
    """Where an arm of the Pareto set is ahead of others of the set, on one objective.

    ``shown`` names the arms that it is shown to be better than, ``open`` those that only its
    estimate is better than.
    """

    metric: str
    shown: tuple[str, ...]
    open: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """One arm of the confirmation, seen by all objectives of the study.

    ``comparisons`` are with the baseline, one for each objective that has an estimate (of the
    baseline itself, with itself); their intervals hold one by one. ``dominated_by`` names the arms
    shown to dominate it, all such claims of a study together at 95 %. Without any it is a member
    of the Pareto set, and ``advantages`` say why, one for each objective on which it is ahead.
    """

    arm: str
    candidate: Candidate
    comparisons: tuple[Comparison, ...]
    dominated_by: tuple[str, ...]
    advantages: tuple[Advantage, ...] = ()

    @property
    def member(self) -> bool:
        """Whether it is in the Pareto set."""
        return not self.dominated_by
