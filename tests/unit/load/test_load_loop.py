"""The loop's sleep, and what a driver does when a request becomes due while others are read."""

from __future__ import annotations

import asyncio
import os
import select
import selectors
import sys
from types import SimpleNamespace
from typing import cast

import pytest

from trimtab.load import driver as drivers
from trimtab.load import transport as loops
from trimtab.load.client import Client
from trimtab.load.connection import LoadTarget
from trimtab.load.driver import Driver, Watch
from trimtab.load.workload import load_workload
from trimtab.model import Request

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere the platform's own loop"
)


def test_it_wakes_early_and_polls_until_it_is_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    slept: list[float] = []

    def clock() -> float:
        now[0] += 0.00001
        return now[0]

    def sleep(_ready: object, _write: object, _other: object, timeout: float) -> None:
        slept.append(timeout)
        now[0] += timeout

    monkeypatch.setattr(select, "select", sleep)
    monkeypatch.setattr(loops, "monotonic", clock)
    with loops.PunctualSelector() as selector:
        for wait in (0.0012, 0.0002):
            begun = now[0]
            assert selector.select(wait) == []
            assert wait <= now[0] - begun <= wait + 0.00003
        assert selector.select(0) == selector.select(-1) == []
    assert slept == [pytest.approx(0.0012 - loops._EARLY)]


@pytest.mark.parametrize("largest", [1023, 0])
def test_what_is_ready_ends_the_sleep(largest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "_LARGEST", largest)  # select(2) takes no higher descriptor
    read, write = os.pipe()
    try:
        with loops.PunctualSelector() as selector:
            assert selector.select(-1) == []
            key = selector.register(read, selectors.EVENT_READ)
            os.write(write, b"x")
            assert selector.select(60.0) == [(key, selectors.EVENT_READ)]
            assert selector.select() == [(key, selectors.EVENT_READ)]
    finally:
        os.close(read)
        os.close(write)


def test_what_becomes_due_while_others_are_read_is_sent_between_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    sent: list[tuple[int, float | None]] = []
    stand_in = SimpleNamespace(submit=lambda request, at: sent.append((request.index, at)))
    requests = tuple(Request(index, (1,), 1, at) for index, at in enumerate([0.0, 5.0, 6.0, 60.0]))
    monkeypatch.setattr(drivers, "perf_counter", lambda: now[0])

    async def test() -> None:
        target = LoadTarget.parse("http://127.0.0.1:1", "m")
        watch = Watch(alive=lambda: None, host_cpu=lambda: None)
        driver = Driver(target, load_workload("tiny"), requests, watch)
        driver._client = cast("Client", stand_in)
        driver._on_read()
        assert sent == [], "nothing is due before the load has begun"
        driver._run.begun = 100.0
        driver._arrive()
        driver._on_read()
        assert sent == [(0, 100.0)]
        now[0] = 106.5
        driver._on_read()
        driver._on_read()
        assert sent == [(0, 100.0), (1, 105.0), (2, 106.0)]
        pending = driver._timer
        assert pending is not None
        now[0] = 170.0
        driver._on_read()
        assert sent[3:] == [(3, 160.0)]
        assert pending.cancelled(), "the timer that was to send it"
        driver._on_read()
        assert len(sent) == 4

    asyncio.run(test())
