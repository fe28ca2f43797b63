"""When a warm-up is over: the rule both ways, its caps, and windows that hold what they held."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.scripted import scripted
from trimtab.load import steady_state
from trimtab.load.connection import Exchange
from trimtab.load.runner import run_load
from trimtab.load.steady_state import WarmUp, arrival_unsteadiness, unsteady_reason
from trimtab.load.workload import Workload, load_workload
from trimtab.model import Request, RequestRecord

VOCAB = 1000


def workload(**changes: object) -> Workload:
    base = {**load_workload("tiny").model_dump(), "warmup": 12, **changes}
    return Workload.model_validate(base)


@pytest.mark.parametrize(
    ("values", "requests", "says"),
    [
        ([100, 101, 100, 99, 100], 300, ""),
        ([100, 104, 96, 104, 96], 300, "scattered by 4%, above 3%"),
        ([100, 104, 96, 104, 96], 20, ""),  # so few requests scatter by chance
        ([50, 100, 100, 100, 100], 20, "scattered by 25%"),
        ([100, 100.5, 101, 101.4, 102], 300, "went up by 2%"),
        ([102, 101.4, 101, 100.5, 100], 300, "went down by 2%"),
        ([100, 100.1, 100.2, 100.3, 100.4], 300, ""),  # a slope of less than 1 %
        ([0, 0, 0, 0, 0], 300, "nothing was answered"),
    ],
)
def test_steady_is_without_scatter_and_without_trend(
    values: list[float], requests: float, says: str
) -> None:
    found = unsteady_reason(values, requests)
    assert (says in found) if says else found == ""


def exchange(index: int, began: float, seconds: float, rate: float) -> Exchange:
    """Return an answer that streams ``rate`` bytes/s."""
    steps = int(seconds * 10)
    one = Exchange(Request(index, (1,), 4), began, began)
    one.pieces = [(began + i / 10, b"x" * int(rate / 10)) for i in range(steps)]
    one.done = began + seconds
    return one


def warm_up(asked: Workload) -> WarmUp:
    return WarmUp(asked, [Request(100 + i, (1,), 4) for i in range(asked.spare)])


def test_a_steady_warm_up_ends_where_it_was_planned_to() -> None:
    found = warm_up(workload())
    ended = [exchange(i, float(i), 1.0, 1000) for i in range(12)]
    assert found.more(0.0, 12.0, ended, ()) is None
    assert (found.spent, found.unsteady) == (0, "")


def test_an_unsteady_one_goes_on_until_it_is_steady() -> None:
    found = warm_up(workload())
    ended = [exchange(i, float(i), 1.0, 300 if i < 6 else 1000) for i in range(12)]
    sent = []
    while (one := found.more(0.0, float(len(ended)), ended, ())) is not None:
        sent.append(one.index)
        ended.append(exchange(one.index, float(len(ended)), 1.0, 1000))
    assert sent == list(range(100, 100 + found.spent))
    assert 0 < found.spent < 24
    assert found.unsteady == ""
    assert found.more(0.0, 99.0, ended, ()) is None, "it is over once and for all"


def test_a_warm_up_that_is_never_steady_is_capped_and_says_so() -> None:
    found = warm_up(workload())
    ended = [exchange(i, float(i), 1.0, 1000 * 2**i) for i in range(12)]
    while (one := found.more(0.0, float(len(ended)), ended, ())) is not None:
        ended.append(exchange(one.index, float(len(ended)), 1.0, 1000 * 2 ** (len(ended) % 20)))
    assert found.spent == 24, "three times as many as planned"
    assert "scattered" in found.unsteady
    late = warm_up(workload())
    assert late.more(0.0, steady_state.LONGEST + 1, ended[:12], ()) is None
    assert late.unsteady


def test_what_cannot_be_judged_is_neither_prolonged_nor_marked() -> None:
    for found in (warm_up(workload(warmup=9)), warm_up(workload())):
        assert found.more(0.0, 0.0, [], ()) is None
        assert (found.spent, found.unsteady) == (0, "")


def arrivals(waits: list[float]) -> list[RequestRecord]:
    return [RequestRecord(i, i, i, (i + wait,), i + wait, 1, 1) for i, wait in enumerate(waits)]


def test_an_open_loop_is_judged_by_its_waits() -> None:
    assert arrival_unsteadiness(arrivals([0.1, 0.2, 0.1, 0.15] * 5)) == ""
    assert "went up" in arrival_unsteadiness(arrivals([0.1 * i for i in range(1, 21)]))
    assert "went down" in arrival_unsteadiness(arrivals([2.0 - 0.1 * i for i in range(20)]))
    assert arrival_unsteadiness(arrivals([0.1, 9.0])) == "", "too few to judge"


@pytest.mark.parametrize("says", ["", "it wobbles"])
def test_windows_hold_the_same_requests_however_long_the_warm_up(
    says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steady_state, "unsteady_reason", lambda *_: says)
    asked = workload()
    with scripted(tmp_path) as server:
        load = run_load(server.url, "scripted-model", asked, 7, vocab=VOCAB)
    spare = [one for one in load.records if one.index >= asked.requests]
    assert load.failed == ""
    assert len(spare) == (24 if says else 0)
    assert ("it wobbles" in load.marks.get(steady_state.MARK, "")) == bool(says)
    begin = load.windows[0].begin
    before = [one for one in load.records if one.done <= begin]
    assert len(before) == 12 + len(spare)
    planned = [one for one in load.records if one.index < asked.requests]
    assert [one.index for one in planned] == list(range(len(planned)))
    assert [window.requests for window in load.windows] == [12, 12]
    if spare:
        last_planned, first_measured = planned[11].sent, planned[12].sent
        assert all(last_planned <= one.sent <= first_measured for one in spare)


def test_conversations_are_judged_and_not_prolonged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steady_state, "unsteady_reason", lambda *_: "it wobbles")
    asked = workload(turns={"min": 1, "max": 2})
    with scripted(tmp_path) as server:
        load = run_load(server.url, "scripted-model", asked, 7, vocab=VOCAB)
    assert load.marks[steady_state.MARK] == "after 12 requests of warm-up it wobbles"
    assert len([one for one in load.records if one.done <= load.windows[0].begin]) == 12
