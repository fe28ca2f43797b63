"""Profiles that were not confirmed: what the budget has left takes their answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from tests.simulator import Machine, factors, play
from trimtab.model import BASELINE, Budget, Outcome, Phase, Space, Start, StartRequest
from trimtab.search import History, conclude
from trimtab.search.arms import _STREAMS, block_seed
from trimtab.search.strategy import PHASES

GAINS: Mapping[str, float] = {"t0": 0.15, "t3": 0.15, "t5": 0.02}
TWELVE = Space(factors(12), budget=Budget(starts=30))


@dataclass(frozen=True)
class Answering(Machine):
    """A machine whose starts answer where ``driven.one_load`` asks; with ``odd`` on, otherwise."""

    odd: str = "nothing"

    def start(self, request: StartRequest, number: int) -> Start:
        made = super().start(request, number)
        asked = request.phase in (Phase.CONFIRM, Phase.ANSWERS) or request.candidate == BASELINE
        if not asked or not made.valid:
            return made
        other = self.odd in dict(request.candidate)
        return replace(made, answers=((1, 2, 3, 9 if other else 4),))


def test_what_is_left_takes_the_answers_of_unconfirmed_profiles() -> None:
    plain, starts = play(TWELVE, Machine(GAINS)), play(TWELVE, Answering(GAINS, odd="t0"))
    extra = [start for start in starts if start.request.phase is Phase.ANSWERS]
    assert len(extra) >= 1
    assert len(starts) <= 30
    assert [s.request for s in starts] == [s.request for s in plain]
    found, before = conclude(History.of(TWELVE, starts)), conclude(History.of(TWELVE, plain))
    assert (found.proven, found.best, found.answers) == (
        before.proven,
        before.best,
        before.answers,
    )
    assert "t0" in dict(found.proven)
    assert {found.proven, found.best} <= {start.request.candidate for start in extra}
    assert not any(start.request.phase is Phase.CONFIRM for start in starts)
    proven = next(one for one in found.fidelity if one.arm == "proven")
    assert (proven.arm, proven.agreement, proven.diverges_at) == ("proven", 0.75, 4)
    assert any(note.startswith("proven ANSWERS OTHERWISE") for note in found.notes)
    assert not any("nor whether they change" in note for note in found.notes)
    assert any("nor whether they change the answers" in note for note in before.notes)


def test_with_more_left_the_baseline_answers_twice() -> None:
    space = replace(TWELVE, budget=Budget(starts=32))
    starts = play(space, Answering(GAINS))
    extra = [s.request.arm for s in starts if s.request.phase is Phase.ANSWERS]
    stock = [s for s in starts if s.request.candidate == BASELINE]
    found = conclude(History.of(space, starts))
    assert len(starts) <= 32
    assert set(extra) <= {"proven", "max", "baseline"}
    assert len(extra) == len(set(extra))
    assert all(one.kept and (one.floor == 1.0) == (len(stock) > 1) for one in found.fidelity)


def test_a_failing_start_is_not_made_again() -> None:
    class Failing(Answering):
        def start(self, request: StartRequest, number: int) -> Start:
            made = super().start(request, number)
            fails = request.phase is Phase.ANSWERS
            return replace(made, outcome=Outcome.LOAD_FAILED, answers=()) if fails else made

    starts = play(TWELVE, Failing(GAINS))
    arms = [s.request.arm for s in starts if s.request.phase is Phase.ANSWERS]
    assert len(arms) == len(set(arms)) >= 1
    found = conclude(History.of(TWELVE, starts))
    assert any("proven failed in the start" in note for note in found.notes)


def test_a_confirmed_study_makes_no_further_start() -> None:
    space = Space(factors(5), budget=Budget(starts=40))
    starts = play(space, Answering(GAINS))
    assert any(start.request.phase is Phase.CONFIRM for start in starts)
    found = conclude(History.of(space, starts))
    fresh = {s.request.candidate for s in starts if s.request.phase is Phase.CONFIRM}
    extra = [s for s in starts if s.request.phase is Phase.ANSWERS]
    assert (
        not extra
        if {found.proven, found.best} <= fresh
        else all(s.request.candidate not in fresh for s in extra)
    )


def test_every_phase_has_its_place() -> None:
    assert set(_STREAMS) == set(Phase)
    assert {each.phase for each in PHASES} == set(Phase) - {Phase.ANSWERS}
    seeds = {block_seed(TWELVE, phase, block) for phase in Phase for block in range(20)}
    assert len(seeds) == 20 * len(Phase)
