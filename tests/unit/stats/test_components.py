"""Variance components: recovered where they are known, told, and used."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.simulated import machine_of
from trimtab import search
from trimtab.errors import UsageError
from trimtab.load.workload import with_windows
from trimtab.measurement import blocks
from trimtab.measurement import blocks as measure
from trimtab.model import (
    BASELINE,
    Budget,
    Outcome,
    Phase,
    Space,
    Start,
    StartRequest,
    VarianceComponents,
    Window,
)
from trimtab.report import rows
from trimtab.report import rows as machine
from trimtab.search.design import design
from trimtab.simulated import SimulatedMachine, load_landscape, space_of
from trimtab.simulated.machine import play
from trimtab.stats.effects import Noise, best_windows, between_start_sd, fit, window_noise
from trimtab.stats.sequential import detectable_difference, look
from trimtab.study import artifacts
from trimtab.study.executors import live
from trimtab.study.executors.live import LiveExecutor
from trimtab.study.executors.simulated import SimulatedExecutor, open_simulated_session
from trimtab.study.gate import with_auto_windows, with_gate_history
from trimtab.study.ledger import Ledger
from trimtab.study.options import Options, parse_share, parse_windows
from trimtab.study.progress import SilentDisplay
from trimtab.study.result_json import as_json
from trimtab.study.session import Session
from trimtab.study.signals import Stop
from trimtab.study.tuning import run_study


@pytest.mark.parametrize(("s_r", "s_w"), [(0.02, 0.01), (0.01, 0.04), (0.0, 0.02)])
def test_planted_components_are_recovered(s_r: float, s_w: float) -> None:
    rng = np.random.default_rng(1)
    blocks = []
    for _ in range(300):
        harder = rng.normal(0.0, 0.2, size=(1, 3))  # a block's requests, the same for its arms
        starts = rng.normal(0.0, s_r, size=(4, 1))
        blocks.append(rng.normal(0.1, 0.1) + starts + harder + rng.normal(0.0, s_w, size=(4, 3)))
    windows = window_noise([block.tolist() for block in blocks])
    assert windows.df == 300 * 3 * 2
    assert math.sqrt(windows.ss / windows.df) == pytest.approx(s_w, rel=0.05)
    means = [float(one) for block in blocks for one in block.mean(axis=1)]
    noise = fit(means, [i // 4 for i in range(len(means))], {}).noise
    assert between_start_sd(noise, windows, 3) == pytest.approx(s_r, rel=0.1, abs=0.003)


def test_windows_that_explain_all_leave_nothing_between_starts() -> None:
    assert between_start_sd(Noise(0.0001, 10), Noise(0.01, 10), 1) == 0.0
    assert window_noise([[[0.0, 1.0]]]) == Noise(0.5, 1)


@pytest.mark.parametrize(
    ("cost", "ratio", "best"), [(3, 1, 2), (10, 1, 4), (10, 2, 7), (5, 0.5, 2), (1, 0.1, 1)]
)
def test_the_number_of_windows_follows_the_costs(cost: float, ratio: float, best: int) -> None:
    assert best_windows(0.02, 0.02 * ratio, cost, 1.0, 10) == best
    assert best_windows(0.02, 0.02 * ratio, cost, 1.0, 1) == 1


def test_nothing_to_average_and_nothing_else_to_gain() -> None:
    assert best_windows(0.02, 0.0, 10.0, 1.0, 6) == 1
    assert best_windows(0.0, 0.02, 10.0, 1.0, 6) == 6


def studied(seed: int = 3) -> tuple[Space, list[Start]]:
    landscape = load_landscape("L1")
    space = space_of(landscape, Budget(starts=48), seed)
    return space, play(search.PhasedStrategy(), space, SimulatedMachine(landscape, seed))


def test_a_study_tells_its_components() -> None:
    space, starts = studied()
    noise = load_landscape("L1").noise
    found = search.conclude(search.History.of(space, starts))
    assert found.spread is not None
    assert found.spread.between == pytest.approx(noise.start, rel=0.5)
    assert found.spread.within == pytest.approx(noise.window, rel=0.3)
    assert found.spread.windows == 3
    assert found.spread.window_seconds == 1.0
    assert any(f"--windows {found.spread.best}" in note for note in found.notes)
    assert search.conclude(search.History.of(space, starts[:1])).spread is None


def test_the_report_and_the_json_have_them(tmp_path: Path) -> None:
    session = open_simulated_session(Options(engine="simulated", landscape="L1", budget="48"))
    starts = play(search.PhasedStrategy(), session.space, machine_of(session))
    found = search.conclude(search.History.of(session.space, starts))
    study = artifacts.study_of(session, starts, found, tmp_path, {})
    shown = as_json(study, tmp_path, session.catalog)
    assert shown["noise"]["best"] >= 1
    told = dict(rows.totals(study))
    assert "s_r" in told["spread of starts alone"]
    assert "s_w" in told["spread of windows"]


def auto() -> Session:
    session = open_simulated_session(Options(engine="simulated", landscape="L4", budget="48"))
    return replace(session, options=replace(session.options, windows="auto"))


def test_auto_changes_whole_phases_by_the_noise_before_them() -> None:
    session = auto()
    starts = play(search.PhasedStrategy(), session.space, machine_of(session))
    seen = {phase: [one for one in starts if one.request.phase is phase] for phase in Phase}
    first = starts[0]
    assert with_auto_windows(session, [], first.request) is session
    assert with_auto_windows(session, starts[:5], starts[5].request) is session, "the first phase"
    fresh = seen[Phase.CONFIRM]
    before = [one for one in starts if one.request.phase is not Phase.CONFIRM]
    spread = search.conclude(search.History.of(session.space, before)).spread
    assert spread is not None
    made = starts.index(fresh[0])
    chosen = {
        with_auto_windows(session, starts[: made + index], one.request).workload.windows
        for index, one in enumerate(fresh)
    }
    assert chosen == {spread.best}
    plain = replace(session, options=replace(session.options, windows=None))
    assert with_auto_windows(plain, starts[:made], fresh[0].request) is plain


def test_a_number_of_windows_replaces_the_workloads() -> None:
    session = auto()
    assert with_windows(session.workload, 5).windows == 5
    assert with_windows(session.workload, None) is session.workload
    assert parse_windows("7") == 7
    assert parse_windows("auto") is parse_windows(None) is None
    for wrong in ("0", "-1", "some", "1.5"):
        with pytest.raises(UsageError, match="--windows must be a number"):
            parse_windows(wrong)


def start(block: int, arm: str, *windows: float) -> Start:
    request = StartRequest(Phase.CONFIRM, block, arm, BASELINE, 1)
    held = tuple(
        Window(i, i * 10.0, i * 10.0 + 10.0, 1, {"output_throughput": one})
        for i, one in enumerate(windows)
    )
    mean = math.exp(sum(map(math.log, windows)) / len(windows))
    return Start(
        block * 2 + int(arm[0]), request, "0" * 16, Outcome.MEASURED,
        {"output_throughput": mean}, held, seconds=100.0,
    )  # fmt: skip


def test_a_comparison_pairs_its_noise_and_a_single_target_does_not() -> None:
    drifting = [start(b, f"{a}:x", 100 * 1.2**b * a, 102 * 1.2**b * a)
                for b in range(4) for a in (1, 2)]  # fmt: skip
    paired = measure.variance_components(drifting, "output_throughput")
    assert paired is not None
    assert paired.between == pytest.approx(0.0, abs=1e-6)
    assert paired.start_df == 3
    alone = measure.variance_components(drifting[::2], "output_throughput")
    assert alone is not None
    assert alone.between > 0.2
    assert measure.variance_components(drifting[:1], "output_throughput") is None


def test_a_session_remembers_what_the_gate_read() -> None:
    held = replace(start(0, "1:x", 1.0), gate={"gflops": 90.0, "busy": 0.02})
    session = with_gate_history(auto(), [held, replace(held, gate={"gflops": 100.0})])
    assert [one["gflops"] for one in session.readings] == [90.0, 100.0]
    told = dict(machine.readings([held, replace(held, gate={"gflops": 100.0})]))
    assert told == {
        "others' share of the CPUs": "2.00 %, 2.00 to 2.00 before 1 start",
        "matrix product": "95.0 GFLOP/s, 90.0 to 100 before 2 starts",
    }


class Told(SilentDisplay):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_a_study_hands_on_what_its_starts_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = auto()
    seen: list[tuple[int, int]] = []

    def trial(own: Session, request: StartRequest, number: int, *_: Any) -> Start:
        seen.append((len(own.readings), own.workload.windows))
        played = SimulatedExecutor(own, machine_of(own)).run(request, number)
        return replace(played, gate={"gflops": 90.0})

    monkeypatch.setattr(live, "run_trial", trial)
    display, stop = Told(), Stop()
    with Ledger.create(tmp_path / "ledger.jsonl", {}) as ledger:
        executor = LiveExecutor(session, ledger.starts, tmp_path, display, stop)
        strategy = search.PhasedStrategy()
        run_study(session.space, strategy, ledger, executor, display, stop, noise=session.noise)
    assert [count for count, _ in seen] == list(range(len(seen)))
    assert len({windows for _, windows in seen}) > 1, "auto has changed them"
    assert len(display.notes) == 1, "said once, when the noise is known"
    assert "as measured" in display.notes[0]


def test_a_study_says_what_it_detects_once_its_noise_is_known() -> None:
    space, starts = studied()
    assert search.detectability_note(search.History.of(space, starts[:2])) == ""
    said = search.detectability_note(search.History.of(space, starts))
    assert "noise between starts as measured" in said
    assert "detectable" in said
    assert (design(space, 0.01).detectable or 9) < (design(space, 0.05).detectable or 0)


def test_what_pairs_can_find() -> None:
    found = detectable_difference(0.02, 12)
    assert found is not None
    assert found == pytest.approx(0.0185, abs=0.001)
    assert (detectable_difference(0.02, 4) or 0) > found, "fewer pairs, and a stricter look"
    assert detectable_difference(0.02, 1) is None
    rng = np.random.default_rng(1)
    hits = sum(look(rng.normal(found, 0.02, 12), 0.0, 12).low > 0 for _ in range(500))  # type: ignore[operator, arg-type]
    assert 0.72 < hits / 500 < 0.88
    assert "12 pairs find a difference of" in blocks.comparison_forecast(0.05, 12)
    spread = VarianceComponents(0.02, 0.01, 6, 12, 3.0, 60.0, 10.0, 2)
    told = list(blocks.noise_sentences({"noise": {
        name: getattr(spread, name) for name in VarianceComponents.__dataclass_fields__
    }, "detectable_effect": 0.03, "most_pairs": 12}))  # fmt: skip
    assert "--windows 2" in told[0]
    assert "12 pairs find a difference of 3.0 % (80 % power" in told[1]
    assert list(blocks.noise_sentences({"noise": None})) == []
    assert blocks.detectable_effect([0.1], 12) is None


def test_a_share_is_a_percentage_or_a_number() -> None:
    assert parse_share("--noise", "2%") == parse_share("--noise", "0.02") == 0.02
    with pytest.raises(UsageError, match="--noise must be a share"):
        parse_share("--noise", "2")
    session = open_simulated_session(Options(engine="simulated", landscape="L1", noise="2%"))
    assert session.noise == 0.02
    assert open_simulated_session(Options(engine="simulated", landscape="L1")).noise == 0.05
