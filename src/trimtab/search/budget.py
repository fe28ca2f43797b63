"""What a study has spent and what a start will cost, in the unit of its budget.

The unit is one start when the budget is a number of starts, otherwise one second of wall time.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from trimtab.errors import UsageError
from trimtab.model import BASELINE, Candidate, Phase, Space, Start
from trimtab.search.history import is_on, starts_of_phase


def total_budget(space: Space) -> float:
    """Return the whole budget.

    Raises:
        UsageError: the budget is not above zero, or names not exactly one unit.
    """
    starts, seconds = space.budget.starts, space.budget.seconds
    if (starts is None) == (seconds is None):
        raise UsageError(f"a budget must be starts or seconds, but is {space.budget}: set one")
    amount = float(starts) if starts is not None else float(seconds or 0.0)
    if not amount > 0:
        raise UsageError(f"the budget must be above 0, but is {amount:g}: give starts or a time")
    return amount


def spent_budget(space: Space, starts: Sequence[Start]) -> float:
    """Return what the starts made so far have cost."""
    if space.budget.starts is not None:
        return float(len(starts))
    return sum(start.seconds for start in starts)


def remaining_budget(space: Space, starts: Sequence[Start]) -> float:
    """Return what remains; negative when starts took longer than expected."""
    return total_budget(space) - spent_budget(space, starts)


def start_cost(space: Space, starts: Sequence[Start], phase: Phase, values: Candidate) -> float:
    """Return what one start of a candidate will cost, as far as can be known."""
    if space.budget.starts is not None:
        return 1.0
    return expected_seconds(space, starts, phase, values)


def expected_seconds(
    space: Space, starts: Sequence[Start], phase: Phase, values: Candidate
) -> float:
    """Return the expected wall seconds of a start.

    From the best of what there is: the same candidate; other tuned starts around the same centre;
    the fastest lead that is part of it; the question's own expectation.
    """
    same = [start for start in starts if start.request.candidate == values]
    if same:
        return fmean(start.seconds for start in same)
    alike = _alike(starts, phase, values)
    if alike:
        return fmean(start.seconds for start in alike)
    leads = [factor for factor in space.factors if factor.lead and is_on(factor, values)]
    alone = [
        start.seconds
        for start in starts_of_phase(starts, Phase.LEAD)
        if any(start.request.candidate == ((lead.tuning, lead.value),) for lead in leads)
    ]
    if alone:
        return min(alone)
    return space.seconds[0 if phase is Phase.LEAD or not leads else 1]


def _alike(starts: Sequence[Start], phase: Phase, values: Candidate) -> list[Start]:
    if phase is Phase.LEAD or values == BASELINE:
        found = starts_of_phase(starts, phase)
    else:
        found = [
            start
            for start in starts
            if start.request.phase is not Phase.LEAD and start.request.candidate != BASELINE
        ]
    # A failed start costs its deadline or almost nothing: no measure of one that works.
    return [start for start in found if start.valid] or found
