"""Answers that are asked for again and again about the same starts, worked out once.

The phases ask each other what the starts say, several times for each block. All of it is a pure
function of the question and the starts, so the last answers are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, wraps
from typing import Final, Generic, TypeVar

from trimtab.model import Space, Start

_KEPT: Final = 64
"""Answers kept of each function: those of the study at hand."""

_Record = TypeVar("_Record")
_Answer = TypeVar("_Answer")


class Same(Generic[_Record]):
    """Records that equal others when each is the very same object.

    Records never change, and to compare all that a ledger holds of two starts would cost what is
    saved.
    """

    __slots__ = ("records",)

    def __init__(self, *records: _Record) -> None:
        self.records = records

    def __hash__(self) -> int:
        return hash(tuple(map(id, self.records)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Same):
            return NotImplemented
        return [*map(id, self.records)] == [*map(id, other.records)]


def remembered(
    of: Callable[[Space, Sequence[Start]], _Answer],
) -> Callable[[Space, Sequence[Start]], _Answer]:
    """Return a pure function of a question and its starts that keeps its last answers."""

    @lru_cache(maxsize=_KEPT)
    def known(space: Same[Space], starts: Same[Start]) -> _Answer:
        return of(space.records[0], starts.records)

    @wraps(of)
    def answered(space: Space, starts: Sequence[Start]) -> _Answer:
        return known(Same(space), Same(*starts))

    return answered
