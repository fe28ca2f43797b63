import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from trimtab.stats.designs import (
    LARGEST,
    factor_capacity,
    hadamard,
    repair_row,
    screen,
    usable_rows,
)
from trimtab.stats.effects import (
    EMPTY,
    Estimate,
    Noise,
    are_poolable,
    detectable_effect,
    fit,
    variance_p,
)
from trimtab.stats.multiplicity import benjamini_hochberg, holm, step_down


def ones(*at: int, rows: int) -> np.ndarray:
    column = np.zeros(rows)
    column[list(at)] = 1.0
    return column


def test_two_arms_in_blocks_are_the_paired_t_test() -> None:
    rng = np.random.default_rng(1)
    stock, tuned = rng.normal(0, 0.02, 5), rng.normal(0.1, 0.02, 5)
    y = [*stock, *tuned]
    model = fit(y, [*range(5), *range(5)], {"tuned": ones(*range(5, 10), rows=10)})
    estimate = model.estimate("tuned")
    known = stats.ttest_rel(tuned, stock, alternative="greater")
    assert estimate is not None
    assert estimate.value == pytest.approx(np.mean(tuned - stock))
    assert estimate.p_greater == pytest.approx(known.pvalue)
    assert estimate.p_less == pytest.approx(1 - known.pvalue)
    both = stats.ttest_rel(tuned, stock).confidence_interval()
    assert estimate.interval() == pytest.approx((both.low, both.high))
    assert model.noise.df == 4


def test_complete_blocks_have_the_textbook_standard_error() -> None:
    blocks, arms = 4, 3
    y = list(np.random.default_rng(2).normal(0, 1, blocks * arms))
    label = [row // arms for row in range(blocks * arms)]
    columns = {
        str(arm): np.array([float(row % arm_count == arm) for row in range(len(y))])
        for arm_count in (arms,)
        for arm in (1, 2)
    }
    model = fit(y, label, columns)
    assert model.noise.df == (blocks - 1) * (arms - 1)
    estimate = model.estimate("1")
    assert estimate is not None
    assert model.noise.sd is not None
    assert estimate.se == pytest.approx(model.noise.sd * math.sqrt(2 / blocks))


def test_a_noiseless_design_gives_back_its_effects() -> None:
    truth = {"a": 0.1, "b": -0.3, "c": 0.0}
    plan = screen(3, 8, np.random.default_rng(0))
    rows = [(index, row) for index, block in enumerate(plan.blocks) for row in block]
    y = [5 * index + sum(e for e, on in zip(truth.values(), row, strict=True) if on)
         for index, row in rows]  # fmt: skip
    columns = {name: np.array([float(row[j]) for _, row in rows]) for j, name in enumerate(truth)}
    model = fit(y, [index for index, _ in rows], columns)
    for name, value in truth.items():
        estimate = model.estimate(name)
        assert estimate is not None
        assert estimate.value == pytest.approx(value, abs=1e-12)


def test_columns_that_cannot_be_told_apart_have_no_estimate() -> None:
    same = ones(0, 2, rows=6)
    columns = {"a": same, "twin": same, "b": ones(0, 1, 4, rows=6), "off": np.zeros(6)}
    model = fit([1.0, 2.0, 3.0, 4.0, 5.0, 7.0], ["x"] * 6, columns)
    assert model.estimate("a") is None
    assert model.estimate("twin") is None
    assert model.estimate("off") is None
    assert model.estimate("b") is not None
    assert model.noise.df == 3


def test_a_column_that_is_a_block_has_no_estimate() -> None:
    model = fit([1.0, 2.0, 3.0, 4.0], [0, 0, 1, 1], {"a": ones(2, 3, rows=4)})
    assert model.estimate("a") is None


def test_without_degrees_of_freedom_there_is_a_value_but_no_claim() -> None:
    model = fit([1.0, 1.5], [0, 0], {"a": ones(1, rows=2)})
    estimate = model.estimate("a")
    assert estimate is not None
    assert estimate.value == pytest.approx(0.5)
    assert (estimate.se, estimate.p_greater, estimate.p_less, estimate.interval()) == (None,) * 4
    pooled = model.estimate("a", model.noise.pooled(Noise(0.04, 4)))
    assert pooled is not None
    assert pooled.se == pytest.approx(0.1 * math.sqrt(2))


def test_no_rows_no_estimate() -> None:
    assert fit([], [], {"a": np.zeros(0)}) is EMPTY
    assert EMPTY.estimate("a") is None


@pytest.mark.parametrize(("value", "p"), [(0.1, 0.0), (-0.1, 1.0), (0.0, 0.5)])
def test_without_noise_the_sign_decides(value: float, p: float) -> None:
    assert Estimate(value, 0.0, 3).p_greater == p


@pytest.mark.parametrize("order", [1, 2, *range(4, LARGEST + 1, 4)])
def test_hadamard_matrices_are_orthogonal(order: int) -> None:
    matrix = hadamard(order).astype(int)
    assert set(np.unique(matrix)) <= {-1, 1}
    assert np.array_equal(matrix.T @ matrix, order * np.eye(order))
    assert (matrix[:, 0] == 1).all()


@pytest.mark.parametrize("order", [0, 3, 6, 52])
def test_other_orders_are_refused(order: int) -> None:
    with pytest.raises(ValueError, match=str(order)):
        hadamard(order)


@given(st.integers(1, 44), st.integers(2, 12), st.integers(0, 99))
def test_designs_are_orthogonal_and_estimable(factors: int, quarter: int, seed: int) -> None:
    rows = 4 * quarter
    if factors > factor_capacity(rows):
        with pytest.raises(ValueError, match="factors"):
            screen(factors, rows, np.random.default_rng(seed))
        return
    plan = screen(factors, rows, np.random.default_rng(seed))
    on = np.array([row for block in plan.blocks for row in block], dtype=float)
    signs = 2 * on - 1
    assert np.array_equal(signs.T @ signs, rows * np.eye(factors))
    label = [index for index, block in enumerate(plan.blocks) for _ in block]
    columns = {str(j): on[:, j] for j in range(factors)}
    model = fit([0.0] * rows, label, columns)
    assert len(model.slopes) == factors
    assert model.noise.df >= 3
    # Blocks cost at most a tenth of the precision of an orthogonal design, 2 / sqrt(rows).
    assert max(scale for _, scale in model.slopes.values()) < 1.1 * 2 / math.sqrt(rows)


@pytest.mark.parametrize(("factors", "rows"), [(4, 16), (8, 16), (12, 24), (24, 96)])
def test_folded_designs_hold_each_row_and_its_mirror_in_the_same_block(
    factors: int, rows: int
) -> None:
    plan = screen(factors, rows, np.random.default_rng(3))
    assert plan.rows == rows
    for block in plan.blocks:
        mirrored = {tuple(not on for on in row) for row in block}
        assert mirrored == set(block)


def test_a_design_depends_on_its_seed_alone() -> None:
    plans = [screen(7, 16, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert plans[0] == plans[1] != plans[2]


@pytest.mark.parametrize(
    ("factors", "most", "rows"),
    [(3, 7, 0), (3, 8, 8), (3, 11, 8), (3, 51, 48), (3, 57, 56), (30, 57, 48), (3, 500, 96)],
)
def test_usable_rows(factors: int, most: int, rows: int) -> None:
    assert usable_rows(factors, most) == rows


@given(
    st.lists(st.booleans(), min_size=6, max_size=6),
    st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5)).filter(lambda p: p[0] != p[1])),
    st.integers(0, 9),
)
def test_repaired_rows_are_feasible_and_only_lose(
    row: list[bool], pairs: set[tuple[int, int]], seed: int
) -> None:
    after = repair_row(row, pairs, np.random.default_rng(seed))
    assert not any(after[i] and after[j] for i, j in pairs)
    assert all(before or not now for before, now in zip(row, after, strict=True))
    if not any(row[i] and row[j] for i, j in pairs):
        assert list(after) == row


def test_holm_on_a_known_case() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx(
        {"a": 0.03, "b": 0.06, "c": 0.06}
    )


def test_step_down_holds_its_level_exactly_where_tests_share_their_noise() -> None:
    rng = np.random.default_rng(1)
    studies, tests, df = 20_000, 11, 9
    sd = np.sqrt(rng.chisquare(df, size=(studies, 1)) / df)
    p = stats.t.sf(rng.normal(size=(studies, tests)) / sd, df)
    hits = {"step down": 0, "holm": 0}
    for row in p[p.min(axis=1) < 0.01]:
        named = {str(i): float(one) for i, one in enumerate(row)}
        hits["step down"] += min(step_down(named, df).values()) <= 0.05
        hits["holm"] += min(holm(named).values()) <= 0.05
    assert stats.binomtest(hits["step down"], studies, 0.05).pvalue > 0.001
    assert hits["holm"] < hits["step down"]


@given(st.dictionaries(st.text(), st.floats(0, 1), min_size=1), st.integers(1, 60))
def test_step_down_lies_between_raw_and_holm(p: dict[str, float], df: int) -> None:
    adjusted, holms = step_down(p, df), holm(p)
    assert all(one <= adjusted[name] * (1 + 1e-6) + 1e-12 for name, one in p.items())
    assert all(adjusted[name] <= holms[name] * (1 + 1e-6) + 1e-12 for name in p)


@given(st.dictionaries(st.text(max_size=3), st.floats(0, 1), max_size=8))
def test_holm_lies_between_raw_and_bonferroni_and_keeps_order(p: dict[str, float]) -> None:
    adjusted = holm(p)
    assert list(adjusted) == list(p)
    for name, value in p.items():
        assert value <= adjusted[name] <= min(1.0, len(p) * value) or adjusted[name] == value
    for one in p:
        for other in p:
            if p[one] < p[other]:
                assert adjusted[one] <= adjusted[other]


@pytest.mark.parametrize(("df", "tests"), [(3, 1), (6, 13), (30, 8)])
def test_the_detectable_effect_is_found_with_the_power_it_promises(df: int, tests: int) -> None:
    effect = detectable_effect(0.01, df, tests, power=0.8)
    rng = np.random.default_rng(4)
    count = 20_000
    t = (effect + rng.normal(0, 0.01, count)) / (0.01 * np.sqrt(rng.chisquare(df, count) / df))
    found = np.mean(t > stats.t.isf(0.05 / tests, df))
    assert found == pytest.approx(0.8, abs=0.015)


def test_the_detectable_effect_scales_with_the_standard_error() -> None:
    assert detectable_effect(0.02, 5, 4) == pytest.approx(2 * detectable_effect(0.01, 5, 4))
    assert (
        detectable_effect(0.01, 5, 40)
        > detectable_effect(0.01, 5, 4)
        > detectable_effect(0.01, 50, 4)
    )


def test_the_variance_test_is_the_textbook_f_test() -> None:
    one, other = Noise(0.08, 5), Noise(0.01, 9)
    f = (0.08 / 5) / (0.01 / 9)
    assert variance_p(one, other) == pytest.approx(2 * stats.f.sf(f, 5, 9))
    assert variance_p(other, one) == pytest.approx(variance_p(one, other))


def test_equal_variances_are_rejected_as_often_as_stated() -> None:
    rng = np.random.default_rng(11)
    p = [
        variance_p(Noise(float(a), 4), Noise(float(b), 7))
        for a, b in zip(rng.chisquare(4, 4000), rng.chisquare(7, 4000), strict=True)
    ]
    assert np.mean(np.array(p) < 0.1) == pytest.approx(0.1, abs=0.015)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (Noise(5 * 0.02**2, 5), Noise(9 * 0.03**2, 9), True),
        (Noise(5 * 0.02**2, 5), Noise(9 * 0.15**2, 9), False),
        (Noise(0.0, 0), Noise(9 * 0.15**2, 9), True),
        (Noise(0.0, 3), Noise(0.0, 4), True),
        (Noise(0.0, 3), Noise(0.1, 4), False),
    ],
)
def test_noises_are_pooled_only_where_they_can_be_one(
    one: Noise, other: Noise, same: bool
) -> None:
    assert are_poolable(one, other) is same
    assert are_poolable(other, one) is same


@given(st.dictionaries(st.text(max_size=3), st.floats(0, 1), min_size=1, max_size=12))
def test_q_values_are_scipys(p: dict[str, float]) -> None:

    expected = stats.false_discovery_control(list(p.values()), method="bh")
    assert list(benjamini_hochberg(p).values()) == pytest.approx(list(expected))
    holms = holm(p)
    assert all(benjamini_hochberg(p)[name] <= holms[name] + 1e-12 for name in p)
