"""Lengths: every form draws what it says, and every window gets nearly the same work."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import default_rng
from pydantic import ValidationError

from trimtab.load.lengths import Lengths, draw

FORMS = (
    {"values": [7]},
    {"values": [3, 9, 27]},
    {"min": 5, "max": 400},
    {"mean": 200, "sd": 50},
    {"median": 300, "sigma": 0.8, "min": 10, "max": 2000},
    {"edges": [1, 10, 100, 1000], "weights": [1, 0, 3]},
)


@pytest.mark.parametrize("form", FORMS, ids=str)
@given(count=st.integers(1, 300), group=st.integers(1, 64), seed=st.integers(0, 2**32))
def test_every_draw_is_in_range(
    form: dict[str, object], count: int, group: int, seed: int
) -> None:
    lengths = Lengths.model_validate(form)
    drawn = draw(lengths, count, group, default_rng(seed))
    assert len(drawn) == count
    assert all(lengths.least <= one <= lengths.longest for one in drawn)


@pytest.mark.parametrize(
    ("form", "middle"),
    [
        ({"min": 100, "max": 300}, 200),
        ({"mean": 200, "sd": 50}, 200),
        ({"median": 200, "sigma": 0.8}, 200),
        ({"edges": [100, 200, 300], "weights": [1, 1]}, 200),
    ],
)
def test_the_median_is_the_forms_own(form: dict[str, object], middle: int) -> None:
    drawn = draw(Lengths.model_validate(form), 20_000, 1000, default_rng(1))
    assert float(np.median(drawn)) == pytest.approx(middle, rel=0.02)


def test_the_spread_is_the_forms_own() -> None:
    normal = draw(Lengths(mean=500.0, sd=50.0), 20_000, 1000, default_rng(1))
    assert float(np.std(normal)) == pytest.approx(50, rel=0.03)
    log_normal = draw(Lengths(median=500.0, sigma=0.5), 20_000, 1000, default_rng(1))
    assert float(np.std(np.log(log_normal))) == pytest.approx(0.5, rel=0.03)


def test_a_bin_without_weight_gives_nothing() -> None:
    drawn = draw(
        Lengths(edges=(1, 10, 100, 1000), weights=(1.0, 0.0, 1.0)), 500, 50, default_rng(2)
    )
    assert not [one for one in drawn if 10 < one < 100]


def test_windows_weigh_the_same() -> None:
    lengths = Lengths(median=300.0, sigma=1.0, max=4000)
    drawn = draw(lengths, 640, 64, default_rng(3))
    sums = [sum(drawn[start : start + 64]) for start in range(0, 640, 64)]
    luck = float(np.std(default_rng(3).lognormal(math.log(300), 1.0, (1000, 64)).sum(axis=1)))
    assert float(np.std(sums)) < luck / 3


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"min": 4},
        {"min": 4, "max": 3},
        {"mean": 4.0},
        {"mean": 4.0, "sd": 1.0, "edges": [1, 2], "weights": [1]},
        {"values": [4], "min": 1, "max": 3},
        {"edges": [1, 1], "weights": [1]},
        {"edges": [1, 2, 3], "weights": [1]},
        {"mean": 10.0, "sd": 2.0, "min": 50, "max": 20},
    ],
)
def test_what_is_no_form_is_refused(form: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Lengths.model_validate(form)
