"""An open loop faster than the server is told from a busy one, and ended where that is enough."""

from __future__ import annotations

import heapq
from pathlib import Path

import numpy as np
import pytest

from tests.support.scripted import scripted
from trimtab.load import guards
from trimtab.load.driver import LoadRun
from trimtab.load.guards import over_saturation
from trimtab.load.runner import marks_of, run_load
from trimtab.load.workload import Workload, load_workload
from trimtab.model import RequestRecord


def queue(load: float, count: int, servers: int, seed: int) -> list[RequestRecord]:
    """Return requests to a queue that is used to a share ``load`` of what it can do."""
    rng = np.random.default_rng(seed)
    arrivals = np.cumsum(rng.exponential(1 / (load * servers), count))
    free = [0.0] * servers
    found = []
    for index, (at, seconds) in enumerate(zip(arrivals, rng.gamma(4, 0.25, count), strict=True)):
        begin = max(heapq.heappop(free), float(at))
        heapq.heappush(free, begin + float(seconds))
        done = begin + float(seconds)
        found.append(RequestRecord(index, float(at), float(at), (begin + 0.05, done), done, 1, 1))
    return found


def judged(records: list[RequestRecord]) -> str:
    return over_saturation(records, (), 0.0, max(one.intended for one in records))


@pytest.mark.parametrize("servers", [1, 8, 32])
def test_a_busy_server_is_hardly_ever_called_over_saturated(servers: int) -> None:
    found = [judged(queue(0.8, 200, servers, seed)) for seed in range(60)]
    assert sum(map(bool, found)) <= 1


@pytest.mark.parametrize("servers", [1, 8, 32])
def test_twice_as_many_as_can_be_served_are_too_many(servers: int) -> None:
    for seed in range(20):
        found = judged(queue(2.0, 200, servers, seed))
        assert found.startswith("over-saturated: requests in flight rose from")


def test_requests_that_still_wait_count_as_in_flight() -> None:
    records = queue(2.0, 200, 4, 1)
    now = records[-1].intended
    ended = [one for one in records if one.done <= now]
    waiting = [one.intended for one in records if one.done > now]
    assert len(waiting) > 80
    with_them, without = (over_saturation(ended, some, 0.0, now) for some in (waiting, ()))
    assert _last_count(with_them) > _last_count(without) + 40


def _last_count(sentence: str) -> int:
    return int(sentence.partition(" to ")[2].split()[0])


def test_few_requests_are_not_judged() -> None:
    assert judged(queue(9.0, guards.FEWEST - 1, 1, 1)) == ""


def crowd(**changes: object) -> Workload:
    base = load_workload("tiny").model_dump()
    return Workload.model_validate(
        {**base, "arrival": {"rate": 2000.0}, "window_requests": 100, **changes}
    )


def test_a_load_of_too_many_is_marked() -> None:
    records = queue(2.0, 200, 4, 1)
    asked = crowd(windows=1)
    assert marks_of(LoadRun(), asked, records, ())[guards.MARK].startswith("over-saturated")
    assert marks_of(LoadRun(), crowd(arrival={"concurrency": 4}), records, ()) == {}
    ramp = crowd(arrival={"rate": 1.0, "ramp_to": 9.0})
    assert marks_of(LoadRun(), ramp, records, ()) == {}, "a ramp is to rise"


def test_it_ends_early_where_that_is_hopeless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guards, "over_saturation", lambda *_: "over-saturated: it is")
    # the server falls silent, so that the load cannot end by itself before anybody looks
    asked = crowd(windows=1, request_deadline=60.0)
    with scripted(tmp_path, {"faults": {"hang_after": 60}}) as server:
        load = run_load(server.url, "scripted-model", asked, 7, vocab=1000, give_up=lambda _: True)
    assert load.failed == ""
    assert load.marks[guards.MARK] == "over-saturated: it is"
    assert load.windows == ()
    assert 16 <= len(load.records) <= 60, "it looks from an eighth of the measured requests on"


def test_it_goes_on_where_it_is_not(tmp_path: Path) -> None:
    asked = crowd(windows=1)
    with scripted(tmp_path, None, "--max-num-seqs", "1") as server:
        load = run_load(
            server.url, "scripted-model", asked, 7, vocab=1000, give_up=lambda _: False
        )
    assert load.failed == ""
    assert len(load.windows) == 1
