"""What may be written: a combination that ran, and that the starts show to keep the SLO."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from trimtab.model import BASELINE, Budget, Candidate, Conclusion, Outcome, Phase, Space, Start
from trimtab.search import History, PhasedStrategy, conclude
from trimtab.simulated import Landscape, SimulatedMachine, play, space_of

LATENCY = "ttft_p99"
QUIET = {"start": 0.02, "window": 0.01}


def landscape(tunings: dict[str, dict[str, object]], **more: object) -> Landscape:
    """Return a landscape of these tunings, filled up to eleven with inert ones."""
    inert: dict[str, dict[str, object]] = {
        f"null-{number}": {} for number in range(1, 12 - len(tunings))
    }
    whole = {"dummy": {"dummy": True}, **tunings, **inert}
    return Landscape.model_validate(
        {"name": "t", "summary": "t", "tunings": whole, "noise": QUIET, **more}
    )


COSTLY = landscape(
    {
        "fast": {"effect": 0.08, "latency": 0.20, "prior": 0.03},
        "dear": {"effect": 0.06, "latency": 0.12, "prior": 0.03},
        "some": {"effect": 0.04, "latency": 0.07, "prior": 0.02},
        "cool": {"effect": 0.0, "latency": -0.10},
    }
)
CRASHING = landscape(
    {
        "a": {"effect": 0.08, "prior": 0.03},
        "b": {"effect": 0.05, "prior": 0.02},
        "c": {"effect": 0.03, "prior": 0.02},
    },
    crashes=[{"when": ["a", "null-1"]}, {"when": ["b", "c"]}, {"when": ["null-2", "null-3"]}],
)

TRIPLE = landscape(
    {
        "a": {"effect": 0.08, "prior": 0.03},
        "b": {"effect": 0.05, "prior": 0.02},
        "c": {"effect": 0.03, "prior": 0.02},
    },
    crashes=[{"when": ["a", "b", "c"]}],
)


def studied(
    one: Landscape, seed: int, starts: int, limit: float | None = None
) -> tuple[SimulatedMachine, Space, list[Start], Conclusion]:
    machine = SimulatedMachine(one, seed)
    limits = () if limit is None else ((LATENCY, limit),)
    space = replace(space_of(one, Budget(starts=starts), seed), limits=limits)
    made = play(PhasedStrategy(), space, machine)
    assert len(made) <= starts
    return machine, space, made, conclude(History.of(space, made))


def true_latency(machine: SimulatedMachine, chosen: Candidate) -> float:
    """Return the latency without noise, relative to the baseline's 100 ms."""
    tunings = machine.landscape.tunings
    cost = sum(tunings[name].latency for name, _ in chosen)
    return 100 * math.exp(cost - machine.truth(chosen))


def ran(made: list[Start], chosen: Candidate) -> bool:
    return chosen == BASELINE or any(
        start.outcome is Outcome.MEASURED and start.request.candidate == chosen for start in made
    )


@pytest.mark.parametrize("starts", [12, 24, 30, 40])
@pytest.mark.parametrize("limit", [100.0, 106.0, 115.0])
def test_profiles_keep_the_slo_at_every_budget(starts: int, limit: float) -> None:
    kept = {"proven": 0, "max": 0}
    seeds = range(6)
    for seed in seeds:
        machine, _, made, found = studied(COSTLY, seed, starts, limit)
        for name, chosen in (("proven", found.proven), ("max", found.best)):
            assert ran(made, chosen)
            kept[name] += true_latency(machine, chosen) <= limit * (1 + 1e-9)
    assert min(kept.values()) >= len(seeds) - 1  # nominal: 95 % of the studies


@pytest.mark.parametrize("starts", [8, 16, 24, 40])
def test_a_profile_ran_in_a_start_of_its_study(starts: int) -> None:
    for seed in range(6):
        machine, _, made, found = studied(CRASHING, seed, starts)
        for chosen in (found.proven, found.best):
            assert ran(made, chosen)
            names = {name for name, _ in chosen}
            assert not any(set(crash.when) <= names for crash in machine.landscape.crashes)


def test_a_profile_that_did_not_start_is_replaced_with_a_sentence() -> None:
    said = 0
    for seed in range(12):
        _, _, made, found = studied(TRIPLE, seed, 24)
        tried = [s for s in made if s.request.phase is Phase.ANSWERS and s.request.arm == "max"]
        if tried and tried[0].outcome is Outcome.START_FAILED:
            said += 1
            why = f"it failed when it was started (start {tried[0].number})"
            assert any(
                note.startswith("the max profile is not") and why in note for note in found.notes
            )
            assert found.best != tried[0].request.candidate
    assert said


def test_a_baseline_that_breaks_the_slo_is_said_and_no_profile_states_it() -> None:
    _, space, made, found = studied(
        landscape({"gain": {"effect": 0.1, "latency": 0.1}}), 1, 24, 80
    )
    assert any(
        note.startswith("the baseline itself breaks the SLO: ttft_p99") for note in found.notes
    )
    assert found.within_slo == ()
    assert not History.of(space, made).limits.are_kept(BASELINE)


def test_an_interrupted_study_writes_what_ran() -> None:
    _, space, made, _ = studied(landscape({"gain": {"effect": 0.2, "prior": 0.1}}), 3, 24)
    for count in range(len(made)):
        part = made[:count]
        found = conclude(History.of(space, part))
        assert ran(part, found.proven)
        assert ran(part, found.best)


def test_a_latency_is_estimated_without_a_start_of_the_very_combination() -> None:
    machine, space, made, _ = studied(COSTLY, 2, 24, 110.0)
    screened = [start for start in made if start.request.phase is Phase.SCREEN]
    values = (("dear", "on"), ("some", "on"))
    assert not ran(screened, values)
    known = History.of(space, screened).limits.latency(values, LATENCY, 110.0)
    assert known is not None
    assert known.seen is None
    assert known.value == pytest.approx(true_latency(machine, values), rel=0.05)
    assert known.value < known.high < known.value * 1.15


def test_a_latency_on_too_few_degrees_of_freedom_shows_nothing() -> None:
    _, space, made, _ = studied(COSTLY, 2, 24, 110.0)
    few = History.of(space, made[:3]).limits
    assert few.latency(BASELINE, LATENCY, 110.0) is None
    assert not few.are_kept(BASELINE)


def test_a_pair_that_never_ran_together_is_in_no_profile() -> None:
    gains = []
    for seed in range(6):
        machine, _, _, found = studied(CRASHING, seed, 40)
        gains.append(machine.truth(found.best))
    assert sum(gains) / len(gains) >= 0.08  # of 0.11: the pair of 0.05 and 0.03 crashes


def test_a_max_that_died_in_the_confirmation_leaves_what_ran() -> None:
    for seed in range(6):
        machine, _, made, found = studied(TRIPLE, seed, 40)
        assert ran(made, found.best)
        assert machine.truth(found.best) >= 0.03
