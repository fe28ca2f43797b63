"""The refinement of integer tunings, and the process that chooses their level."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.model import Budget, Conclusion, Phase, Start
from trimtab.search import History, PhasedStrategy, conclude
from trimtab.simulated import Landscape, SimulatedMachine, play, space_of
from trimtab.stats.surface import process_posterior


def landscape(best: float, noise: float = 0.01) -> Landscape:
    number = {"stock": 1024, "published": 2048, "best": best, "curvature": 0.03}
    return Landscape.model_validate({
        "name": "one number",
        "summary": "an optimum inside the range",
        "tunings": {
            "tokens": {"numeric": number, "prior": 0.02},
            **{f"null-{i}": {} for i in range(4)},
        },
        "noise": {"start": noise, "window": noise / 2},
    })  # fmt: skip


def study(given: Landscape, seed: int, budget: int = 70) -> tuple[Conclusion, list[Start]]:
    space = space_of(given, Budget(starts=budget), seed)
    starts = play(PhasedStrategy(), space, SimulatedMachine(given, seed))
    assert len(starts) <= budget
    return conclude(History.of(space, starts)), starts


def test_a_level_beyond_the_published_one_is_found() -> None:
    found, starts = study(landscape(best=4096.0), 1)
    refined = [start for start in starts if start.request.phase is Phase.REFINE]
    assert len(refined) == 8, "two blocks of four levels"
    assert dict(found.proven)["tokens"] == 4096
    (answer,) = [one for one in found.answers if one.tuning == "tokens"]
    assert answer.value == 4096
    assert "refined from 2048 to 4096" in answer.reason
    first = next(one for one in found.confirmed if one.arm == "proven")
    assert first.effect.ratio == pytest.approx(math.exp(0.12), abs=0.02)


def test_the_published_level_stays_where_it_is_best() -> None:
    found, starts = study(landscape(best=2048.0), 2)
    assert any(start.request.phase is Phase.REFINE for start in starts)
    assert dict(found.proven)["tokens"] == 2048
    (answer,) = [one for one in found.answers if one.tuning == "tokens"]
    assert "refined" not in answer.reason


def test_a_small_budget_refines_nothing() -> None:
    _, starts = study(landscape(best=4096.0), 1, budget=30)
    assert not any(start.request.phase is Phase.REFINE for start in starts)


def test_what_is_not_worth_turning_is_not_refined() -> None:
    _, starts = study(landscape(best=400.0), 3)  # turning it up loses
    assert not any(start.request.phase is Phase.REFINE for start in starts)


def test_the_posterior_goes_through_what_is_certain() -> None:
    x, y = [0.0, 1.0, 2.0, 3.0], [0.0, 0.1, 0.15, 0.05]
    found = process_posterior(x, y, [1e-4] * 4, x)
    assert found.mean == pytest.approx(y, abs=1e-3)
    assert max(found.sd) < 0.01


def test_the_posterior_mean_regrets_less_than_the_best_observed() -> None:
    rng = np.random.default_rng(4)
    x = np.arange(6.0)
    ours = theirs = 0.0
    for _ in range(300):
        truth = -0.02 * (x - rng.uniform(1, 4)) ** 2
        y = truth + rng.normal(0, 0.04, 6)
        chosen = int(np.argmax(process_posterior(list(x), list(y), [0.04] * 6, list(x)).mean))
        ours += truth.max() - truth[chosen]
        theirs += truth.max() - truth[int(np.argmax(y))]
    assert ours < 0.8 * theirs


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(-1, 1)), min_size=1, max_size=8))
def test_any_observations_have_a_posterior(points: list[tuple[float, float]]) -> None:
    x, y = [one for one, _ in points], [one for _, one in points]
    found = process_posterior(x, y, [0.05] * len(x), [-1.0, 0.0, 1.0])
    assert all(math.isfinite(one) for one in (*found.mean, *found.sd))
    assert all(one >= 0 for one in found.sd)


def test_nothing_observed_is_refused() -> None:
    with pytest.raises(ValueError, match="observation"):
        process_posterior([], [], [], [0.0])
