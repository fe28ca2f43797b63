"""Answers are kept for the very same starts, and never mixed up with others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from trimtab.model import Budget, Space, Start
from trimtab.search import PhasedStrategy, conclude
from trimtab.search.history import IdentityKey, memoize
from trimtab.simulated import SimulatedMachine, load_landscape, play, space_of


def test_records_are_the_same_only_as_objects() -> None:
    one, equal = [1], [1]
    assert IdentityKey(one) == IdentityKey(one)
    assert hash(IdentityKey(one)) == hash(IdentityKey(one))
    assert IdentityKey(one) != IdentityKey(equal)
    assert IdentityKey(one) != IdentityKey(one, one)
    assert IdentityKey(one) != one


def test_a_question_is_worked_out_once_for_the_same_starts() -> None:
    asked: list[int] = []

    @memoize
    def count(space: Space, starts: Sequence[Start]) -> int:
        asked.append(len(starts))
        return len(starts)

    landscape = load_landscape("L1")
    space = space_of(landscape, Budget(starts=24))
    starts = play(PhasedStrategy(), space, SimulatedMachine(landscape))
    assert [count(space, starts), count(space, [*starts]), count(space, starts[:-1])] == [
        24,
        24,
        23,
    ]
    assert count(replace(space, seed=1), starts) == 24
    assert asked == [24, 23, 24]


def test_a_conclusion_follows_the_starts_and_not_what_was_kept() -> None:
    landscape = load_landscape("L1")
    space = space_of(landscape, Budget(starts=40), 3)
    starts = play(PhasedStrategy(), space, SimulatedMachine(landscape, 3))
    before = conclude(space, starts)
    slower = [replace(s, metrics={**s.metrics, space.objective: 1.0}, windows=()) for s in starts]
    assert conclude(space, slower) != before
    assert conclude(space, [replace(start) for start in starts]) == before
