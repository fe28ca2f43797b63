"""Two stages of evidence: the error that the combination promises, and that it can be missed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from trimtab.stats.multiplicity import inverse_normal, two_looks

P = st.floats(1e-12, 1 - 1e-12)
WEIGHT = st.floats(0.05, 0.95)


def test_equal_evidence_of_two_halves_is_as_strong_as_the_square_root_of_two() -> None:
    z = float(stats.norm.isf(0.05))
    assert inverse_normal(0.05, 0.05, 0.5) == pytest.approx(stats.norm.sf(np.sqrt(2) * z))


@given(P, P, WEIGHT)
def test_the_combination_lies_beyond_neither_extreme(p1: float, p2: float, weight: float) -> None:
    both = inverse_normal(p1, p2, weight)
    assert 0 <= both <= 1
    if max(p1, p2) <= 0.5:
        assert both <= max(p1, p2) + 1e-12


@given(P, WEIGHT)
def test_a_second_look_is_charged_whether_or_not_it_is_taken(p1: float, weight: float) -> None:
    charged = two_looks(p1, None, weight)
    assert p1 - 1e-12 <= charged <= min(1.0, 2 * p1) + 1e-12


@given(P, P, P, WEIGHT)
def test_more_evidence_never_weakens_a_claim(p1: float, a: float, b: float, w: float) -> None:
    low, high = sorted((a, b))
    assert two_looks(p1, low, w) <= two_looks(p1, high, w) + 1e-12


def test_where_nothing_is_the_rate_of_false_claims_is_the_level() -> None:
    rng = np.random.default_rng(0)
    z1, z2 = rng.normal(size=(2, 40_000))
    p1, p2 = stats.norm.sf(z1), stats.norm.sf(z2)
    found = np.array([two_looks(a, b, 0.75) for a, b in zip(p1, p2, strict=True)])
    for level in (0.01, 0.05):
        hits = int(np.sum(found <= level))
        assert stats.binomtest(hits, found.size, level).pvalue > 0.001
    uncharged = [min(a, inverse_normal(a, b, 0.75)) for a, b in zip(p1, p2, strict=True)]
    assert np.mean(np.array(uncharged) <= 0.05) > 0.06


def test_extreme_p_values_are_numbers() -> None:
    assert two_looks(0.0, 1.0, 0.5) < 1e-100
    assert two_looks(1.0, 1.0, 0.5) == pytest.approx(1.0)
