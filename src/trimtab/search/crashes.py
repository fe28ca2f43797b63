"""Tunings that fail only together: pairs of which every start failed, though each works alone.

Such a pair is learned from the study's own starts and then counts as a conflict: later rows of the
screen are repaired, and no profile holds both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Final

from trimtab.model import Outcome, Phase, Space, Start
from trimtab.search.arms import is_preset
from trimtab.search.failures import FAILED
from trimtab.search.memo import remembered

_ENOUGH: Final = 3
"""Failures that a pair must have. A pair that the design set on together 4 times and that fails by
another cause in one start of ten fails each time in one study of 10,000."""

_DOUBTED: Final = 2
"""Failures from which on a pair that never worked is kept out of profiles."""

_PHASES: Final = (Phase.LEAD, Phase.SCREEN, Phase.FOLLOW)

Pair = frozenset[str]


def crashing(starts: Sequence[Start]) -> frozenset[Pair]:
    """Return the pairs of tunings that fail together.

    Every start with both on failed, three of them at least, and no other pair explains as many
    failures: where two do, neither is blamed yet. Failures with a tuning on that never worked at
    all are left to that one (:mod:`trimtab.search.failures`).
    """
    made = [s for s in starts if s.request.phase in _PHASES and not is_preset(s.request.stem)]
    worked = [_on(start) for start in made if start.valid or start.outcome is Outcome.VOID]
    able = frozenset().union(*worked)
    failed = [on for on in (_on(start) for start in made if start.outcome in FAILED) if on <= able]
    found: set[Pair] = set()
    while pair := _guilty(failed, worked):
        found.add(pair)
        failed = [on for on in failed if not pair <= on]
    return frozenset(found)


def _guilty(failed: Sequence[frozenset[str]], worked: Sequence[frozenset[str]]) -> Pair | None:
    """Return the pair that explains more failures than any other, ``None`` if none stands out."""
    counted = Counter(
        pair
        for on in failed
        for pair in map(frozenset, combinations(on, 2))
        if not any(pair <= other for other in worked)
    )
    most = max(counted.values(), default=0)
    named = [pair for pair, failures in counted.items() if failures == most]
    return named[0] if most >= _ENOUGH and len(named) == 1 else None


@remembered
def learned(space: Space, starts: Sequence[Start]) -> Space:
    """Return the question with the pairs that fail together among its conflicts."""
    found = crashing(starts)
    return replace(space, conflicts=space.conflicts | found) if found else space


@remembered
def cautious(space: Space, starts: Sequence[Start]) -> Space:
    """Return the question with every pair among its conflicts that may fail together.

    That is a pair which no working start had on, though two or more that failed had. It is no
    proof, as for :func:`learned`, but a profile that holds such a pair may never start.
    """
    made = [s for s in starts if s.request.phase in _PHASES and not is_preset(s.request.stem)]
    worked = [_on(start) for start in made if start.valid or start.outcome is Outcome.VOID]
    failed = Counter(
        pair
        for start in made
        if start.outcome in FAILED
        for pair in map(frozenset, combinations(_on(start), 2))
    )
    found = {
        pair
        for pair, times in failed.items()
        if times >= _DOUBTED and not any(pair <= on for on in worked)
    }
    return replace(space, conflicts=space.conflicts | found) if found else space


def _on(start: Start) -> frozenset[str]:
    return frozenset(name for name, _ in start.request.candidate)
