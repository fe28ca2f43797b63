"""What follows from a history is worked out once, and never mixed up with another's."""

from __future__ import annotations

from dataclasses import replace

from trimtab.model import Budget, Phase, Space, Start
from trimtab.search import History, PhasedStrategy, conclude
from trimtab.search.history import derived
from trimtab.simulated import SimulatedMachine, load_landscape, play, space_of

SETTLED = (Phase.LEAD, Phase.SCREEN)


def study(starts: int, seed: int = 0) -> tuple[Space, list[Start]]:
    landscape = load_landscape("L1")
    space = space_of(landscape, Budget(starts=starts), seed)
    return space, play(PhasedStrategy(), space, SimulatedMachine(landscape, seed))


def test_a_function_of_a_history_is_worked_out_once_for_it() -> None:
    asked: list[int] = []

    @derived
    def count(history: History) -> int:
        asked.append(len(history.starts))
        return len(history.starts)

    space, starts = study(24)
    whole, part = History.of(space, starts), History.of(space, starts[:-1])
    assert [count(whole), count(whole), count(part)] == [24, 24, 23]
    assert count(History.of(replace(space, seed=1), starts)) == 24
    assert asked == [24, 23, 24]


def test_what_the_starts_say_is_kept_with_the_history() -> None:
    history = History.of(*study(24))
    assert history.estimates is history.estimates
    assert history.selection is history.selection
    assert conclude(history) is conclude(history)


def test_a_part_of_a_history_is_the_same_object_each_time() -> None:
    history = History.of(*study(40))
    first = history.select(*SETTLED)
    assert first is history.select(*reversed(SETTLED))
    assert {start.request.phase for start in first.starts} == {Phase.SCREEN}
    assert history.without(Phase.CONFIRM) is not history
    assert history.without(Phase.ANSWERS, Phase.HOST) is history


def test_the_budget_is_what_was_given_less_what_was_spent() -> None:
    space, starts = study(24)
    history = History.of(space, starts[:10])
    assert (history.total, history.spent, history.remaining) == (24, 10, 14)
    assert history.cost(Phase.SCREEN, (), (("gain-8", "on"),)) == 2
    timed = History.of(replace(space, budget=Budget(seconds=3600.0)), starts[:10])
    assert timed.spent == sum(start.seconds for start in starts[:10])
    assert timed.remaining == 3600.0 - timed.spent


def test_a_conclusion_follows_the_starts_and_not_what_was_kept() -> None:
    space, starts = study(40, 3)
    before = conclude(History.of(space, starts))
    slower = [replace(s, metrics={**s.metrics, space.objective: 1.0}, windows=()) for s in starts]
    assert conclude(History.of(space, slower)) != before
    assert conclude(History.of(space, [replace(start) for start in starts])) == before
