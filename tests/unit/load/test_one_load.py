"""What a load makes of a start: measured, void, or failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from trimtab.load.runner import LoadResult
from trimtab.load.workload import Workload, load_workload
from trimtab.model import BASELINE, Candidate, Phase, StartRequest, Window
from trimtab.study.executors.live import DriveResult, VerifiedServer, drive_workload

STEADY = [100.0, 102.0, 99.0, 101.0, 100.0, 98.0]
UNSTEADY = [100.0, 20.0, 99.0, 50.0, 100.0, 30.0]


@dataclass
class Bench:
    """Stands for a verified server."""

    throughputs: list[float]
    workload: Workload
    failed: str = ""
    asked: int = 0
    marks: Mapping[str, str] = field(default_factory=dict)

    @property
    def session(self) -> Any:
        return SimpleNamespace(workload=self.workload)

    def run(self, workload: Workload, seed: int) -> LoadResult:
        windows = tuple(
            Window(i, i, i + 1.0, 9, {"output_throughput": one})
            for i, one in enumerate(self.throughputs)
        )
        return LoadResult((), windows, 0, {}, self.failed, self.marks)

    def greedy(self) -> tuple[tuple[int, ...], ...]:
        self.asked += 1
        return ((1, 2),)


def drive(
    bench: Bench,
    phase: Phase = Phase.SCREEN,
    *,
    again: bool = False,
    values: Candidate = (("dtype", "float32"),),
) -> DriveResult:
    request = StartRequest(phase, 0, "arm", values, 1)
    return drive_workload(cast("VerifiedServer", bench), request.again() if again else request)


CLOSED = load_workload("tiny")
OPEN = load_workload("poisson-small")


def test_a_steady_start_is_measured() -> None:
    found = drive(Bench(STEADY, CLOSED))
    assert found.metrics["output_throughput"] == pytest.approx(100, abs=1)
    assert (found.void, found.answers) == ("", ())


def test_an_unsteady_start_is_void_once() -> None:
    found = drive(Bench(UNSTEADY, CLOSED))
    assert found.metrics == {}
    assert "scattered" in found.void
    assert drive(Bench(UNSTEADY, CLOSED), again=True).metrics
    assert drive(Bench(UNSTEADY, OPEN)).metrics, "arrivals of an open loop scatter by themselves"


def test_an_over_saturated_start_is_void_once_and_marked() -> None:
    marks = {"over-saturated": "it fell behind", "no-steady-state": "it rose"}
    found = drive(Bench(UNSTEADY, OPEN, marks=marks))
    assert (found.metrics, found.void, found.marks) == ({}, "it fell behind", marks)
    again = drive(Bench(UNSTEADY, OPEN, marks=marks), again=True)
    assert again.metrics
    assert (again.void, again.marks) == ("", marks)


def test_a_start_that_was_not_steady_counts_and_is_marked() -> None:
    marks = {"no-steady-state": "it rose"}
    found = drive(Bench(STEADY, CLOSED, marks=marks))
    assert found.metrics
    assert found.marks == marks


def test_a_failed_load_is_failed_whatever_its_windows() -> None:
    found = drive(Bench(UNSTEADY, CLOSED, failed="the server died"))
    assert found.failed == "the server died"
    assert found.void == ""


def test_answers_are_taken_where_profiles_are_confirmed() -> None:
    bench = Bench(STEADY, CLOSED)
    assert drive(bench, Phase.CONFIRM).answers == ((1, 2),)
    drive(bench)
    drive(replace(bench, failed="x"), Phase.CONFIRM)
    assert bench.asked == 1
    assert drive(bench, Phase.ANSWERS).answers == ((1, 2),)


@pytest.mark.parametrize("phase", Phase)
def test_the_baseline_answers_in_every_start(phase: Phase) -> None:
    assert drive(Bench(STEADY, CLOSED), phase, values=BASELINE).answers == ((1, 2),)
