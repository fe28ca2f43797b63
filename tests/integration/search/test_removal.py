"""Removal effects: what the final profile loses without each of its tunings."""

from __future__ import annotations

import math

import pytest

from trimtab.model import Budget, Conclusion, Effect, Phase, Start
from trimtab.search import History, PhasedStrategy, conclude
from trimtab.search.comparisons import redundant_tuning
from trimtab.simulated import Landscape, SimulatedMachine, play, space_of


def landscape(noise: float = 0.01, together: float = 0.0) -> Landscape:
    return Landscape.model_validate({
        "name": "two",
        "summary": "two gains, which may overlap",
        "tunings": {
            "one": {"effect": 0.10, "prior": 0.02},
            "two": {"effect": 0.08, "prior": 0.02},
            **{f"null-{i}": {} for i in range(4)},
        },
        "interactions": [{"of": ["one", "two"], "effect": together}],
        "noise": {"start": noise, "window": noise / 2},
    })  # fmt: skip


def study(given: Landscape, seed: int, budget: int = 60) -> tuple[Conclusion, list[Start]]:
    space = space_of(given, Budget(starts=budget), seed)
    starts = play(PhasedStrategy(), space, SimulatedMachine(given, seed))
    assert len(starts) <= budget
    return conclude(History.of(space, starts)), starts


def test_what_adds_up_is_needed() -> None:
    found, starts = study(landscape(), 5)
    arms = {start.request.stem for start in starts if start.request.phase is Phase.CONFIRM}
    assert {"baseline", "proven", "without-one", "without-two"} <= arms
    removed = {one.tuning: one.removal for one in found.answers if one.removal}
    assert removed.keys() == {"one", "two"}
    for name, truth in (("one", 0.10), ("two", 0.08)):
        low, high = removed[name].low, removed[name].high
        assert low is not None
        assert high is not None
        assert low < math.exp(truth) < high
    assert all("the profile needs it" in a.reason for a in found.answers if a.removal)
    assert {name for name, _ in found.proven} == {"one", "two"}


def test_what_the_other_gives_already_is_left_out() -> None:
    found, _ = study(landscape(0.004, together=-0.079), 2, budget=80)
    (kept,) = found.proven
    assert kept[0] == "one"
    assert any("two=on gives less than the margin" in note for note in found.notes)
    said = {one.tuning: one.reason for one in found.answers}
    assert "redundant in the profile" in said["two"]
    first = next(one for one in found.confirmed if one.arm == "proven")
    assert first.effect.ratio == pytest.approx(math.exp(0.10), abs=0.02)


def test_intervals_hold_the_truth_together() -> None:
    held = total = 0
    given = landscape(0.02, together=-0.03)
    for seed in range(60):
        found, _ = study(given, seed)
        truth = {"one": 0.07, "two": 0.05}
        own = [one for one in found.answers if one.removal is not None]
        if {one.tuning for one in own} != truth.keys():
            continue
        total += 1
        held += all(
            one.removal is not None
            and one.removal.low is not None
            and one.removal.high is not None
            and one.removal.low <= math.exp(truth[one.tuning]) <= one.removal.high
            for one in own
        )
    assert total > 30
    assert held / total > 0.85  # 95 % nominal; 60 studies cannot tell it from 88 %


def test_a_small_budget_leaves_nothing_out() -> None:
    found, starts = study(landscape(), 1, budget=24)
    assert not any(start.request.stem.startswith("without") for start in starts)
    assert not any(one.removal for one in found.answers)


def test_of_several_the_least_is_redundant() -> None:
    space = space_of(landscape(), Budget(starts=24))
    assert redundant_tuning(space, {}) is None
    wide = Effect(1.01, 0.98, 1.05, 0.3, 6)
    small, least = Effect(1.005, 0.99, 1.015, 0.3, 6), Effect(0.999, 0.99, 1.01, 0.3, 6)
    assert redundant_tuning(space, {"a": wide}) is None
    assert redundant_tuning(space, {"a": wide, "b": small, "c": least}) == "c"
