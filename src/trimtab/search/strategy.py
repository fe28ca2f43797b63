"""The seam for strategies: what any search must offer.

The strategy: leads alone, the rest by a design in two stages, integers refined, fresh proof.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol

from trimtab.model import BASELINE, Outcome, Phase, Space, Start, StartRequest
from trimtab.search.budget import remaining_budget, start_cost
from trimtab.search.design import require_budget
from trimtab.search.failures import FAILED, blocking_reason
from trimtab.search.history import comparable_starts, starts_of_phase
from trimtab.search.phases import confirm, follow_up, host, lead, refine, screen
from trimtab.search.phases.acceptance import acceptance_block


class Strategy(Protocol):
    """Chooses starts. A pure function: the same history always gives the same answer."""

    def ask(self, space: Space, starts: Sequence[Start]) -> tuple[StartRequest, ...] | None:
        """Return the starts left in the current block, in the order to make them.

        Args:
            space: the question.
            starts: all starts made so far, in their order of time.

        Returns:
            The rest of the block, ``None`` when the study is finished.

        Raises:
            UsageError: the budget is too small to answer anything.
        """
        ...


class _Part(NamedTuple):
    """One phase: its next block, and what must be kept of the budget after a block."""

    block: Callable[[Space, Sequence[Start]], tuple[StartRequest, ...]]
    owed: Callable[[Space, Sequence[Start], int], float]


_PHASES: Final = {
    Phase.LEAD: _Part(lead.block, lead.reserve),
    Phase.SCREEN: _Part(screen.block, screen.reserve),
    Phase.FOLLOW: _Part(follow_up.block, follow_up.reserve),
    Phase.REFINE: _Part(refine.block, refine.reserve),
    Phase.HOST: _Part(host.block, host.reserve),
    Phase.CONFIRM: _Part(confirm.block, confirm.reserve),
}


class PhasedStrategy:
    """LEAD, SCREEN, FOLLOW, REFINE, HOST and CONFIRM (see the modules of those names).

    What is left of the budget then tries profiles (:mod:`trimtab.search.phases.acceptance`).

    A void start is repeated once in its block where the budget allows, a failed one only when it
    is the baseline's. When the baseline fails twice in a row the study ends.
    """

    def ask(self, space: Space, starts: Sequence[Start]) -> tuple[StartRequest, ...] | None:
        """Return the starts left in the current block, ``None`` when the study is finished.

        Raises:
            UsageError: the budget is too small to answer anything.
        """
        require_budget(space)
        starts = comparable_starts(starts)
        if blocking_reason(space, starts):
            return None
        rest: tuple[StartRequest, ...] = ()
        if not starts_of_phase(starts, Phase.ANSWERS):
            rest = _rest(space, starts) or _next(space, starts)
        rest = rest or acceptance_block(space, starts)
        if space.budget.starts is not None:
            rest = rest[: space.budget.starts - len(starts)]
        return rest or None


def _next(space: Space, before: Sequence[Start]) -> tuple[StartRequest, ...]:
    order = list(_PHASES)
    begun = max((order.index(start.request.phase) for start in before), default=0)
    for phase in order[begun:]:  # one that a later one has followed is over
        if requests := _PHASES[phase].block(space, before):
            return requests
    return ()


def _rest(space: Space, starts: Sequence[Start]) -> tuple[StartRequest, ...]:
    """Return what is left of the block of the last start, second attempts at its end."""
    if not starts:
        return ()
    current = starts[-1].request
    place = (current.phase, current.block)
    before = [s for s in starts if (s.request.phase, s.request.block) != place]
    inside = {s.request.arm: s for s in starts if (s.request.phase, s.request.block) == place}
    planned = _next(space, before)
    rest = tuple(request for request in planned if request.arm not in inside)
    for request in planned:
        first = inside.get(request.arm)
        if first is None or request.again().arm in inside:
            continue
        if _repeats(space, starts, first, (*rest, request.again())):
            rest = (*rest, request.again())
    return rest


def _repeats(
    space: Space, starts: Sequence[Start], first: Start, ahead: Sequence[StartRequest]
) -> bool:
    """Whether a start is made a second time; ``ahead`` is the rest of the block with it."""
    cost = sum(start_cost(space, starts, each.phase, each.candidate) for each in ahead)
    if first.outcome in FAILED and first.request.candidate == BASELINE:
        return space.budget.starts is None or remaining_budget(space, starts) >= cost
    if first.outcome is not Outcome.VOID:
        return False
    phase = first.request.phase
    before = [
        s for s in starts if s.request.phase != phase or s.request.block < first.request.block
    ]
    return remaining_budget(space, starts) >= cost + _PHASES[phase].owed(
        space, before, first.request.block
    )
