"""The simulated engine: its truth, its noise and its failures are what the landscape says."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from trimtab.errors import UsageError
from trimtab.model import BASELINE, Budget, Outcome, Phase, StartRequest, candidate
from trimtab.search import History, PhasedStrategy, conclude
from trimtab.simulated import NAMES, Landscape, SimulatedMachine, load_landscape, play, space_of


def request(values: dict[str, object], seed: int = 1) -> StartRequest:
    return StartRequest(Phase.SCREEN, 1, "arm", candidate(values), seed)  # type: ignore[arg-type]


def levels(machine: SimulatedMachine, values: dict[str, object], count: int = 400) -> list[float]:
    starts = [machine.start(request(values, seed), seed + 1) for seed in range(count)]
    return [math.log(one.metrics["output_throughput"]) for one in starts if one.valid]


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_landscape_is_studied_to_its_end(name: str) -> None:
    landscape = load_landscape(name)
    assert landscape.name == name
    space = space_of(landscape, Budget(starts=24), seed=3)
    starts = play(PhasedStrategy(), space, SimulatedMachine(landscape, seed=3))
    assert 8 <= len(starts) <= 24
    assert starts == play(PhasedStrategy(), space, SimulatedMachine(landscape, seed=3))
    conclude(History.of(space, starts))


def test_starts_scatter_around_the_truth() -> None:
    machine = SimulatedMachine(load_landscape("L1"), seed=5)
    values: dict[str, object] = {"gain-8": "on", "gain-3": "on", "gain-2": "on"}
    assert machine.truth(candidate(values)) == pytest.approx(0.077 + 0.0296 + 0.0198 - 0.02)  # type: ignore[arg-type]
    quiet = Landscape.model_validate({
        **load_landscape("L1").model_dump(), "noise": {"start": 0.02, "window": 0.02}
    })  # fmt: skip
    found = levels(SimulatedMachine(quiet, seed=5), values)
    assert float(np.mean(found)) == pytest.approx(math.log(100) + 0.1064, abs=0.005)
    # between starts 2 %, and 2 % of each of three windows
    assert float(np.std(found)) == pytest.approx(math.sqrt(0.02**2 + 0.02**2 / 3), rel=0.15)


def test_where_the_machine_has_drifted_depends_on_the_start_alone() -> None:
    walking = Landscape.model_validate({
        **load_landscape("L1").model_dump(), "noise": {"walk": 0.01}
    })  # fmt: skip
    late = SimulatedMachine(walking, seed=5).start(request({}), 3000)
    machine = SimulatedMachine(walking, seed=5)
    assert [machine.start(request({}), number) for number in (1, 2999, 3000)][-1] == late
    assert machine.start(request({}), 2) != machine.start(request({}), 3)


def test_a_numeric_optimum_lies_inside_and_the_cliff_behind_it() -> None:
    landscape = load_landscape("L5")
    numeric = landscape.tunings["max-seqs"].numeric
    assert numeric is not None
    assert numeric.effect(None) == 0.0
    assert numeric.effect(400) > numeric.effect(512) > numeric.effect(1024)
    assert numeric.effect(512) - numeric.effect(1024) > 0.2


def test_crash_regions_crash() -> None:
    machine = SimulatedMachine(load_landscape("L3"), seed=1)
    both = [machine.start(request({"gain-8": "on", "null-1": "on"}), n) for n in range(1, 20)]
    assert {one.outcome for one in both} == {Outcome.START_FAILED}
    some = [machine.start(request({"null-2": "on"}), n) for n in range(1, 400)]
    failed = sum(not one.valid for one in some)
    assert failed / len(some) == pytest.approx(0.1, abs=0.05)


def test_the_best_candidate_avoids_what_crashes() -> None:
    machine = SimulatedMachine(load_landscape("L3"))
    # the smallest gain loses a little more beside the next one than it brings
    assert machine.best() == pytest.approx(0.077 + 0.0488 + 0.0296)
    assert machine.truth(BASELINE) == 0.0


def test_the_best_candidate_has_each_integer_tuning_at_its_best_level() -> None:
    machine = SimulatedMachine(load_landscape("L5"))
    levels = {"batched-tokens": (1024, 2048, 4096, 8192, 16384), "max-seqs": (128, 256, 512, 1024)}
    effects = {
        name: [machine.truth(((name, level),)) for level in of] for name, of in levels.items()
    }
    assert machine.best() == pytest.approx(0.0488 + sum(map(max, effects.values())))
    # graph-sizes is best at stock: its published level loses
    assert machine.average("graph-sizes", machine.on("graph-sizes")) < 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name: x\nsummary: y\n", "tunings"),
        ("name: x\nsummary: y\ntunings: {a: {effct: 1}}\n", "tunings.a.effct"),
        ("name: x\nsummary: y\ntunings: {}\ncrashes: [{when: [b]}]\n", "'b' is not one of"),
        ("- 1\n", "landscape"),
        ("a: &x 1\nb: *x\n", "plain YAML"),
    ],
)
def test_what_is_no_landscape_is_refused(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=says):
        load_landscape(str(path))


def test_an_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(UsageError, match="L0, L1"):
        load_landscape("L9")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("name: x\nsummary: y\ntunings: {a: {}}\naudit: {tail_df: 3}\n", "audit"),
        ("name: x\nsummary: y\ntunings: {a: {efect: 0.1}}\n", "tunings.a.efect"),
    ],
)
def test_an_unknown_key_is_named(text: str, key: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        load_landscape(str(path))
    assert str(caught.value) == f"landscape {path}: has no key {key!r}: take it out"
