"""Pairs of tunings that fail together are learned, and nobody else is blamed."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from tests.simulator import Machine, factors, play
from trimtab.model import Budget, Outcome, Phase, Space, Value
from trimtab.search import History, conclude
from trimtab.search.failures import failing_pairs

SPACE = Space(factors(10), budget=Budget(starts=40))
GAINS = {"t0": 0.1, "t3": 0.05}


def together(*names: str, by_chance: float = 0.0) -> Machine:
    def decide(values: Mapping[str, Value], rng: np.random.Generator) -> Outcome:
        fails = set(names) <= values.keys() or rng.random() < by_chance
        return Outcome.START_FAILED if fails else Outcome.MEASURED

    return Machine(GAINS, sd=0.01, outcome=decide)


def test_a_pair_is_learned_and_never_on_together_again() -> None:
    for seed in range(5):
        space, machine = replace(SPACE, seed=seed), together("t0", "t5")
        starts = play(space, machine)
        screened = [s for s in starts if s.request.phase is Phase.SCREEN]
        assert failing_pairs(screened) == {frozenset(("t0", "t5"))}
        later = [s for s in starts if s.request.phase in (Phase.FOLLOW, Phase.CONFIRM)]
        assert later
        assert all(start.valid for start in later)
        found = conclude(History.of(space, starts))
        assert {"t0", "t3"} <= dict(found.best).keys()
        assert "t5" not in dict(found.best)


def test_failures_by_chance_blame_no_pair() -> None:
    for seed in range(10):
        machine = replace(together(by_chance=0.1), seed=seed)
        assert not failing_pairs(play(replace(SPACE, seed=seed), machine))


def test_a_tuning_that_never_works_is_no_pair() -> None:
    assert not failing_pairs(play(SPACE, together("t4")))
