"""Several objectives: which arms stand, who dominates whom, and how often that is wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from tests.integration.search.test_search_simulated import rate_is_at_most
from trimtab.model import (
    BASELINE,
    Factor,
    Outcome,
    ParetoArm,
    Phase,
    Space,
    Start,
    StartRequest,
    candidate,
)
from trimtab.search import History
from trimtab.search.pareto import ArmDifference, ParetoFront, dominance, pareto_front

RATE, LATENCY = "output_throughput", "ttft_p99"
SPACE = Space((Factor("traded", "on"), Factor("quick", "on")), objectives=(LATENCY,))
PROVEN, QUICK = candidate({"traded": "on", "quick": "on"}), candidate({"quick": "on"})
ARMS = {"baseline": BASELINE, "proven": PROVEN, "without-traded": QUICK}

Truth = Mapping[str, tuple[float, float]]
"""Arm → its true log ratios to the baseline, greater is better: throughput, TTFT."""

TRADED: Truth = {"baseline": (0.0, 0.0), "proven": (0.3, -0.2), "without-traded": (0.1, 0.1)}
NOTHING: Truth = dict.fromkeys(("baseline", "proven", "max", "a", "b"), (0.0, 0.0))


def made(truth: Truth, sd: float = 0.01, blocks: int = 3, seed: int = 0) -> list[Start]:
    """Make a confirmation: every arm once in each block, with noise of its own on each metric."""
    rng = np.random.default_rng((seed, 17))
    starts: list[Start] = []
    for block in range(blocks):
        shared = rng.normal(0.0, 0.05, 2)
        for arm, true in truth.items():
            rate, latency = np.array(true) + shared + rng.normal(0.0, sd, 2)
            values = ARMS.get(arm, candidate({arm: "on"}))
            starts.append(
                Start(
                    number=len(starts) + 1,
                    request=StartRequest(Phase.CONFIRM, block, arm, values, block),
                    plan="0" * 16,
                    outcome=Outcome.MEASURED,
                    metrics={RATE: 100 * math.exp(rate), LATENCY: 100 * math.exp(-latency)},
                )
            )
    return starts


def front(starts: Sequence[Start], space: Space = SPACE) -> ParetoFront:
    return pareto_front(History.of(space, starts), PROVEN, PROVEN)


def by_name(found: ParetoFront) -> dict[str, ParetoArm]:
    return {one.arm: one for one in found.arms}


def members(found: ParetoFront) -> set[str]:
    return {one.arm for one in found.arms if one.member}


def test_what_is_traded_leaves_both_ends_in_the_set() -> None:
    found = front(made(TRADED))
    assert members(found) == {"proven", "without-traded"}
    both = by_name(found)
    assert both["baseline"].dominated_by == ("without-traded",)
    ahead = {one.metric: one for one in both["proven"].advantages}
    assert ahead[RATE].shown == ("without-traded",)
    assert LATENCY not in ahead
    assert [one.metric for one in both["without-traded"].advantages] == [LATENCY]


def test_each_arm_is_compared_with_the_baseline_on_each_objective() -> None:
    both = by_name(front(made(TRADED)))
    for arm, true in TRADED.items():
        assert [one.metric for one in both[arm].comparisons] == [RATE, LATENCY]
        for one, value in zip(both[arm].comparisons, true, strict=True):
            assert one.arm == arm
            assert one.effect.ratio == pytest.approx(math.exp(value), rel=0.05)
    latency = both["proven"].comparisons[1]
    assert latency.value > latency.baseline  # slower, though its ratio is better-is-greater


def test_an_advantage_that_noise_can_explain_is_open() -> None:
    found = front(made({**NOTHING, "proven": (0.3, 0.0)}, sd=0.03, seed=4))
    assert "proven" in members(found)
    ahead = [one for arm in found.arms for one in arm.advantages if one.metric == LATENCY]
    assert ahead
    assert not any(one.shown for one in ahead)


def test_one_objective_has_no_pareto_set() -> None:
    assert front(made(TRADED), replace(SPACE, objectives=())) == ParetoFront()


def test_without_a_confirmation_there_is_a_note() -> None:
    found = front([])
    assert found.arms == ()
    assert "no Pareto set" in found.notes[0]


def test_what_the_budget_left_out_is_named() -> None:
    wanted = [("proven", PROVEN), ("for-ttft_p99", candidate({"b": 2, "a": True}))]
    found = pareto_front(History.of(SPACE, made(TRADED)), PROVEN, PROVEN, wanted)
    assert found.notes == ("the budget had no room to confirm for-ttft_p99: a=on, b=2",)


def test_a_planned_profile_that_did_not_stand_is_not_called_so() -> None:
    starts = made(TRADED)
    fallen = pareto_front(History.of(SPACE, starts), BASELINE, BASELINE)
    assert by_name(fallen).keys() == {"baseline", "tried-proven", "without-traded"}
    smaller = pareto_front(History.of(SPACE, starts), QUICK, PROVEN)
    assert by_name(smaller)["proven"].candidate == QUICK
    assert by_name(smaller)["max"].candidate == PROVEN


def test_an_arm_that_breaks_a_limit_is_neither_member_nor_dominates() -> None:
    bound = replace(SPACE, limits=((LATENCY, 110.0),))
    found = front(made({**TRADED, "a": (0.2, -0.25)}), bound)
    assert by_name(found).keys() == {"baseline", "without-traded"}
    assert any(
        "proven is not in the Pareto set because of the SLO" in note and "ttft_p99" in note
        for note in found.notes
    )


def test_an_arm_that_failed_twice_is_no_member() -> None:
    starts = [
        replace(one, outcome=Outcome.START_FAILED, metrics={})
        if one.request.stem == "proven" and one.request.block
        else one
        for one in made(TRADED)
    ]
    found = front(starts)
    assert by_name(found).keys() == {"baseline", "without-traded"}
    assert found.notes == ("proven failed in 2 of 3 starts and is not in the Pareto set",)


def test_an_objective_without_values_lets_nothing_dominate() -> None:
    blind = [replace(one, metrics={RATE: one.metrics[RATE]}) for one in made(TRADED)]
    found = front(blind)
    assert members(found) == set(TRADED)
    assert all(len(one.comparisons) == 1 for one in found.arms)


def leads(*ahead: tuple[str, str, float, float]) -> dict[tuple[str, str, str], ArmDifference]:
    """Make exactly known leads of one arm over another on two metrics."""
    found = {}
    for arm, other, x, y in ahead:
        for metric, value in (("x", x), ("y", y)):
            found[arm, other, metric] = ArmDifference(value, value)
            found[other, arm, metric] = ArmDifference(-value, -value)
    return found


FLOOR = math.log(0.98)


def test_arms_that_trade_within_the_margin_do_not_put_each_other_out() -> None:
    found = dominance(leads(("a", "b", 0.01, -0.01)), "ab", "xy", FLOOR)
    assert found == {"a": (), "b": ()}


def test_nor_do_three_in_a_circle() -> None:
    circle = leads(("a", "b", 0.03, -0.01), ("b", "c", -0.01, 0.03), ("c", "a", 0.01, -0.01))
    found = dominance(circle, "abc", "xy", FLOOR)
    assert not any(found.values())
    below = dominance(
        {**circle, **leads(*((one, "d", 0.1, 0.1) for one in "abc"))}, "abcd", "xy", FLOOR
    )
    assert below == {"a": (), "b": (), "c": (), "d": ("a", "b", "c")}


def test_a_loss_beyond_the_margin_is_not_dominance() -> None:
    assert dominance(leads(("a", "b", 0.5, -0.03)), "ab", "xy", FLOOR)["b"] == ()
    assert dominance(leads(("a", "b", 0.5, -0.01)), "ab", "xy", FLOOR)["b"] == ("a",)


@pytest.mark.parametrize(("sd", "blocks"), [(0.003, 3), (0.003, 6), (0.03, 3)])
def test_where_nothing_differs_nothing_is_dominated_more_often_than_stated(
    sd: float, blocks: int
) -> None:
    hits = 0
    for seed in range(300):
        found = front(made(NOTHING, sd, blocks, seed))
        hits += len(members(found)) < len(NOTHING)
    assert rate_is_at_most(hits, 300, 0.05), hits


def test_a_loss_of_just_the_margin_is_seldom_called_dominated() -> None:
    edge = {"baseline": (0.0, 0.0), "proven": (0.3, FLOOR)}
    hits = sum("baseline" not in members(front(made(edge, blocks=4, seed=s))) for s in range(300))
    assert rate_is_at_most(hits, 300, 0.05), hits
    clear = {"baseline": (0.0, 0.0), "proven": (0.3, 0.1)}
    assert (
        sum("baseline" not in members(front(made(clear, blocks=4, seed=s))) for s in range(50))
        > 45
    )
