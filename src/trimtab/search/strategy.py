"""The strategy: which starts to make next, by phases over the history of a study.

It is the seam for other strategies too: what any search must offer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from trimtab.model import BASELINE, Outcome, Phase, Start, StartRequest
from trimtab.search.design import require_budget
from trimtab.search.failures import FAILED
from trimtab.search.history import History
from trimtab.search.phases import SearchPhase
from trimtab.search.phases.acceptance import AcceptancePhase
from trimtab.search.phases.confirm import ConfirmPhase
from trimtab.search.phases.follow_up import FollowUpPhase
from trimtab.search.phases.host import HostPhase
from trimtab.search.phases.lead import LeadPhase
from trimtab.search.phases.refine import RefinePhase
from trimtab.search.phases.screen import ScreenPhase


class Strategy(Protocol):
    """Chooses starts. A pure function: the same history always gives the same answer."""

    def ask(self, history: History) -> tuple[StartRequest, ...] | None:
        """Return the starts left in the current block, in the order to make them.

        Returns:
            The rest of the block, ``None`` when the study is finished.

        Raises:
            UsageError: the budget is too small to answer anything.
        """
        ...


PHASES: Final[tuple[SearchPhase, ...]] = (
    LeadPhase(),
    ScreenPhase(),
    FollowUpPhase(),
    RefinePhase(),
    HostPhase(),
    ConfirmPhase(),
)
"""The phases in their order. Once a later one has begun, those before it are done."""

_ORDER: Final = tuple(each.phase for each in PHASES)
_ACCEPTANCE: Final = AcceptancePhase()


class PhasedStrategy:
    """Goes through the :data:`PHASES`, each until it is done.

    What is left of the budget then tries profiles (:mod:`trimtab.search.phases.acceptance`).

    A void start is repeated once in its block where the budget allows, a failed one only when it
    is the baseline's. When the baseline fails twice in a row the study ends.
    """

    def ask(self, history: History) -> tuple[StartRequest, ...] | None:
        """Return the starts left in the current block, ``None`` when the study is finished.

        Raises:
            UsageError: the budget is too small to answer anything.
        """
        require_budget(history.space)
        if history.blocking_reason:
            return None
        rest: tuple[StartRequest, ...] = ()
        if not history.of_phase(Phase.ANSWERS):
            rest = _rest(history) or _next(history)
        rest = rest or _ACCEPTANCE.next_block(history)
        if history.space.budget.starts is not None:
            rest = rest[: history.space.budget.starts - len(history.starts)]
        return rest or None


def _next(history: History) -> tuple[StartRequest, ...]:
    begun = max((_ORDER.index(start.request.phase) for start in history.starts), default=0)
    for phase in PHASES[begun:]:
        if block := phase.next_block(history):
            return block
    return ()


def _rest(history: History) -> tuple[StartRequest, ...]:
    """Return what is left of the block of the last start, second attempts at its end."""
    if not history.starts:
        return ()
    current = history.starts[-1].request
    place = (current.phase, current.block)
    made = history.filter(lambda start: (start.request.phase, start.request.block) == place)
    inside = {start.request.arm: start for start in made.starts}
    planned = _next(
        history.filter(lambda start: (start.request.phase, start.request.block) != place)
    )
    rest = tuple(request for request in planned if request.arm not in inside)
    for request in planned:
        first = inside.get(request.arm)
        if first is None or request.again().arm in inside:
            continue
        if _repeats(history, first, (*rest, request.again())):
            rest = (*rest, request.again())
    return rest


def _repeats(history: History, first: Start, ahead: Sequence[StartRequest]) -> bool:
    """Whether a start is made a second time; ``ahead`` is the rest of the block with it."""
    cost = sum(history.cost(request.phase, request.candidate) for request in ahead)
    if first.outcome in FAILED and first.request.candidate == BASELINE:
        return history.space.budget.starts is None or history.remaining >= cost
    if first.outcome is not Outcome.VOID:
        return False
    name, block = first.request.phase, first.request.block
    before = history.filter(
        lambda start: start.request.phase != name or start.request.block < block
    )
    kept = PHASES[_ORDER.index(name)].reserve(before, block)
    return history.remaining >= cost + kept
