"""What is said of how starts were measured, wherever they are used."""

from __future__ import annotations

from dataclasses import replace

import pytest

from trimtab.cli import measurement_tables
from trimtab.model import BASELINE, Outcome, Phase, Start, StartRequest, Window
from trimtab.search import remarks

METRIC = "output_throughput"


def start(number: int, requests: int = 400, **marks: str) -> Start:
    windows = tuple(
        Window(i, i, i + 1.0, requests, {METRIC: 100.0}, bins=(99.0, 101.0, 100.0, 100.5))
        for i in range(3)
    )
    request = StartRequest(Phase.CONFIRM, number, "1:stock", BASELINE, 1)
    found = {kind.replace("_", "-"): sentence for kind, sentence in marks.items()}
    return Start(
        number, request, "0" * 16, Outcome.MEASURED, {METRIC: 100.0}, windows, marks=found
    )


def test_quiet_starts_need_no_word() -> None:
    assert remarks([start(1), start(2)], METRIC, [METRIC, "ttft_p99"]) == []


def test_each_mark_is_told_with_its_starts() -> None:
    marked = [start(n, no_steady_state="after 48 requests") for n in range(1, 6)]
    (note,) = remarks([*marked, start(9)], METRIC, [])
    assert note.startswith(
        "5 starts had not reached a steady state when measured, and count all the same: "
    )
    (one,) = remarks([start(1, over_saturated="rose")], METRIC, [])
    assert "1 start got more requests than the server can do, and counts all the same: its" in one
    assert note.endswith("start 1 after 48 requests; start 2 after 48 requests; "
                         "start 3 after 48 requests and 2 more")  # fmt: skip
    both = [start(1, over_saturated="rose"), start(2, prompts_left_out="3 of 9")]
    assert len(remarks(both, METRIC, [])) == 2
    unused = replace(both[0], outcome=Outcome.VOID)
    assert remarks([unused], METRIC, []) == []


def test_a_change_of_speed_is_told_of_three_windows_too() -> None:
    changed = start(3)
    later = replace(changed.windows[2], bins=(50.0, 50.5, 49.5, 50.2))
    changed = replace(changed, windows=(*changed.windows[:2], later))
    (note,) = remarks([start(1), start(2), changed], METRIC, [])
    assert note.startswith("1 start changed speed while measured, and counts all the same: ")
    assert "start 3 by -5" in note
    assert "from window 3 on" in note


@pytest.mark.parametrize(("requests", "used", "said"), [
    (100, ["ttft_p99"], True), (400, ["ttft_p99"], False), (100, ["ttft_p95"], False),
])  # fmt: skip
def test_a_p99_of_few_requests_is_called_coarse(
    requests: int, used: list[str], said: bool
) -> None:
    found = remarks([start(1, requests)], METRIC, used)
    assert bool(found) == said
    assert all("fewer than 1,000 requests (300 at least)" in one for one in found)


def test_bench_and_compare_print_what_was_remarked(capsys: pytest.CaptureFixture[str]) -> None:
    table = [{"metric": METRIC, "value": 1.0, "low": None, "high": None, "unit": "", "starts": 1}]
    measurement_tables.show(
        {"target": "x", "metrics": table, "starts": 2, "notes": ["it wobbled"]}
    )
    assert "note: it wobbled" in capsys.readouterr().out
    measurement_tables.show({
        "answer": "better", "a": "x", "b": "y", "metric": METRIC, "ratio": 1.1, "low": None,
        "high": None, "margin": 0.01, "pairs": 4, "starts": 8, "table": [],
        "notes": ["it wobbled"],
    })  # fmt: skip
    assert "note: it wobbled" in capsys.readouterr().out
