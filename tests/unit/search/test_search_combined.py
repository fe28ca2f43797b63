"""The best combination to be expected: beside what it is chosen, and what it never holds."""

import math
from dataclasses import replace
from itertools import combinations

import numpy as np

from tests.simulator import Machine, factors, play_blocks
from trimtab.model import Budget, Factor, Phase, Space, Start, StartRequest
from trimtab.search import History
from trimtab.search.estimates import analyse
from trimtab.search.response_surface import ResponseSurface, response_surface

SPACE = Space(factors(11), budget=Budget(starts=24))


class Paired(Machine):
    """A machine whose every pair of tunings gives or costs something, anew for each seed."""

    def gain(self, names: list[str]) -> float:
        drawn = np.random.default_rng((self.seed, 3)).normal(0.0, 0.03, size=(12, 12))
        at = [int(name[1:]) for name in names if name != "dummy"]
        return float(sum(drawn[pair] for pair in combinations(sorted(at), 2)))

    def start(self, request: StartRequest, number: int) -> Start:
        made = super().start(request, number)
        factor = math.exp(self.gain([name for name, _ in request.candidate]))
        value = made.metrics["output_throughput"] * factor
        return replace(made, metrics={**made.metrics, "output_throughput": value})


def screened(space: Space, machine: Machine) -> list[Start]:
    return play_blocks(space, machine, until=Phase.CONFIRM)


def known(space: Space, machine: Machine) -> ResponseSurface:
    found = response_surface(analyse(space, screened(space, machine)))
    assert found is not None
    return found


def named(chosen: tuple[Factor, ...]) -> set[str]:
    return {factor.tuning for factor in chosen}


def test_where_pairs_interact_the_best_combination_is_not_that_of_the_main_effects() -> None:
    joint, apart = [], []
    for seed in range(25):
        space = replace(SPACE, seed=seed)
        machine = Paired({"t0": 0.05}, sd=0.005, seed=seed)
        starts = screened(space, machine)
        analysis = analyse(space, starts)
        mains = [f.tuning for f in space.factors if (analysis.expected(f) or 0.0) > 0]
        chosen = named(History.of(space, starts).selection.best)
        joint.append(machine.gain(sorted(chosen)) + 0.05 * ("t0" in chosen))
        apart.append(machine.gain(mains) + 0.05 * ("t0" in mains))
    assert np.mean(joint) > np.mean(apart) + 0.02


def test_plain_gains_are_chosen_and_losses_left() -> None:
    machine = Machine({"t0": 0.08, "t1": 0.04, "t2": -0.05}, sd=0.01)
    best = named(History.of(SPACE, screened(SPACE, machine)).selection.best)
    assert {"t0", "t1"} <= best
    assert "t2" not in best


def test_what_is_needed_stays_and_what_is_not_allowed_never_joins() -> None:
    found = known(SPACE, Machine({"t0": 0.08, "t1": 0.04, "t2": -0.05}, sd=0.01))
    by_name = {factor.tuning: factor for factor in SPACE.factors}
    added = found.best(SPACE, [by_name["t2"]], [by_name["t0"], by_name["t2"]])
    assert named(added) == {"t0"}


def test_of_two_in_conflict_the_better_one_is_chosen() -> None:
    space = replace(SPACE, conflicts=frozenset({frozenset(("t0", "t1"))}))
    starts = screened(space, Machine({"t0": 0.05, "t1": 0.1}, sd=0.01))
    best = named(History.of(space, starts).selection.best)
    assert "t1" in best
    assert "t0" not in best


def test_a_single_tuning_is_no_error() -> None:
    space = Space(factors(1), budget=Budget(starts=24))
    starts = screened(space, Machine({"t0": 0.1}, sd=0.01))
    assert named(History.of(space, starts).selection.best) == {"t0"}


def test_it_is_least_sure_of_what_does_nothing() -> None:
    machine = Machine({"t0": 0.1, "t1": -0.1}, sd=0.01)
    found = known(SPACE, machine)
    best = [factor for factor in SPACE.factors if factor.tuning == "t0"]
    doubts = {factor.tuning: sure for factor, sure in found.doubts(best).items()}
    assert min(doubts["t0"], doubts["t1"]) > max(doubts[f"t{i}"] for i in range(2, 11))


def test_without_rows_there_is_no_surface() -> None:
    assert response_surface(analyse(SPACE, [])) is None
