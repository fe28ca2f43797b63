"""Change points inside a start: found where they are, and not where only noise is."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from trimtab.model import BASELINE, Outcome, Phase, Start, StartRequest, Window
from trimtab.search.conclusion import shifts

METRIC = "output_throughput"


def start(number: int, logs: list[float], void: int | None = None, parts: int = 1) -> Start:
    """Return a start whose windows hold ``parts`` of the logs each."""
    windows = tuple(
        Window(
            index,
            index,
            index + 1.0,
            9,
            {METRIC: math.exp(logs[parts * index])},
            ("others",) if index == void else (),
            bins=tuple(map(math.exp, logs[parts * index :][:parts])) if parts > 1 else (),
        )
        for index in range(len(logs) // parts)
    )
    request = StartRequest(Phase.SCREEN, 0, f"row-{number}", BASELINE, 1)
    return Start(number, request, "0" * 16, Outcome.MEASURED, {METRIC: 1.0}, windows)


def noisy(count: int, windows: int, sd: float, seed: int) -> list[list[float]]:
    rng = np.random.default_rng(seed)
    # each start has a level of its own, which is no change
    return [
        [float(one) for one in rng.normal(rng.normal(0, 0.1), sd, windows)] for _ in range(count)
    ]


@pytest.mark.parametrize("windows", [4, 8, 16])
def test_noise_alone_is_hardly_ever_flagged(windows: int) -> None:
    flagged = 0
    for seed in range(40):
        starts = [start(i, logs) for i, logs in enumerate(noisy(24, windows, 0.02, seed))]
        flagged += len(list(shifts(starts, METRIC)))
    assert flagged <= 10, "of 960 starts"


def test_a_lasting_fall_is_found_where_it_begins() -> None:
    runs = noisy(12, 16, 0.02, 5)
    runs[3] = [one - (0.3 if i >= 10 else 0.0) for i, one in enumerate(runs[3])]
    (found,) = shifts([start(i, logs) for i, logs in enumerate(runs)], METRIC)
    assert (found.start, found.since) == (3, 11)
    assert found.change == pytest.approx(-0.3, abs=0.05)


def test_too_few_windows_and_void_ones_are_not_judged() -> None:
    assert list(shifts([], METRIC)) == []
    assert list(shifts([start(1, [0.0, 0.0, 1.0])], METRIC)) == []
    logs = [0.0, 0.01, -0.01, 0.0, 0.01, 5.0]
    assert list(shifts([start(1, logs, void=5)], METRIC)) == []
    assert list(shifts([start(1, logs)], "absent")) == []


def test_parts_of_windows_show_a_change_that_three_windows_cannot() -> None:
    runs = noisy(12, 12, 0.02, 5)
    runs[3] = [one - (0.3 if i >= 6 else 0.0) for i, one in enumerate(runs[3])]
    starts = [start(i, logs, parts=4) for i, logs in enumerate(runs)]
    (found,) = shifts(starts, METRIC)
    assert (found.start, found.since) == (3, 2)
    assert found.change == pytest.approx(-0.3, abs=0.05)
    assert list(shifts([start(i, logs[::4]) for i, logs in enumerate(runs)], METRIC)) == []


def test_an_empty_part_leaves_the_windows_to_judge_by() -> None:
    whole = start(1, [0.0] * 20, parts=4)
    windows = tuple(replace(one, bins=(0.0, 1.0, 1.0, 1.0)) for one in whole.windows)
    assert list(shifts([replace(whole, windows=windows)], METRIC)) == []
