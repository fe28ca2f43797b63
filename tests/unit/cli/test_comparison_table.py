"""The table of a comparison: one row a metric, no interval that says nothing, answer first."""

from __future__ import annotations

import io
import math
from contextlib import redirect_stdout
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.cli import measurement_tables, terminal
from trimtab.measurement.results import (
    ENOUGH_DF,
    WIDEST,
    informative_interval,
    is_main_metric,
    sort_metrics,
    table,
)
from trimtab.model import BASELINE, Outcome, Phase, Start, StartRequest

NAMES = (
    *("e2e_p50", "itl_mean", "ttft_p99", "ttft_p50", "startup", "goodput", "tpot_p90"),
    *("request_throughput", "output_throughput", "host_reads"),
)


def start(number: int, side: int, block: int, **metrics: float) -> Start:
    request = StartRequest(Phase.CONFIRM, block, f"{side}:x", BASELINE, 0)
    return Start(number, request, "0" * 16, Outcome.MEASURED, metrics)


def pairs(count: int, spread: float = 0.01, **ratios: float) -> list[Start]:
    """Return pairs in which B has so many times A's metric, with an alternating deviation."""
    made = []
    for block in range(count):
        wave = math.exp(spread * (-1) ** block)
        made.append(start(2 * block + 1, 1, block, **dict.fromkeys(ratios, 100.0)))
        own = {name: 100.0 * ratio * wave for name, ratio in ratios.items()}
        made.append(start(2 * block + 2, 2, block, **own))
    return made


def test_metrics_stand_in_order_of_importance() -> None:
    assert sort_metrics(NAMES) == [
        *("output_throughput", "request_throughput", "goodput", "ttft_p50", "ttft_p99"),
        *("tpot_p90", "itl_mean", "e2e_p50", "startup", "host_reads"),
    ]
    assert [name for name in NAMES if not is_main_metric(name)] == ["itl_mean", "tpot_p90"]


def test_a_row_has_both_values_and_a_ratio_that_is_better_above_one() -> None:
    rows = {row.metric: row for row in table(pairs(6, output_throughput=1.25, ttft_p50=0.8))}
    faster, sooner = rows["output_throughput"], rows["ttft_p50"]
    assert (faster.unit, sooner.unit, faster.pairs) == ("tok/s", "ms", 6)
    assert faster.a == pytest.approx(100.0)
    assert faster.b == pytest.approx(125.0)
    assert sooner.b == pytest.approx(80.0)
    assert faster.ratio == pytest.approx(1.25)
    assert sooner.ratio == pytest.approx(1.25)
    assert faster.low is not None
    assert faster.high is not None
    assert faster.low < 1.25 < faster.high


@pytest.mark.parametrize("count", range(1, ENOUGH_DF + 1))
def test_few_pairs_give_no_interval(count: int) -> None:
    (row,) = table(pairs(count, itl_p50=0.9))
    assert (row.low, row.high) == (None, None)


def test_an_interval_over_decades_is_not_shown() -> None:
    (row,) = table(pairs(4, spread=2.0, itl_p50=0.9))
    assert (row.low, row.high) == (None, None)
    text = printed(pairs(4, itl_p50=0.9), low=1e-7, high=90.0)
    assert text.count("1.25x (too few starts)") == 2


@given(
    low=st.floats(min_value=1e-9, max_value=1e9),
    wide=st.floats(min_value=1.0, max_value=1e6),
    starts=st.integers(min_value=1, max_value=20),
)
def test_what_is_shown_is_never_nonsense(low: float, wide: float, starts: int) -> None:
    found = informative_interval(low, low * wide, starts)
    if found is not None:
        assert starts - 1 >= ENOUGH_DF
        assert found[1] / found[0] <= WIDEST
    assert informative_interval(None, None, starts) is None


def test_a_metric_that_one_side_lacks_has_no_row() -> None:
    made = [start(1, 1, 0, goodput=3.0, startup=1.0), start(2, 2, 0, startup=2.0)]
    assert [row.metric for row in table(made)] == ["startup"]
    zero = [start(1, 1, 0, goodput=0.0), start(2, 2, 0, goodput=2.0)]
    assert table(zero) == ()


def found(starts: list[Start], **more: Any) -> dict[str, Any]:
    rows = [asdict(row) for row in table(starts)]
    return {
        "a": "stock", "b": "b.yaml", "metric": rows[0]["metric"], "answer": "better",
        "ratio": 1.25, "low": 1.2, "high": 1.3, "pairs": len(starts) // 2, "margin": 0.01,
        "starts": len(starts), "table": rows, "notes": [], **more,
    }  # fmt: skip


@pytest.fixture(autouse=True)
def _plain() -> None:
    terminal.choose()


def printed(starts: list[Start], **more: Any) -> str:
    with redirect_stdout(io.StringIO()) as out:
        measurement_tables.show(found(starts, **more))
    return out.getvalue()


def test_the_answer_comes_first_and_the_deciding_row_has_its_numbers() -> None:
    text = printed(pairs(6, output_throughput=1.25, ttft_p50=0.8, ttft_p95=0.7))
    lines = text.splitlines()
    assert lines[0] == (
        "b.yaml is better than stock: output_throughput 1.25x [1.20, 1.30], 6 pairs"
    )
    assert lines[3].split()[0] == "output_throughput"
    assert "1.25x [1.20, 1.30]" in lines[3]
    assert "ttft_p95" not in text
    assert "1 more metric: -v or --json" in text
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("worse", "b.yaml is worse than stock"),
        ("equivalent", "b.yaml is equivalent to stock"),
        ("not proven", "b.yaml is not proven to differ from stock"),
    ],
)
def test_each_answer_is_a_sentence(answer: str, said: str) -> None:
    assert printed(pairs(6, output_throughput=1.0), answer=answer).startswith(said)


def test_verbose_prints_every_metric() -> None:
    terminal.choose(verbose=True)
    text = printed(pairs(6, output_throughput=1.25, ttft_p95=0.7))
    assert "ttft_p95" in text
    assert "more metric" not in text
    terminal.choose()


def test_a_bench_opens_with_its_value() -> None:
    metrics = [
        {"metric": name, "unit": "tok/s", "value": 100.0, "low": low, "high": 110.0, "starts": 4}
        for name, low in (("total_throughput", 90.0), ("output_throughput", 4e-7))
    ]
    with redirect_stdout(io.StringIO()) as out:
        measurement_tables.show({"target": "stock", "metrics": metrics, "starts": 4, "notes": []})
    lines = out.getvalue().splitlines()
    assert lines[0] == "stock: output_throughput 100 tok/s (too few starts), 4 starts"
    assert lines[4].split()[:2] == ["total_throughput", "100"]
    assert "90.0 to 110" in lines[4]
