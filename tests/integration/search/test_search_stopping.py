"""A long confirmation is looked at on its way, and its intervals stay honest."""

from dataclasses import replace

from tests.simulator import Machine, factors, play, play_blocks
from trimtab.model import Budget, Phase, Space
from trimtab.search import History, conclude
from trimtab.search.phases.confirm import USUAL, confidence
from trimtab.stats.sequential import LEVELS

SPACE = Space(factors(3), budget=Budget(starts=110))


def test_what_is_settled_is_not_measured_on() -> None:
    clear = play(SPACE, Machine({"t0": 0.5, "t1": 0.4}, sd=0.01))
    assert History.of(SPACE, clear).block_count(Phase.CONFIRM) == 4
    assert len(clear) < 75


def test_what_is_open_goes_on_to_the_end() -> None:
    made = {
        History.of(
            SPACE, play(replace(SPACE, seed=seed), Machine({"t0": 0.1}, sd=0.08, seed=seed))
        ).block_count(phase)
        for seed in range(6)
        for phase in (Phase.CONFIRM,)
    }
    assert max(made) > 6


def test_a_short_confirmation_has_the_usual_intervals() -> None:
    assert confidence(6, 6) == confidence(3, 2) == USUAL


def test_an_early_stop_has_wider_intervals() -> None:
    assert [confidence(12, made) for made in (4, 6, 8, 12)] == [1 - level for level in LEVELS]
    assert confidence(12, 5) == confidence(12, 4)
    assert confidence(12, 1) == 1 - LEVELS[0]


def test_the_truth_is_in_the_interval_wherever_it_stopped() -> None:
    held = made = 0
    for seed in range(120):
        space, machine = replace(SPACE, seed=seed), Machine({"t0": 0.1}, sd=0.05, seed=seed)
        found = conclude(History.of(space, play_blocks(space, machine)))
        for one in found.confirmed:
            if one.arm == "proven" and one.effect.low and one.effect.high:
                truth = 2.718281828459045 ** machine.truth(dict(found.proven))
                held += one.effect.low <= truth <= one.effect.high
                made += 1
    assert made > 60
    assert held / made > 0.9
