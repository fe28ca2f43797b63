"""Looks at pairs: the error of all looks together, the words, and no look between them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from trimtab.stats.sequential import (
    LOOKS,
    ComparisonOutcome,
    Look,
    detectable_difference,
    look,
    mean_interval,
)


def studied(
    effect: float, seed: int, margin: float = 0.01, sd: float = 0.02, most: int = LOOKS[-1]
) -> Look:
    """One comparison, looked at after every pair, as the command does."""
    drawn = np.random.default_rng(seed).normal(effect, sd, size=most)
    found = look([], margin, most)
    for count in range(1, most + 1):
        found = look([float(one) for one in drawn[:count]], margin, most)
        if found.final:
            break
    return found


def test_two_that_are_equal_are_rarely_told_apart() -> None:
    studies = 3000
    wrong = sum(
        studied(0.0, seed, 1e-6).word in (ComparisonOutcome.BETTER, ComparisonOutcome.WORSE)
        for seed in range(studies)
    )
    # 5 % asked; 3.8 to 6.3 % is what 3000 studies scatter at three standard errors
    assert 0.03 < wrong / studies < 0.063


@pytest.mark.parametrize("most", [4, 6, 8, 10])
def test_nor_where_fewer_pairs_are_asked_for(most: int) -> None:
    """Three standard errors of 1000 studies around the level of the last look, or 5 %."""
    words = [studied(0.0, seed, 1e-6, most=most).word for seed in range(1000)]
    wrong = sum(word in (ComparisonOutcome.BETTER, ComparisonOutcome.WORSE) for word in words)
    assert 0.022 < wrong / 1000 < 0.071


def test_more_pairs_find_less() -> None:
    found = [detectable_difference(0.07, most) or math.inf for most in range(2, LOOKS[-1] + 1)]
    assert found == sorted(found, reverse=True)


def test_the_interval_at_the_end_holds_the_truth() -> None:
    studies = 2000
    held = 0
    for seed in range(studies):
        found = studied(0.03, seed, 1e-6)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 0.03 <= found.high
    assert held / studies > 0.935


def test_a_large_effect_is_seen_early_and_a_small_one_late_or_not() -> None:
    large = [studied(0.2, seed) for seed in range(200)]
    assert all(one.word is ComparisonOutcome.BETTER for one in large)
    assert max(one.pairs for one in large) <= 8
    assert all(studied(-0.2, seed).word is ComparisonOutcome.WORSE for seed in range(50))
    assert sum(studied(0.002, s).word is ComparisonOutcome.NOT_PROVEN for s in range(200)) > 150


def test_within_the_margin_is_equivalent() -> None:
    assert studied(0.0, 1, margin=0.05, sd=0.005).word is ComparisonOutcome.EQUIVALENT


def test_nothing_is_said_between_looks() -> None:
    clear = [0.3, 0.31, 0.29, 0.3, 0.3]
    assert look(clear[:3], 0.01).low is None
    assert look(clear[:4], 0.01).pairs == 4
    assert look(clear, 0.01) == look(clear[:4], 0.01)


@pytest.mark.parametrize("most", [2, 3, 4, 5, 12])
def test_the_last_pair_ends_it(most: int) -> None:
    rng = np.random.default_rng(1)
    drawn = [float(one) for one in rng.normal(0, 0.5, size=most)]
    assert look(drawn, 0.001, most).final
    assert not look(drawn[:-1], 0.001, most).final


def test_one_start_gives_no_interval() -> None:
    assert mean_interval([1.0]) == (1.0, None, None)
    assert mean_interval([0.0, 0.1, 0.2])[1:] == (None, None)  # two degrees of freedom
    value, low, high = mean_interval([0.0, 0.1, 0.1, 0.2])
    assert low is not None
    assert high is not None
    assert low < value < high
    assert math.isclose(value, 0.1)
