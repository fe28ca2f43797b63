"""Metrics are exact on hand-made records and absent on empty ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.metrics.table import (
    FURTHER_OBJECTIVES,
    HOST_OVERHEAD_METRIC,
    METRICS,
    OBJECTIVES,
    MetricScope,
    StartSample,
    geometric_mean,
    measure,
    measure_start,
    objective_words,
    parse_slo,
    percentile,
    trimmed_mean,
)
from trimtab.model import RequestRecord


def record(
    chunks: tuple[float, ...],
    *,
    intended: float = 0.0,
    done: float | None = None,
    tokens: int | None = None,
    prompt: int = 10,
    error: str = "",
) -> RequestRecord:
    return RequestRecord(
        index=0,
        intended=intended,
        sent=intended,
        chunks=chunks,
        done=chunks[-1] if done is None else done,
        prompt_tokens=prompt,
        output_tokens=len(chunks) if tokens is None else tokens,
        error=error,
    )


ONE = record((1.0, 1.5, 2.0), intended=0.5)
"""TTFT 500 ms, TPOT 500 ms, gaps of 500 ms, E2E 1500 ms."""


def test_every_metric_of_one_request() -> None:
    got = measure([ONE], 0.0, 2.0)
    assert got == pytest.approx(
        {
            "output_throughput": 1.5,
            "total_throughput": 6.5,
            "request_throughput": 0.5,
            "error_rate": 0.0,
            **{f"{name}_{stat}": 500.0 for name in ("ttft", "tpot", "itl") for stat in STATS},
            **{f"e2e_{stat}": 1500.0 for stat in STATS},
        }
    )


STATS = ("mean", "p50", "p90", "p95", "p99")


def test_the_names_are_the_tables() -> None:
    assert {f"{name}_{stat}" for name in ("ttft", "tpot", "itl", "e2e") for stat in STATS} < set(
        METRICS
    )
    assert set(OBJECTIVES) <= set(METRICS)
    assert HOST_OVERHEAD_METRIC in OBJECTIVES
    assert set(FURTHER_OBJECTIVES) == set(METRICS) - {"error_rate", "capacity"}
    assert {name for name, metric in METRICS.items() if metric.scope is MetricScope.START} == {
        "capacity", "startup", "peak_memory",
    }  # fmt: skip
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.unit
        assert metric.formula
        better = metric.unit.endswith("/s")
        assert metric.higher_is_better == better


def test_metrics_of_a_start() -> None:
    warm = StartSample(startup=31.5, cold=False, peak_memory=3 * 2**30)
    assert measure_start(warm) == {"startup": 31.5, "peak_memory": 3.0}
    assert measure_start(StartSample(31.5, cold=None)) == {"startup": 31.5}
    assert measure_start(StartSample(31.5, cold=True)) == {}


def test_objectives_in_words() -> None:
    assert objective_words(OBJECTIVES) == (
        "output_throughput, request_throughput, goodput, a latency such as tpot_p50"
    )
    assert "startup, peak_memory" in objective_words(FURTHER_OBJECTIVES)


def test_a_spoilt_window_hardly_moves_a_start() -> None:
    quiet = [100.0 + i % 3 for i in range(16)]
    spoilt = [50.0, *quiet[1:-1], 50.0]
    assert geometric_mean(spoilt) < 0.93 * geometric_mean(quiet)
    assert trimmed_mean(spoilt) == pytest.approx(trimmed_mean(quiet), rel=0.01)
    assert trimmed_mean([1.0, 2.0, 4.0, 8.0]) == pytest.approx(64**0.25)
    assert trimmed_mean([0.0, 0.0, 0.0, 0.0, 5.0]) == 1.0
    with pytest.raises(ValueError, match="empty"):
        trimmed_mean([])


def test_nothing_is_measured_on_nothing() -> None:
    assert measure([], 0.0, 1.0) == {}
    assert measure([ONE], 5.0, 6.0) == {}
    assert measure([ONE], 2.0, 2.0) == {}


def test_the_window_is_open_at_its_begin_and_closed_at_its_end() -> None:
    assert measure([ONE], 0.0, 1.5)["output_throughput"] == pytest.approx(2 / 1.5)
    assert measure([ONE], 1.0, 2.0)["output_throughput"] == pytest.approx(2.0)
    assert measure([ONE], 1.5, 2.5)["output_throughput"] == pytest.approx(1.0)


def test_prompts_count_where_their_first_chunk_arrives() -> None:
    assert measure([ONE], 0.5, 1.5)["total_throughput"] == pytest.approx(10 + 2)
    assert measure([ONE], 1.0, 2.0)["total_throughput"] == pytest.approx(2)


def test_tokens_are_spread_over_chunks_that_hold_several() -> None:
    bundled = record((1.0, 2.0), tokens=8)
    assert measure([bundled], 0.0, 1.0)["output_throughput"] == pytest.approx(4.0)
    assert measure([bundled], 0.0, 2.0)["tpot_mean"] == pytest.approx(1000.0 / 7)
    assert measure([bundled], 0.0, 2.0)["itl_mean"] == pytest.approx(1000.0)


def test_a_request_that_ends_later_gives_tokens_but_no_latency() -> None:
    got = measure([ONE], 0.0, 1.5)
    assert "output_throughput" in got
    assert not {"ttft_mean", "request_throughput", "error_rate"} & set(got)


def test_a_one_token_answer_has_no_tpot_and_no_itl() -> None:
    got = measure([record((1.0,))], 0.0, 2.0)
    assert got["ttft_p50"] == got["e2e_p50"] == 1000.0
    assert not [name for name in got if name.startswith(("tpot", "itl"))]


def test_latencies_count_from_the_intended_send() -> None:
    late = RequestRecord(0, 1.0, 3.0, (4.0,), 4.0, 1, 1)
    assert measure([late], 0.0, 5.0)["ttft_mean"] == pytest.approx(3000.0)


def test_e2e_ends_with_the_last_chunk_as_in_vllm() -> None:
    assert measure([record((1.0, 2.0), done=2.5)], 0.0, 3.0)["e2e_mean"] == pytest.approx(2000.0)


def test_error_rate_counts_what_ended() -> None:
    failed = record((1.0,), done=1.2, tokens=0, prompt=0, error="HTTP 500")
    got = measure([ONE, failed, failed, record((9.0,))], 0.0, 2.0)
    assert got["error_rate"] == pytest.approx(2 / 3)
    assert got["request_throughput"] == pytest.approx(0.5)
    assert got["ttft_p99"] == pytest.approx(500.0)
    only = measure([failed], 0.0, 2.0)
    assert only == {"error_rate": 1.0}


def test_goodput_needs_an_slo_and_takes_every_limit() -> None:
    slow = record((3.0, 3.1), intended=0.0)
    assert "goodput" not in measure([ONE, slow], 0.0, 4.0)
    cases = {
        "ttft_p99<=500ms": 0.25,
        "ttft_p99<500ms": 0.0,
        "ttft_mean<=3s": 0.5,
        "ttft_p99<=3s,tpot_p50<=100.1ms": 0.25,
        "ttft_p99<=3s,tpot_p50<=50ms": 0.0,
        "itl_p99<=0.2s": 0.25,
        "e2e_p90<=3s": 0.25,
    }
    for text, expected in cases.items():
        got = measure([ONE, slow], 0.0, 4.0, parse_slo(text))["goodput"]
        assert got == pytest.approx(expected), text


def test_goodput_is_zero_when_all_miss_and_absent_when_none_completed() -> None:
    slo = parse_slo("ttft_p99<=1us")
    assert measure([ONE], 0.0, 2.0, slo)["goodput"] == 0.0
    assert "goodput" not in measure([ONE], 0.0, 1.5, slo)


def test_goodput_takes_a_missing_tpot_as_met_but_not_an_empty_answer() -> None:
    slo = parse_slo("tpot_p99<=1ms")
    assert measure([record((1.0,))], 0.0, 1.0, slo)["goodput"] == 1.0
    assert measure([record((), done=1.0)], 0.0, 1.0, slo)["goodput"] == 0.0


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50),
    st.floats(0, 100),
)
def test_percentile_is_numpys(values: list[float], percent: float) -> None:
    expected = float(np.percentile(values, percent))
    assert percentile(values, percent) == pytest.approx(expected, rel=1e-9, abs=1e-6)


def test_percentile_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one"):
        percentile([], 50)


@given(
    st.lists(
        st.tuples(st.lists(st.floats(0.001, 9.999), min_size=1, max_size=6), st.integers(1, 20)),
        min_size=1,
        max_size=6,
    ),
    st.floats(0.1, 9.9),
)
def test_two_windows_hold_the_tokens_of_the_whole(
    answers: list[tuple[list[float], int]], cut: float
) -> None:
    records = [record(tuple(sorted(chunks)), tokens=tokens) for chunks, tokens in answers]
    first = measure(records, 0.0, cut).get("output_throughput", 0.0) * cut
    second = measure(records, cut, 10.0).get("output_throughput", 0.0) * (10.0 - cut)
    assert first + second == pytest.approx(sum(tokens for _, tokens in answers))


@pytest.mark.parametrize(
    ("values", "mean"),
    [([2.0, 8.0], 4.0), ([5.0], 5.0), ([0.0, 1.0], 0.5), ([0.0, 0.0], 0.0), ([-1.0, 4.0], 1.5)],
)
def test_a_mean_is_geometric_where_the_values_are_positive(
    values: list[float], mean: float
) -> None:
    assert geometric_mean(values) == pytest.approx(mean)


def test_no_values_have_no_mean() -> None:
    with pytest.raises(ValueError, match="empty"):
        geometric_mean([])
