"""The lead phase: each tuning that the hardware decides, alone against the baseline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from trimtab import formatting
from trimtab.model import BASELINE, Candidate, Factor, Phase, Space, StartRequest
from trimtab.search.arms import BASELINE_ARM, candidate_of, shuffled_requests
from trimtab.search.history import History, total_budget
from trimtab.search.phases import screen

BLOCKS = 2
"""Blocks of the phase; more only where too few leads leave the noise unknown."""

_MOST_BLOCKS = 4
_ENOUGH_DF = 3
_CONFIRM_PAIRS = 2


def leads_to_test(space: Space) -> tuple[Factor, ...]:
    """Return the leads that the budget can test alone, all of them where it can.

    The ones with the smallest prior are left to the screen.
    """
    leads = sorted((f for f in space.factors if f.lead), key=lambda f: -f.prior)
    while leads and total_budget(space) < minimum_budget(space, leads):
        leads.pop()
    return tuple(factor for factor in space.factors if factor in leads)


def minimum_budget(space: Space, leads: Sequence[Factor]) -> float:
    """Return the smallest budget that tests ``leads`` and confirms what wins."""
    blank = History(space)
    pairs = _CONFIRM_PAIRS * blank.cost(Phase.CONFIRM, BASELINE, candidate_of(leads))
    return BLOCKS * _cost(blank, _arms(space, leads, guide=False)) + pairs


def has_guide_arm(space: Space) -> bool:
    """Whether the guide is an arm of the phase's first block."""
    leads = leads_to_test(space)
    if not (space.guide and leads):
        return False
    guide = History(space).cost(Phase.LEAD, space.guide)
    return total_budget(space) >= minimum_budget(space, leads) + guide


def planned_candidates(space: Space) -> list[Candidate]:
    """Return the candidates of the phase's starts, before any is made."""
    leads = leads_to_test(space)
    if not leads:
        return []
    arms = [*_arms(space, leads, guide=has_guide_arm(space)), *_arms(space, leads, guide=False)]
    return [values for _, values in arms]


class LeadPhase:
    """The lead phase; see the module."""

    phase: ClassVar[Phase] = Phase.LEAD

    def next_block(self, history: History) -> tuple[StartRequest, ...]:
        """Return the next block of the phase, empty when it is over."""
        leads = leads_to_test(history.space)
        index = history.block_count(Phase.LEAD)
        if not leads:
            return ()
        if index >= BLOCKS:
            if not _needs_more(history, index):
                return ()
            leads = tuple(lead for lead in leads if lead.tuning not in history.failures)
            if not leads:
                return ()
        guide = index == 0 and has_guide_arm(history.space)
        arms = _arms(history.space, leads, guide=guide)
        cost = _cost(history, arms) + self.reserve(history, index)
        if index > 0 and history.remaining < cost:
            return ()
        return shuffled_requests(history.space, Phase.LEAD, index, arms)

    def reserve(self, history: History, index: int) -> float:
        """Return what must be kept after block ``index``: the second one and a confirmation."""
        leads = leads_to_test(history.space)
        # The blocks that the noise asks for must not cost the confirmation one of its three.
        times = _CONFIRM_PAIRS if index < BLOCKS else _CONFIRM_PAIRS + 1
        pairs = times * history.cost(Phase.CONFIRM, BASELINE, candidate_of(leads))
        if index > 0:
            return pairs
        return _cost(history, _arms(history.space, leads, guide=False)) + pairs


def _needs_more(history: History, index: int) -> bool:
    """Whether one or two leads without a screen after them need more blocks to know the noise."""
    df = len(leads_to_test(history.space)) * (index - 1)
    return index < _MOST_BLOCKS and df < _ENOUGH_DF and screen.plan(history) is None


def _arms(space: Space, leads: Sequence[Factor], *, guide: bool) -> list[tuple[str, Candidate]]:
    arms = [(BASELINE_ARM, BASELINE)]
    arms += [(formatting.setting(lead.tuning, lead.value), candidate_of([lead])) for lead in leads]
    if guide and space.guide:
        arms.append((space.preset, space.guide))
    return arms


def _cost(history: History, arms: Sequence[tuple[str, Candidate]]) -> float:
    return history.cost(Phase.LEAD, *(values for _, values in arms))
