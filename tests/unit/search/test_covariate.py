"""The gate's readings as covariate: what they explain is taken out, and nothing else."""

import math
from dataclasses import replace

import numpy as np
import pytest

from trimtab.model import Budget, Outcome, Phase, Start, StartRequest
from trimtab.search import History, PhasedStrategy, conclude
from trimtab.search.estimates import NAME, fit_with_speed, machine_speed
from trimtab.simulated import SimulatedMachine, load_landscape, play, space_of


def made(number: int, gate: dict[str, float], value: float = 100.0) -> Start:
    request = StartRequest(Phase.SCREEN, 0, f"row-{number}", (), 1)
    return Start(number, request, "", Outcome.MEASURED, {"x": value}, gate=gate)


def test_only_readings_that_every_start_has_count() -> None:
    both = [made(1, {"gflops": 100.0, "copy_gbps": 10.0}), made(2, {"gflops": 121.0})]
    speed = machine_speed(both)
    assert speed is not None
    assert speed == pytest.approx([-math.log(1.1), math.log(1.1)])
    assert machine_speed([made(1, {"gflops": 100.0}), made(2, {})]) is None
    assert machine_speed([made(1, {"gflops": 0.0}), made(2, {"gflops": 1.0})]) is None
    assert machine_speed([made(1, {"gflops": 5.0}), made(2, {"gflops": 5.0})]) is None
    assert machine_speed([]) is None


def test_what_the_gate_does_not_explain_stays() -> None:
    rng = np.random.default_rng(0)
    starts = [made(i, {"gflops": math.exp(0.1 * rng.normal())}) for i in range(24)]
    y = [float(0.02 * rng.normal()) for _ in starts]
    assert NAME not in fit_with_speed(y, starts, {}).slopes
    driven = [value + math.log(s.gate["gflops"]) for value, s in zip(y, starts, strict=True)]
    assert fit_with_speed(driven, starts, {}).slopes[NAME][0] == pytest.approx(1.0, abs=0.2)


def test_a_small_screen_is_not_fooled_by_readings_that_explain_nothing() -> None:
    rng = np.random.default_rng(1)
    bits = [np.array([float(i >> k & 1) for i in range(8)]) for k in range(3)]
    pairs = [(bits[0] + bits[1]) % 2, (bits[0] + bits[2]) % 2]
    columns = {f"c{k}": column for k, column in enumerate([*bits, *pairs])}
    taken = held = 0
    for _ in range(400):
        starts = [made(i, {"gflops": math.exp(0.1 * rng.normal())}) for i in range(8)]
        found = fit_with_speed([float(rng.normal()) for _ in starts], starts, columns)
        taken += NAME in found.slopes
        for name in columns:
            estimate = found.estimate(name)
            assert estimate is not None
            assert estimate.p_greater is not None
            held += 0.025 <= estimate.p_greater <= 0.975  # two degrees of freedom show no interval
    assert taken <= 12  # 1 % are expected, and one in five by a rule of three standard errors
    assert held >= 0.925 * 400 * len(columns)


def test_a_covariate_that_makes_an_effect_less_sure_stays_out() -> None:
    gates = [1.0, 2.0, 1.001, 2.001, 1.002, 2.002, 1.0, 2.0]  # the machine was faster for the arm
    starts = [made(i, {"gflops": gate}) for i, gate in enumerate(gates)]
    arm = np.array([0.0, 1.0] * 4)
    y = [2.0 * math.log(gate / 2 ** (i % 2)) for i, gate in enumerate(gates)]
    y = [value + 1e-5 * (-1) ** (i // 2) + float(arm[i]) for i, value in enumerate(y)]
    found = fit_with_speed(y, starts, {"arm": arm})
    assert NAME not in found.slopes
    estimate = found.estimate("arm")
    assert estimate is not None
    assert estimate.value == pytest.approx(1.0, abs=0.01)
    assert (estimate.p_greater or 0.0) < 1e-6


def drifting(gate: float | None, seed: int) -> tuple[float, bool]:
    """Return the noise of a study's screen on a machine that walks by 3 % from start to start.

    And whether a note says that the machine's speed was taken out of it.
    """
    landscape = load_landscape("L1")
    noise = landscape.noise.model_copy(update={"walk": 0.03, "start": 0.01, "gate": gate})
    machine = SimulatedMachine(landscape.model_copy(update={"noise": noise}), seed)
    space = space_of(machine.landscape, Budget(starts=40), seed)
    found = conclude(History.of(space, play(PhasedStrategy(), replace(space, seed=seed), machine)))
    assert found.sd is not None
    return found.sd, any("the machine's own speed" in note for note in found.notes)


def test_a_gate_that_sees_the_drift_takes_it_out() -> None:
    blind, seeing = ([drifting(gate, seed) for seed in range(8)] for gate in (None, 0.005))
    assert np.mean([sd for sd, _ in seeing]) < 0.6 * np.mean([sd for sd, _ in blind])
    assert all(said for _, said in seeing)
    assert not any(said for _, said in blind)
