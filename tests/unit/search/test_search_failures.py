"""Who is blamed for a failed start, and what a study does about it."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from tests.simulator import Machine, factors, play, study, verdicts
from trimtab.model import (
    Budget,
    Check,
    CheckKind,
    CheckOutcome,
    Evidence,
    Outcome,
    Phase,
    Space,
    Start,
    StartRequest,
    Value,
    Verdict,
)
from trimtab.search import History, PhasedStrategy, conclude
from trimtab.simulated import SimulatedMachine, load_landscape, space_of
from trimtab.simulated import play as replay

SPACE = Space(factors(6, leads=("dtype",)), budget=Budget(starts=36))
FAILURES = [Outcome.START_FAILED, Outcome.LOAD_FAILED, Outcome.INEFFECTIVE]


def failing(*names: str, outcome: Outcome = Outcome.START_FAILED) -> Machine:
    def decide(values: Mapping[str, Value], rng: np.random.Generator) -> Outcome:
        return outcome if any(name in values for name in names) else Outcome.MEASURED

    return Machine({"dtype": 1.4, "t0": 0.15}, sd=0.02, outcome=decide)


def expected(outcome: Outcome) -> Verdict:
    ineffective = outcome is Outcome.INEFFECTIVE
    return Verdict.INEFFECTIVE if ineffective else Verdict.START_FAILED


@pytest.mark.parametrize("outcome", FAILURES)
def test_a_screened_tuning_that_fails_is_found_and_left_out(outcome: Outcome) -> None:
    starts = play(SPACE, failing("t2", outcome=outcome))
    found = conclude(History.of(SPACE, starts))
    assert verdicts(found)["t2"] is expected(outcome)
    blamed = [name for name, verdict in verdicts(found).items() if verdict is expected(outcome)]
    assert blamed == ["t2"]
    assert verdicts(found)["dtype"] is Verdict.ADOPT
    assert "t2" not in dict(found.proven)
    assert "t2" not in dict(found.best)
    tail = [s for s in starts if s.request.phase is Phase.SCREEN][-4:]
    assert all("t2" not in dict(start.request.candidate) for start in tail)
    assert all(start.valid for start in tail)


def test_two_failing_tunings_are_told_apart() -> None:
    space = replace(SPACE, budget=Budget(starts=60))
    found = conclude(History.of(space, play(space, failing("t2", "t4"))))
    failed = {name for name, v in verdicts(found).items() if v is Verdict.START_FAILED}
    assert failed == {"t2", "t4"}


@pytest.mark.parametrize("outcome", FAILURES)
def test_a_lead_that_fails_twice_is_out(outcome: Outcome) -> None:
    starts = play(SPACE, failing("dtype", outcome=outcome))
    found = conclude(History.of(SPACE, starts))
    assert verdicts(found)["dtype"] is expected(outcome)
    assert found.answers[0].reason
    for start in starts:
        assert start.request.phase is Phase.LEAD or "dtype" not in dict(start.request.candidate)


def test_a_failure_now_and_then_is_blamed_on_nobody() -> None:
    def decide(values: Mapping[str, Value], rng: np.random.Generator) -> Outcome:
        bad = rng.random() < 0.05 and bool(values)
        return Outcome.START_FAILED if bad else Outcome.MEASURED

    blamed = 0
    for seed in range(15):
        machine = Machine({"dtype": 1.4}, sd=0.02, outcome=decide, seed=seed)
        found = study(replace(SPACE, seed=seed), machine)
        blamed += Verdict.START_FAILED in verdicts(found).values()
    assert blamed == 0


def test_a_pair_that_fails_together_blames_neither() -> None:
    def decide(values: Mapping[str, Value], rng: np.random.Generator) -> Outcome:
        together = {"t1", "t2"} <= set(values)
        return Outcome.START_FAILED if together else Outcome.MEASURED

    found = study(SPACE, Machine({"dtype": 1.4}, sd=0.02, outcome=decide))
    assert Verdict.START_FAILED not in verdicts(found).values()


@pytest.mark.parametrize("seed", [0, 50])
def test_a_gain_is_not_blamed_for_a_crash_that_it_shares(seed: int) -> None:
    # In these studies gain-8 is on in no other rows of block 0 than beside null-1.
    landscape = load_landscape("L3")
    space = space_of(landscape, Budget(starts=30), seed)
    starts = replay(PhasedStrategy(), space, SimulatedMachine(landscape, seed))
    screened = [s for s in starts if s.request.phase is Phase.SCREEN]
    tried = [s for s in screened if "gain-8" in dict(s.request.candidate)]
    assert not any(start.valid for start in tried if start.request.block == 0)
    assert any(start.valid for start in tried)
    again = [s for s in tried if s.request.block == 1]
    assert all("null-1" not in dict(start.request.candidate) for start in again)
    assert Verdict.START_FAILED not in verdicts(conclude(History.of(space, starts))).values()


def test_refuted_evidence_of_its_own_check_is_enough_once() -> None:
    check = Check(CheckKind.MAPPED, "/lib/libtcmalloc.so.4", expected=True, tuning="t3")
    other = replace(check, tuning="t1")

    class Refuting(Machine):
        def start(self, request: StartRequest, number: int) -> Start:
            made = super().start(request, number)
            if "t3" not in dict(request.candidate):
                return made
            shown = (
                Evidence(check, CheckOutcome.NO, "not mapped", "/proc/7/maps"),
                Evidence(other, CheckOutcome.YES, "mapped", "/proc/7/maps"),
            )
            return replace(made, outcome=Outcome.INEFFECTIVE, metrics={}, evidence=shown)

    space = replace(SPACE, budget=Budget(starts=48))
    starts = play(space, Refuting({"dtype": 1.4}, sd=0.02))
    found = conclude(History.of(space, starts))
    answer = next(each for each in found.answers if each.tuning == "t3")
    assert answer.verdict is Verdict.INEFFECTIVE
    assert "/lib/libtcmalloc.so.4" in answer.reason
    assert "/proc/7/maps" in answer.reason
    assert list(verdicts(found).values()).count(Verdict.INEFFECTIVE) == 1
    first = next(s for s in starts if "t3" in dict(s.request.candidate)).request
    for start in starts:
        if "t3" in dict(start.request.candidate):
            assert (start.request.phase, start.request.block) == (first.phase, first.block)


def test_leads_that_fail_only_together_leave_the_larger_as_centre() -> None:
    def decide(values: Mapping[str, Value], rng: np.random.Generator) -> Outcome:
        together = {"dtype", "mp"} <= set(values)
        return Outcome.START_FAILED if together else Outcome.MEASURED

    space = Space(factors(4, leads=("mp", "dtype")), budget=Budget(starts=48))
    machine = Machine({"dtype": 1.4, "mp": 0.5}, sd=0.02, outcome=decide)
    starts = play(space, machine)
    found = conclude(History.of(space, starts))
    assert dict(found.proven) == {"dtype": "on"}
    assert any("mp" in note and "left out" in note for note in found.notes)
    assert all(start.valid for start in starts if start.request.phase is Phase.CONFIRM)


def test_a_baseline_that_fails_twice_ends_the_study() -> None:
    def decide(values: Mapping[str, Value], rng: np.random.Generator) -> Outcome:
        return Outcome.MEASURED if values else Outcome.START_FAILED

    for space in (SPACE, Space(factors(5), budget=Budget(starts=30))):
        starts = play(space, Machine(outcome=decide))
        assert "failed twice in a row" in History.of(space, starts).blocking_reason
        assert "\n" not in History.of(space, starts).blocking_reason
        stock = [s.request.arm for s in starts if not s.request.candidate]
        assert stock[-1].endswith("#2")
        assert len(starts) <= 20
        assert (
            History.of(space, starts).blocking_reason in conclude(History.of(space, starts)).notes
        )


def test_a_baseline_that_fails_once_does_not() -> None:
    class Once(Machine):
        def start(self, request: StartRequest, number: int) -> Start:
            made = super().start(request, number)
            first = request.arm == "baseline" and request.block == 0
            return replace(made, outcome=Outcome.LOAD_FAILED, metrics={}) if first else made

    starts = play(SPACE, Once({"dtype": 1.4}, sd=0.02))
    assert History.of(SPACE, starts).blocking_reason == ""
    assert verdicts(conclude(History.of(SPACE, starts)))["dtype"] is Verdict.ADOPT


def test_a_profile_that_fails_in_confirmation_is_not_proven() -> None:
    class Late(Machine):
        def start(self, request: StartRequest, number: int) -> Start:
            made = super().start(request, number)
            if request.phase is Phase.CONFIRM and request.candidate:
                return replace(made, outcome=Outcome.LOAD_FAILED, metrics={})
            return made

    starts = play(SPACE, Late({"dtype": 1.4}, sd=0.02))
    found = conclude(History.of(SPACE, starts))
    assert found.proven == ()
    assert any("not confirmed" in note for note in found.notes)
    arms = [s.request.arm for s in starts if s.request.phase is Phase.CONFIRM]
    assert arms.count("proven") == 2
