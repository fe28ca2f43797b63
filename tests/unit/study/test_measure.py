"""Measuring without searching: when it ends, which requests it takes, what it says beforehand."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.load.test_capacity import Formula
from trimtab.cli import terminal
from trimtab.errors import StudyError
from trimtab.load.runner import GiveUp, LoadResult
from trimtab.load.workload import Workload
from trimtab.measurement import blocks, capacity, runs
from trimtab.measurement.capacity import VERIFIED
from trimtab.model import BASELINE, Outcome, Phase, Plan, Start, StartRequest
from trimtab.study.executors.live import Drive
from trimtab.study.folder import resolve
from trimtab.study.options import Options
from trimtab.study.progress import Display, Reporter
from trimtab.study.session import Session
from trimtab.study.signals import Stop


def start(block: int, arm: str, **metrics: float) -> Start:
    request = StartRequest(Phase.CONFIRM, block, arm, BASELINE, 1)
    return Start(1, request, "0" * 16, Outcome.MEASURED, metrics)


def pair(block: int, **metrics: float) -> list[Start]:
    return [start(block, arm, **metrics) for arm in ("1:a", "2:b")]


def settled(starts: list[Start], most: int) -> bool:
    return blocks.is_decided(starts, "tpot_p50", 0.01, most)


def test_a_comparison_by_a_metric_that_no_start_has_ends_after_a_pair() -> None:
    assert not settled([], 2)
    assert not settled([start(0, "1:a", ttft_p50=1.0)], 2), "a pair is not whole yet"
    with pytest.raises(StudyError, match=r"but no start has it: .*objective"):
        settled(pair(0, ttft_p50=1.0), 2)


def test_pairs_without_the_metric_count_against_the_most() -> None:
    made = pair(0, tpot_p50=1.0)
    assert not settled(made, 3)
    made += [start(1, "1:a", tpot_p50=1.0), start(1, "2:b", ttft_p50=1.0)]
    assert not settled(made, 3)
    assert settled([*made, *pair(2, ttft_p50=1.0)], 3)


def test_a_metric_that_one_side_never_has_ends_at_the_most() -> None:
    made = [start(0, "1:a", tpot_p50=1.0), start(0, "2:b", ttft_p50=1.0)]
    assert not settled(made, 2)
    made += [start(1, "1:a", tpot_p50=1.0), start(1, "2:b", tpot_p50=0.0)]
    with pytest.raises(StudyError, match=r"of no pair .*2 starts of A and 1 of B"):
        settled(made, 2)


class Seeds:
    """The seed of every load that a formula of a server was asked for."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self._server = Formula(10.0)

    def run(self, workload: Workload, seed: int, give_up: GiveUp | None = None) -> LoadResult:
        self.seen.append(seed)
        return self._server(workload, seed, give_up)

    def trial(
        self,
        session: Session,
        plan: Plan,
        request: StartRequest,
        number: int,
        folder: Path,
        display: Display,
        stop: Stop,
        drive: Drive,
    ) -> Start:
        self._server = Formula(10.0 + 0.1 * number)
        loaded: Any = SimpleNamespace(run=self.run)
        driven = drive(loaded, request)
        return Start(number, request, plan.digest, Outcome.MEASURED, driven.metrics)


def test_the_bound_of_a_capacity_is_tried_on_fresh_requests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seeds = Seeds()
    session = resolve(Options(engine="simulated", landscape="L0"), print)
    target = blocks.MeasurementTarget("stock", session.compile(()))
    monkeypatch.setattr(capacity, "open_target", lambda *_: (session, target))
    monkeypatch.setattr(capacity, "run_plan", seeds.trial)
    options = Options(slo="ttft_p90<=500ms")

    def ask(count: int, *, resume: bool) -> dict[str, Any]:
        return capacity.measure_capacity(
            "stock",
            options,
            count,
            40,
            tmp_path / "c",
            resume=resume,
            reporter=terminal.reporter(),
        ).as_data()

    assert ask(4, resume=False)["verified"] is True
    assert len(seeds.seen) > 20
    assert len(set(seeds.seen)) == len(seeds.seen)
    assert "4 starts with probes of 40 requests: expect a bound 5.7 % below the estimate" in (
        capsys.readouterr().err
    )
    # more starts after the trial: none repeats its requests, and their bound is tried itself
    tried = set(seeds.seen[-2:])
    ask(6, resume=True)
    searched = [one for one in seeds.seen if one not in tried]
    assert seeds.seen[-2:] == sorted(tried)
    assert len(set(searched)) == len(searched) == len(seeds.seen) - 4
    lines = (tmp_path / "c" / "ledger.jsonl").read_text().splitlines()
    assert sum(f'"{VERIFIED}"' in line for line in lines) == 2


def test_what_is_to_be_expected_is_told_beforehand() -> None:
    assert blocks.interval_forecast(0.05, 4, 16) == (
        "4 starts of up to 16 windows: expect an interval of -7.6 % to +8.3 %, assuming 5.0 % "
        "between starts (--noise says otherwise)"
    )
    assert blocks.interval_forecast(0.05, 1, 1) == (
        "1 start of up to 1 window: no interval, which takes --starts 4 or more"
    )
    assert "5 starts of windows as the noise asks: expect" in blocks.interval_forecast(
        0.02, 5, None
    )
    assert blocks.bound_forecast(0.05, 4, 200) == (
        "4 starts with probes of 200 requests: expect a bound 5.7 % below the estimate, assuming "
        "5.0 % between starts (--noise says otherwise)"
    )
    assert "no bound, which takes --starts 4" in blocks.bound_forecast(0.05, 1, 200)


class Unlucky:
    """Makes starts of which some are void or fail, by their number."""

    def __init__(self, outcomes: dict[int, Outcome]) -> None:
        self.outcomes = outcomes

    def trial(
        self,
        session: Session,
        plan: Plan,
        request: StartRequest,
        number: int,
        folder: Path,
        display: Display,
        stop: Stop,
    ) -> Start:
        outcome = self.outcomes.get(number, Outcome.MEASURED)
        metrics = {"output_throughput": 100.0 + number} if outcome is Outcome.MEASURED else {}
        return Start(number, request, plan.digest, outcome, metrics, detail="steal 12 %")


def bench(
    outcomes: dict[int, Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> dict[str, Any]:
    session = resolve(Options(engine="simulated", landscape="L0"), print)
    target = blocks.MeasurementTarget("stock", session.compile(()))
    monkeypatch.setattr(runs, "open_target", lambda *_: (session, target))
    monkeypatch.setattr(blocks.Measurement.__init__, "__defaults__", (  # the trial
        Unlucky(outcomes).trial, blocks._REQUESTS,
    ))  # fmt: skip
    return runs.measure_starts(
        "stock", Options(), count, tmp_path / "b", resume=False, reporter=Reporter()
    ).as_data()


def test_bench_gives_the_measured_starts_that_it_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = bench({2: Outcome.VOID, 5: Outcome.LOAD_FAILED}, tmp_path, monkeypatch, 5)
    assert (found["starts"], found["attempts"]) == (5, 7)
    (throughput,) = found["metrics"]
    assert throughput["starts"] == 5
    assert throughput["low"] is not None
    assert [note for note in found["notes"] if "made again" in note] == [
        "start 2 (stock) was not measured and was made again: void, steal 12 %",
        "start 5 (stock) was not measured and was made again: load-failed, steal 12 %",
    ]


def test_bench_says_why_it_cannot_give_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = {3: Outcome.START_FAILED, 4: Outcome.START_FAILED}
    said = (
        r"stock cannot be measured: steal 12 % \(2 starts measured before: go on with --resume\)"
    )
    with pytest.raises(StudyError, match=said):
        bench(failing, tmp_path, monkeypatch, 5)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_no_interval_on_fewer_than_three_degrees_of_freedom(
    count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (throughput,) = bench({}, tmp_path, monkeypatch, count)["metrics"]
    assert (throughput["low"], throughput["high"]) == (None, None)
    assert throughput["reason"].endswith("an interval takes 4 or more")
