"""A start's percentiles are those of its requests, also over some of its windows only."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.metrics.aggregate import (
    WIDTH,
    histogram,
    latency_histograms,
    merge_histograms,
    quantile,
    start_metrics,
)
from trimtab.metrics.table import measure, percentile, throughputs
from trimtab.model import BASELINE, Outcome, Phase, RequestRecord, Start, StartRequest, Window
from trimtab.search.history import comparable_starts

values = st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=60)


@given(st.lists(values, min_size=1, max_size=4), st.floats(0, 100))
def test_a_percentile_of_merged_spreads_is_that_of_all_values(
    groups: list[list[float]], percent: float
) -> None:
    found = quantile(merge_histograms(map(histogram, groups)), percent)
    exact = percentile([one for group in groups for one in group], percent)
    assert found == pytest.approx(exact, rel=0.51 * WIDTH)


def test_nothing_has_no_percentile() -> None:
    assert histogram([]) == ()
    with pytest.raises(ValueError, match="at least one value"):
        quantile([], 50)


def test_equal_values_take_no_room() -> None:
    assert len(histogram([12.0] * 10_000)) == 2


def records(waits: list[float]) -> list[RequestRecord]:
    """Return one request a second, each answered after its wait."""
    return [
        RequestRecord(i, float(i), float(i), (i + wait, i + wait + 0.5), i + 0.9, 8, 2)
        for i, wait in enumerate(waits)
    ]


def windows(waits: list[float], each: int) -> tuple[Window, ...]:
    asked = records(waits)
    edges = range(0, len(waits), each)
    return tuple(
        Window(
            n, at, at + each, each, measure(asked, at, at + each),
            spread=latency_histograms(asked, at, at + each),
        )
        for n, at in enumerate(edges)
    )  # fmt: skip


def heavy(count: int) -> list[float]:
    return [float(one) for one in 0.01 * np.random.default_rng(1).pareto(2.0, count) + 0.01]


def test_the_p99_of_a_start_is_that_of_all_its_requests() -> None:
    waits = heavy(400)
    made = windows(waits, 20)
    found = start_metrics(made)
    for percent in (50, 90, 95, 99):
        exact = 1000 * percentile(waits, percent)
        assert found[f"ttft_p{percent}"] == pytest.approx(exact, rel=0.003)
    means = start_metrics([replace(one, spread={}) for one in made])
    assert means["ttft_p99"] < 0.8 * found["ttft_p99"], "windows know too little of their tail"


def test_one_window_keeps_its_exact_numbers_and_old_ones_their_means() -> None:
    (only,) = windows(heavy(50), 50)
    assert start_metrics([only])["ttft_p99"] == pytest.approx(only.metrics["ttft_p99"], rel=1e-12)
    old = [Window(n, n, n + 1.0, 9, {"ttft_p99": value}) for n, value in enumerate((10.0, 40.0))]
    assert start_metrics(old) == {"ttft_p99": pytest.approx(20.0)}


def test_arms_are_compared_over_the_requests_of_the_windows_they_share() -> None:
    waits = heavy(300)
    made = windows(waits, 100)

    def start(number: int, seen: tuple[Window, ...]) -> Start:
        request = StartRequest(Phase.SCREEN, 0, f"arm-{number}", BASELINE, 1)
        return Start(
            number, request, "0" * 16, Outcome.MEASURED, start_metrics(seen), windows=seen
        )

    slow, fast = comparable_starts([start(1, made[:2]), start(2, made)])
    exact = 1000 * percentile(waits[:200], 99)
    assert slow.metrics["ttft_p99"] == pytest.approx(exact, rel=0.003)
    assert fast.metrics["ttft_p99"] == slow.metrics["ttft_p99"]


def test_throughput_is_kept_in_parts() -> None:
    asked = [RequestRecord(0, 0.0, 0.0, (0.5, 1.5, 3.2, 3.4), 3.4, 8, 4)]
    assert throughputs(asked, 0.0, 4.0) == (1.0, 1.0, 0.0, 2.0)
    assert throughputs(asked, 1.0, 1.0) == ()
