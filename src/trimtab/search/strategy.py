"""The seam for strategies: what any search must offer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from trimtab.model import Space, Start, StartRequest


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
