"""A load in which something alternates: where its windows are, and every way it can end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.scripted import scripted
from trimtab.errors import SettingRefusedError
from trimtab.load import runner as load_run
from trimtab.load.alternation import Toggle, lengthen
from trimtab.load.runner import LoadResult, run_load
from trimtab.load.workload import Workload, load_workload

TURN = (False, True, True, False)


def workload(**changes: object) -> Workload:
    patient = {"request_deadline": 120.0, "max_seconds": 120.0}
    return Workload.model_validate({**load_workload("tiny").model_dump(), **patient, **changes})


def toggle(
    switch: Callable[[bool], None] = lambda on: None, order: tuple[bool, ...] = TURN
) -> Toggle:
    return Toggle("it", order, switch, len(TURN))


def load(
    url: str, given: Workload, asked: Toggle, stop: threading.Event | None = None
) -> LoadResult:
    return run_load(
        url, "scripted-model", given, 7, vocab=1000, stop=stop, shared_host=True, toggle=asked
    )  # fmt: skip


def apart(found: LoadResult) -> bool:
    return all(one.end < other.begin for one, other in pairwise(found.windows))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"warmup": 0},
        {"arrival": {"rate": 40.0}},  # not over before a busy machine has switched
        {"turns": 3},
        {"window_requests": 3},
    ],
    ids=["closed", "no warm-up", "open", "conversations", "windows shorter than the streams"],
)
def test_each_window_has_its_requests_and_its_setting(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    given, switched = workload(**changes), list[bool]()
    with scripted(tmp_path) as server:
        found = load(server.url, given, toggle(switched.append))
    assert found.failed == ""
    assert [window.on for window in found.windows] == ["", "it", "it", ""]
    assert [window.index for window in found.windows] == [0, 1, 2, 3]
    assert switched == list(TURN), "once before each window"
    assert apart(found)
    if given.concurrency is not None:
        assert {window.requests for window in found.windows} == {given.window_requests}


def test_the_load_goes_on_between_the_windows(tmp_path: Path) -> None:
    with scripted(tmp_path) as server:
        found = load(server.url, workload(), toggle())
    for one, other in pairwise(found.windows):
        between = [each for each in found.records if one.end < each.done <= other.begin]
        assert len(between) >= 4, "as many as there are streams"


def test_a_load_out_of_time_ends_behind_a_whole_round(tmp_path: Path) -> None:
    with scripted(tmp_path) as server:
        found = load(server.url, workload(max_seconds=0.001), toggle(order=TURN * 3))
    assert found.failed == ""
    assert len(found.windows) == 4


def test_a_load_out_of_requests_measures_no_fading_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_run, "lengthen", lambda given, asked: given)
    with scripted(tmp_path) as server:
        found = load(server.url, workload(), toggle())
    assert found.failed == ""
    assert len(found.windows) < 4


def test_enough_requests_are_made_for_the_pauses() -> None:
    given = workload()
    made = lengthen(given, toggle())
    assert made.requests == 4 + 4 * 12 + 4 * 12 + 4
    narrow = lengthen(workload(window_requests=3), toggle())
    assert narrow.requests >= 4 + 4 * (3 + 8) + 4


def test_what_a_switch_raises_ends_the_load_and_leaves_it(tmp_path: Path) -> None:
    def switch(on: bool) -> None:
        if on:
            raise SettingRefusedError("refused")

    with scripted(tmp_path) as server, pytest.raises(SettingRefusedError, match="refused"):
        load(server.url, workload(), toggle(switch))


def test_a_load_that_is_stopped_waits_for_the_switch(tmp_path: Path) -> None:
    stop, entered, left = threading.Event(), threading.Event(), threading.Event()

    def switch(on: bool) -> None:
        entered.set()
        stop.set()
        left.wait(1.0)
        left.set()

    with scripted(tmp_path) as server:
        found = load(server.url, workload(), toggle(switch), stop)
    assert entered.is_set()
    assert left.is_set(), "the setting is restored after the load: no switch may come later"
    assert "stopped" in found.failed
    assert found.windows == ()


def test_a_server_that_fails_is_named(tmp_path: Path) -> None:
    with scripted(tmp_path, {"faults": {"http_500_after": 20}}) as server:
        found = load(server.url, workload(), toggle())
    assert "HTTP 500" in found.failed
