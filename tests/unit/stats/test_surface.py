"""The response surface: what it learns of effects, pairs and odd starts, and where it is high."""

import numpy as np
import pytest

from trimtab.stats.designs import screen
from trimtab.stats.surface import Surface, fit_surface

K = 8


def rows(seed: int, many: int = 24) -> tuple[np.ndarray, list[int]]:
    design = screen(K, many, np.random.default_rng(seed))
    labels = [index for index, block in enumerate(design.blocks) for _ in block]
    return np.array([row for block in design.blocks for row in block]), labels


def signs(on: np.ndarray) -> np.ndarray:
    return np.where(on, 1.0, -1.0)


def test_a_surface_adds_what_each_gives_alone_and_what_pairs_give() -> None:
    pair = np.array([[0.0, 3.0], [3.0, 0.0]])
    found = Surface(np.array([1.0, 2.0]), pair)
    on = np.array([[True, True], [True, False], [False, False]])
    assert found.value(on).tolist() == [6.0, 1.0, 0.0]


def test_clear_main_effects_are_found_whatever_the_blocks_add() -> None:
    on, blocks = rows(1)
    rng = np.random.default_rng(2)
    effects = np.array([0.1, -0.05, 0.03, 0, 0, 0, 0, 0])
    y = on @ effects + 0.2 * np.array(blocks) + 0.002 * rng.normal(size=len(on))
    found = fit_surface(on, blocks, list(y)).surface
    assert found.alone == pytest.approx(effects, abs=0.004)
    assert np.abs(found.pair).max() < 0.004


def test_noise_alone_is_shrunk_to_next_to_nothing() -> None:
    raw, kept = [], []
    for seed in range(20):
        on, blocks = rows(seed)
        y = 0.05 * np.random.default_rng(seed).normal(size=len(on))
        raw.append(np.abs(signs(on).T @ y / len(on)).mean())
        kept.append(np.abs(fit_surface(on, blocks, list(y)).surface.alone).mean())
    assert np.mean(kept) < 1.5 * np.mean(raw)


def test_with_interactions_its_highest_point_is_better_than_that_of_the_main_effects() -> None:
    lattice = (np.arange(2**K)[:, None] >> np.arange(K)) % 2 == 1
    joint, apart = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        truth = Surface(0.02 * rng.normal(size=K), np.triu(0.02 * rng.normal(size=(K, K)), 1))
        truth = Surface(truth.alone, truth.pair + truth.pair.T)
        on = np.vstack([rows(seed)[0], lattice[rng.permutation(2**K)[:8]]])
        y = truth.value(on) + 0.003 * rng.normal(size=len(on))
        height = truth.value(lattice)
        found = fit_surface(on, [0] * len(on), list(y)).surface.value(lattice)
        joint.append(height.max() - height[np.argmax(found)])
        main = signs(lattice) @ np.linalg.lstsq(signs(on), y - y.mean(), rcond=None)[0]
        apart.append(height.max() - height[np.argmax(main)])
    assert np.mean(joint) < 0.7 * np.mean(apart)


def test_one_bad_start_changes_little() -> None:
    on, blocks = rows(3)
    effects = np.array([0.04, 0.02, -0.02, 0, 0, 0, 0, 0])
    y = on @ effects + 0.004 * np.random.default_rng(4).normal(size=len(on))
    y[5] -= 0.15
    found = fit_surface(on, blocks, list(y)).surface
    assert found.alone == pytest.approx(effects, abs=0.006)


def test_starts_that_repeat_exactly_are_no_error() -> None:
    on, blocks = rows(5)
    found = fit_surface(on, blocks, [1.0] * len(on)).surface
    assert np.allclose(found.alone, 0.0)
    assert np.allclose(found.pair, 0.0)


def test_three_starts_are_the_fewest() -> None:
    with pytest.raises(ValueError, match="needs three starts"):
        fit_surface(np.eye(2, dtype=bool), [0, 0], [1.0, 2.0])
