"""The phases of a study's search, one module each.

A phase is an object without state: all that it says follows from the history that it is given.
"""

from __future__ import annotations

from typing import ClassVar, Protocol

from trimtab.model import Phase, StartRequest
from trimtab.search.history import History


class SearchPhase(Protocol):
    """One phase. It is done when it has no next block, or when a later phase has begun."""

    phase: ClassVar[Phase]

    def next_block(self, history: History) -> tuple[StartRequest, ...]:
        """Return the starts of the next block; empty when the phase is done, or has no budget."""
        ...

    def reserve(self, history: History, index: int) -> float:
        """Return what must be kept of the budget after block ``index`` of the phase.

        Args:
            history: what came before that block.
            index: the block's number in the phase, from 0.
        """
        ...
