"""The lead phase: each tuning that the hardware decides, alone against the baseline."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab import formatting
from trimtab.model import BASELINE, Candidate, Factor, Phase, Space, Start, StartRequest
from trimtab.search.budget import remaining_budget, start_cost, total_budget
from trimtab.search.failures import failures
from trimtab.search.history import BASELINE_ARM, block_count, candidate_of, shuffled_requests
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
    pairs = _CONFIRM_PAIRS * _pair(space, candidate_of(leads))
    return BLOCKS * _cost(space, (), _arms(space, leads, guide=False)) + pairs


def _pair(space: Space, tuned: Candidate) -> float:
    return sum(start_cost(space, (), Phase.CONFIRM, values) for values in (BASELINE, tuned))


def has_guide_arm(space: Space) -> bool:
    """Whether the guide is an arm of the phase's first block."""
    leads = leads_to_test(space)
    if not (space.guide and leads):
        return False
    return total_budget(space) >= minimum_budget(space, leads) + start_cost(
        space, (), Phase.LEAD, space.guide
    )


def planned_candidates(space: Space) -> list[Candidate]:
    """Return the candidates of the phase's starts, before any is made."""
    leads = leads_to_test(space)
    if not leads:
        return []
    arms = [*_arms(space, leads, guide=has_guide_arm(space)), *_arms(space, leads, guide=False)]
    return [values for _, values in arms]


def block(space: Space, before: Sequence[Start]) -> tuple[StartRequest, ...]:
    """Return the next block of the phase, empty when it is over."""
    leads = leads_to_test(space)
    index = block_count(before, Phase.LEAD)
    if not leads or any(start.request.phase is not Phase.LEAD for start in before):
        return ()
    if index >= BLOCKS:
        if not _needs_more(space, before, index):
            return ()
        out = failures(space, before)
        leads = tuple(lead for lead in leads if lead.tuning not in out)
        if not leads:
            return ()
    arms = _arms(space, leads, guide=index == 0 and has_guide_arm(space))
    cost = _cost(space, before, arms) + reserve(space, before, index)
    if index > 0 and remaining_budget(space, before) < cost:
        return ()
    return shuffled_requests(space, Phase.LEAD, index, arms)


def reserve(space: Space, before: Sequence[Start], index: int) -> float:
    """Return what must be kept after block ``index``: the second block and a confirmation."""
    leads = leads_to_test(space)
    # The blocks that the noise asks for must not cost the confirmation one of its three.
    times = _CONFIRM_PAIRS if index < BLOCKS else _CONFIRM_PAIRS + 1
    pairs = times * sum(
        start_cost(space, before, Phase.CONFIRM, values)
        for values in (BASELINE, candidate_of(leads))
    )
    more = _cost(space, before, _arms(space, leads, guide=False)) if index == 0 else 0.0
    return more + pairs


def _needs_more(space: Space, before: Sequence[Start], index: int) -> bool:
    """Whether one or two leads without a screen after them need more blocks to know the noise."""
    df = len(leads_to_test(space)) * (index - 1)
    return index < _MOST_BLOCKS and df < _ENOUGH_DF and screen.plan(space, before) is None


def _arms(space: Space, leads: Sequence[Factor], *, guide: bool) -> list[tuple[str, Candidate]]:
    arms = [(BASELINE_ARM, BASELINE)]
    arms += [(formatting.setting(lead.tuning, lead.value), candidate_of([lead])) for lead in leads]
    if guide and space.guide:
        arms.append((space.preset, space.guide))
    return arms


def _cost(space: Space, before: Sequence[Start], arms: Sequence[tuple[str, Candidate]]) -> float:
    return sum(start_cost(space, before, Phase.LEAD, values) for _, values in arms)
