"""The arms that further objectives add to a confirmation: which, when, and at what price."""

from __future__ import annotations

from dataclasses import replace

import pytest

from trimtab.model import BASELINE, Budget, Candidate, Conclusion, Phase, Space, Start
from trimtab.search import History, PhasedStrategy, conclude, design
from trimtab.simulated import Landscape, SimulatedMachine, play, space_of

TRADED = Landscape.model_validate({
    "name": "traded",
    "summary": "throughput at the price of latency, and the other way round",
    "tunings": {
        "quick": {"effect": 0.10},
        "traded": {"effect": 0.20, "latency": 0.50},
        "slower": {"effect": -0.08, "latency": -0.40},
        "worse": {"effect": -0.10},
    },
    "noise": {"start": 0.01, "window": 0.01},
})  # fmt: skip
ENDS = {"for-ttft_p99": {"quick", "slower"}, "without-traded": {"quick"}}


def asked(budget: Budget, *objectives: str) -> Space:
    return replace(space_of(TRADED, budget, 3), objectives=objectives)


def study(space: Space, landscape: Landscape = TRADED) -> tuple[Conclusion, tuple[Start, ...]]:
    starts = play(PhasedStrategy(), space, SimulatedMachine(landscape, space.seed))
    return conclude(History.of(space, starts)), tuple(starts)


def confirming(starts: tuple[Start, ...]) -> dict[str, Candidate]:
    fresh = [one.request for one in starts if one.request.phase is Phase.CONFIRM]
    return {one.stem: one.candidate for one in fresh}


def test_the_other_end_and_the_compromise_are_confirmed() -> None:
    space = asked(Budget(starts=44), "ttft_p99")
    found, starts = study(space)
    assert len(starts) <= 44
    arms = confirming(starts)
    assert {"baseline", "proven"} <= arms.keys()
    for arm, tunings in ENDS.items():
        assert {name for name, _ in arms[arm]} >= tunings
        assert "traded" not in dict(arms[arm])
    members = {one.arm for one in found.pareto if one.member}
    assert {"proven", "for-ttft_p99"} <= members
    assert "baseline" not in members
    assert {name for name, _ in found.proven} == {"quick", "traded"}


def test_one_objective_asks_for_what_it_always_did() -> None:
    found, starts = study(asked(Budget(starts=44)))
    assert not {arm for arm in confirming(starts) if arm.startswith("for-")}
    assert found.pareto == ()
    assert not any("Pareto" in note for note in found.notes)


def test_proven_and_max_do_not_depend_on_the_further_objectives() -> None:
    """The screen may be smaller, but it judges by the first objective alone."""
    one, _ = study(asked(Budget(starts=60)))
    two, _ = study(asked(Budget(starts=60), "ttft_p99"))
    assert one.proven == two.proven
    assert one.best == two.best


@pytest.mark.parametrize("starts", [14, 18, 24, 30, 40, 60, 100])
@pytest.mark.parametrize("objectives", [("ttft_p99",), ("ttft_p99", "startup")])
def test_every_budget_is_kept_and_further_arms_have_three_blocks(
    starts: int, objectives: tuple[str, ...]
) -> None:
    space = asked(Budget(starts=starts), *objectives)
    found, made = study(space)
    assert len(made) <= starts
    arms = confirming(made)
    more = arms.keys() - {"baseline", "proven", "max"}
    assert sum(not arm.startswith("without-") for arm in more) <= 2
    blocks = {one.request.block for one in made if one.request.phase is Phase.CONFIRM}
    assert not more or len(blocks) >= 3
    assert len(set(arms.values())) == len(arms), "no candidate is an arm twice"
    assert design(space).starts <= starts
    assert design(space).objectives == objectives
    missing = [note for note in found.notes if "no room to confirm" in note]
    assert not missing or len(arms) < 5


def test_a_budget_of_time_has_them_too() -> None:
    _, starts = study(asked(Budget(seconds=44 * 60.0), "ttft_p99"))
    assert "for-ttft_p99" in confirming(starts)


def test_an_end_that_loses_throughput_alone_is_confirmed_without_any_profile() -> None:
    """Nothing is better at the first objective, something is at the second."""
    only = Landscape.model_validate({
        **TRADED.model_dump(),
        "tunings": {"slower": {"effect": -0.2, "latency": -0.5}, "worse": {"effect": -0.3}},
    })  # fmt: skip
    space = replace(space_of(only, Budget(starts=24), 1), objectives=("ttft_p99",))
    found, starts = study(space, only)
    assert dict(confirming(starts)["for-ttft_p99"]) == {"slower": "on"}
    assert found.proven == found.best == BASELINE
    assert {one.arm for one in found.pareto if one.member} == {"baseline", "for-ttft_p99"}


def test_what_fails_or_conflicts_is_in_no_further_arm() -> None:
    bad = Landscape.model_validate({
        **TRADED.model_dump(),
        "tunings": {
            "quick": {"effect": 0.10},
            "gone": {"latency": -0.6},
            "small": {"effect": -0.02, "latency": -0.1},
            "large": {"effect": -0.05, "latency": -0.4},
        },
        "crashes": [{"when": ["gone"]}],
        "conflicts": [["small", "large"]],
    })  # fmt: skip
    space = replace(space_of(bad, Budget(starts=44), 2), objectives=("ttft_p99",))
    _, starts = study(space, bad)
    end = dict(confirming(starts)["for-ttft_p99"])
    assert "large" in end
    assert not {"gone", "small", "dummy"} & end.keys()


def test_an_arm_without_room_is_named_in_a_note() -> None:
    leads = Landscape.model_validate({
        **TRADED.model_dump(),
        "tunings": {
            "large": {"effect": 0.8, "lead": True, "prior": 1.0},
            "other": {"effect": -0.1, "latency": -0.5, "lead": True, "prior": 0.5},
        },
    })  # fmt: skip
    space = replace(space_of(leads, Budget(starts=12), 0), objectives=("ttft_p99",))
    found, starts = study(space, leads)
    assert confirming(starts).keys() == {"baseline", "proven"}
    said = "the budget had no room to confirm for-ttft_p99: large=on, other=on"
    assert said in found.notes
