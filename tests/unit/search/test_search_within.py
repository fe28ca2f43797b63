"""The SLO as a constraint on what is planned."""

import math
from dataclasses import replace

from tests.simulator import Machine, factors, play_blocks
from trimtab.model import Budget, Phase, Space, Start, StartRequest
from trimtab.search import History, conclude

SPACE = Space(factors(6), budget=Budget(starts=40))


class Trading(Machine):
    """t0 gives throughput and costs a latency of 100 ms; t1 gives throughput alone."""

    def start(self, request: StartRequest, number: int) -> Start:
        made = super().start(request, number)
        cost = 0.4 if "t0" in dict(request.candidate) else 0.0
        return replace(made, metrics={**made.metrics, "ttft_p99": 100 * math.exp(cost)})


MACHINE = Trading({"t0": 0.2, "t1": 0.1}, sd=0.01)


def planned(limit: float | None) -> tuple[set[str], set[str]]:
    """Return the tunings of ``max`` and those that the SLO has no room for."""
    space = replace(SPACE, limits=() if limit is None else (("ttft_p99", limit),))
    found = History.of(space, play_blocks(space, MACHINE, until=Phase.CONFIRM)).selection
    return {f.tuning for f in found.best}, {f.tuning for f in found.costly}


def test_what_costs_more_than_there_is_room_for_is_left_out() -> None:
    assert planned(None)[0] >= {"t0", "t1"}
    best, costly = planned(120.0)
    assert "t1" in best
    assert costly == {"t0"}
    assert planned(200.0)[0] >= {"t0", "t1"}


def test_a_baseline_above_the_limit_leaves_no_room_but_asks_for_nothing() -> None:
    best, costly = planned(50.0)
    assert "t1" in best
    assert "t0" in costly


def test_a_note_says_what_was_left_out() -> None:
    space = replace(SPACE, limits=(("ttft_p99", 120.0),))
    found = conclude(History.of(space, play_blocks(space, MACHINE)))
    assert "t0" not in dict(found.best)
    assert any("the SLO has no room" in note and "t0=on" in note for note in found.notes)


def test_a_latency_that_nobody_measured_limits_nothing() -> None:
    space = replace(SPACE, limits=(("tpot_p99", 1.0),))
    starts = play_blocks(space, MACHINE, until=Phase.CONFIRM)
    history = History.of(space, starts)
    assert history.limits.fitting(history.estimates, space.factors) == space.factors
