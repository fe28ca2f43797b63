"""Which profiles stand after the confirmation, and what is said of those that do not."""

from __future__ import annotations

import pytest

from tests.simulator import Machine, factors, play, play_blocks
from trimtab.model import (
    Budget,
    Comparison,
    Effect,
    Factor,
    Outcome,
    Phase,
    Space,
    Start,
    StartRequest,
    TuningVerdict,
    Value,
    Verdict,
    candidate,
)
from trimtab.search import History, conclude, incumbent
from trimtab.search.comparisons import Contender
from trimtab.search.estimates import analyse
from trimtab.search.final_profiles import FinalProfiles, final_profiles
from trimtab.search.selection import Profiles

A, B, C = (Factor(name, "on") for name in "abc")
SPACE = Space((A, B, C))
METRIC = SPACE.objective


def arm(
    name: str,
    chosen: tuple[Factor, ...],
    ratio: tuple[float, float, float] | None,
    failed: int = 0,
    starts: int = 3,
    *,
    worse: bool = False,
) -> Contender:
    """Make a tested profile with its ratio, low and high."""
    if ratio is None:
        return Contender(name, chosen, (), starts, failed)
    effect = Effect(*ratio, 0.01, 2 * starts - failed)
    compared = Comparison(name, METRIC, 100.0, 100.0 * ratio[0], effect)
    return Contender(name, chosen, (compared,), starts, failed, worse=worse)


def judge(planned: Profiles, *tried: Contender, won: str = "ab") -> FinalProfiles:
    nothing = Effect(None, None, None, None, 0)
    answers = [
        TuningVerdict(
            name, "on", Verdict.ADOPT if name in won else Verdict.INCONCLUSIVE, nothing, METRIC, ""
        )
        for name in "abc"
    ]
    return final_profiles(SPACE, answers, planned, tried)


def names(values: tuple[tuple[str, Value], ...]) -> str:
    return "".join(name for name, _ in values)


BOTH = Profiles((A, B), (A, B, C))
SAME = Profiles((A, B), (A, B))
GOOD, BETTER = (1.5, 1.3, 1.7), (1.6, 1.4, 1.8)
OPEN, BAD = (1.05, 0.9, 1.2), (0.97, 0.9, 1.04)


def confirmed(found: FinalProfiles) -> dict[str, float | None]:
    return {one.arm: one.effect.ratio for one in found.confirmed}


def test_both_profiles_stand() -> None:
    found = judge(BOTH, arm("proven", (A, B), GOOD), arm("max", (A, B, C), BETTER))
    assert (names(found.proven), names(found.best)) == ("ab", "abc")
    assert confirmed(found) == {"proven": 1.5, "max": 1.6}
    assert found.notes == ()


def test_a_rejected_profile_is_a_note_and_not_a_comparison() -> None:
    found = judge(SAME, arm("proven", (A, B), BAD, worse=True))
    assert (found.proven, found.best, found.confirmed) == ((), (), ())
    assert "tested and not confirmed: a=on, b=on: -3.0 % [-10.0, +4.0]" in found.notes
    assert any("not confirmed: the proven profile is the baseline" in n for n in found.notes)


def test_what_won_its_tests_stands_unless_the_fresh_starts_contradict() -> None:
    found = judge(SAME, arm("proven", (A, B), OPEN))
    assert names(found.proven) == names(found.best) == "ab"
    assert confirmed(found) == {"proven": 1.05}
    assert [n for n in found.notes if "the confirmation alone does not show it: +5.0 %" in n]


def test_a_profile_that_only_came_out_low_stands_so_that_its_claim_is_not_the_lucky_half() -> None:
    found = judge(SAME, arm("proven", (A, B), BAD))
    assert names(found.proven) == names(found.best) == "ab"
    assert confirmed(found) == {"proven": 0.97}
    assert [n for n in found.notes if "the confirmation alone does not show it: -3.0 %" in n]


def test_a_profile_that_was_not_measured_does_not_stand() -> None:
    assert judge(SAME, arm("proven", (A, B), None)).proven == ()


def test_a_max_that_won_throughout_ends_as_proven_under_that_name() -> None:
    found = judge(BOTH, arm("proven", (A, B), GOOD), arm("max", (A, B, C), BETTER), won="abc")
    assert names(found.proven) == names(found.best) == "abc"
    assert confirmed(found) == {"proven": 1.6}
    assert [n for n in found.notes if n.startswith("tested and not confirmed: a=on, b=on: ")]


@pytest.mark.parametrize("won", ["ab", "abc"])
def test_a_max_that_is_shown_to_give_less_is_the_proven_one(won: str) -> None:
    proven, most = arm("proven", (A, B), GOOD), arm("max", (A, B, C), (1.4, 1.3, 1.5), worse=True)
    found = judge(BOTH, proven, most, won=won)
    assert names(found.proven) == names(found.best) == "ab"
    assert confirmed(found) == {"proven": 1.5}
    assert [n for n in found.notes if "the max profile is the proven one" in n]
    assert [n for n in found.notes if n.startswith("tested and not confirmed: a=on, b=on, c=on")]


def test_of_two_that_came_out_low_max_is_the_larger_that_is_not_shown_worse() -> None:
    for bad, kept in ((False, "abc"), (True, "ab")):
        most = arm("max", (A, B, C), (1.02, 0.9, 1.2), worse=bad)
        found = judge(BOTH, arm("proven", (A, B), BAD), most)
        assert (names(found.proven), names(found.best)) == ("ab", kept)
    beaten = arm("proven", (A, B), BAD, worse=True), arm("max", (A, B, C), BAD, worse=True)
    worse = judge(BOTH, *beaten)
    assert (worse.proven, worse.best, worse.confirmed) == ((), (), ())
    assert [n for n in worse.notes if "the max profile is the baseline" in n]


def test_a_max_that_failed_in_every_start_falls_back() -> None:
    found = judge(
        BOTH, arm("proven", (A, B), GOOD), arm("max", (A, B, C), None, failed=2, starts=2)
    )
    assert names(found.best) == "ab"
    assert "a=on, b=on, c=on failed in 2 of 2 starts of the confirmation: it is not proven" in (
        found.notes
    )
    assert [n for n in found.notes if "the max profile is the proven one" in n]


def test_a_max_that_was_no_arm_is_offered_untested() -> None:
    found = judge(BOTH, arm("proven", (A, B), GOOD))
    assert (names(found.proven), names(found.best)) == ("ab", "abc")
    assert confirmed(found) == {"proven": 1.5}
    assert "the max profile (a=on, b=on, c=on) was not confirmed" in found.notes


@pytest.mark.parametrize(("failed", "stands"), [(0, True), (1, True), (2, False)])
def test_failed_starts_of_the_confirmation_count(failed: int, stands: bool) -> None:
    found = judge(SAME, arm("proven", (A, B), GOOD, failed=failed, starts=6))
    assert bool(found.proven) is stands
    said = [note for note in found.notes if f"failed in {failed} of 6 starts" in note]
    assert bool(said) is bool(failed)
    assert ("proven" in confirmed(found)) is stands


# --- the same through whole studies

LEAD = Space(factors(6, leads=("dtype",)), budget=Budget(starts=36))


def fading(gain: float) -> Machine:
    """Return a machine whose lead gives a lot, and ``gain`` (log) in the confirmation."""

    class Fading(Machine):
        def start(self, request: StartRequest, number: int) -> Start:
            fresh = request.phase is Phase.CONFIRM
            effects = {"dtype": gain} if fresh else self.effects
            return Machine(effects, sd=self.sd).start(request, number)

    return Fading({"dtype": 1.4}, sd=0.02)


def test_what_is_confirmed_is_what_the_profiles_hold() -> None:
    for gain in (1.4, 0.01, -0.3):
        starts = play(LEAD, fading(gain))
        found = conclude(History.of(LEAD, starts))
        made = {s.request.candidate for s in starts if s.request.phase is Phase.CONFIRM}
        final_ones = {"proven": found.proven, "max": found.best}
        for one in found.confirmed:
            assert final_ones[one.arm] in made - {()}
        assert len({one.arm for one in found.confirmed}) == len(
            {values for values in final_ones.values() if values}
        )


def test_the_leader_of_a_study_is_never_a_rejected_profile() -> None:
    starts = play(LEAD, fading(-0.3))
    before = [s for s in starts if s.request.phase is not Phase.CONFIRM]
    lead = incumbent(History.of(LEAD, before))
    assert lead is not None
    assert lead.arm == "dtype=on"
    assert incumbent(History.of(LEAD, starts)) is None
    kept = incumbent(History.of(LEAD, play(LEAD, fading(1.4))))
    assert kept is not None
    assert kept.arm in ("proven", "max")


def test_a_profile_that_fails_now_and_then_is_not_proven() -> None:
    def crash(often: int) -> Machine:
        class Crashing(Machine):
            def start(self, request: StartRequest, number: int) -> Start:
                made = Machine(self.effects, sd=self.sd).start(request, number)
                fails = request.block in (1, 3)[:often] and request.phase is Phase.CONFIRM
                if not (fails and request.candidate):
                    return made
                return Start(number, request, made.plan, Outcome.LOAD_FAILED, seconds=30.0)

        return Crashing({"dtype": 1.4}, sd=0.02)

    space = Space(factors(1, leads=("dtype",)), budget=Budget(starts=24))
    once, twice = (conclude(History.of(space, play(space, crash(often)))) for often in (1, 2))
    assert dict(once.proven) == {"dtype": "on"}
    assert any("failed in 1 of" in note for note in once.notes)
    assert twice.proven == ()
    assert any("it is not proven" in note for note in twice.notes)


# --- noise


def test_a_quiet_lead_phase_does_not_lend_its_noise_to_a_loud_screen() -> None:
    class Uneven(Machine):
        def start(self, request: StartRequest, number: int) -> Start:
            sd = 0.15 if request.phase is Phase.SCREEN else 0.005
            return Machine(self.effects, sd=sd).start(request, number)

    space = Space(factors(4, leads=("dtype", "mp")), budget=Budget(starts=40))
    even, uneven = (
        analyse(space, play_blocks(space, machine))
        for machine in (Machine({"dtype": 1.4}, sd=0.02), Uneven({"dtype": 1.4}))
    )
    lead, screen = (Phase.LEAD, METRIC), (Phase.SCREEN, METRIC)
    assert even.noise[lead] == even.noise[screen]
    assert even.noise[lead].df == even.fits[lead].noise.df + even.fits[screen].noise.df
    assert uneven.noise[screen] == uneven.fits[screen].noise
    sd = uneven.noise[lead].sd
    assert sd is not None
    assert sd < 0.05


def test_the_confirmation_speaks_with_its_own_noise_from_three_degrees_on() -> None:
    space = Space(factors(4, leads=("dtype",)), budget=Budget(starts=40))
    starts = play_blocks(space, Machine({"dtype": 1.4}, sd=0.03, seed=5))
    last = [s for s in starts if s.request.phase is Phase.CONFIRM]
    key = (Phase.CONFIRM, METRIC)
    for blocks in (2, 3, 4):
        part = [
            s
            for s in starts
            if s not in last or (s.request.block < blocks and s.request.arm != "max")
        ]
        found = analyse(space, part)
        own = found.fits[key].noise
        assert own.df == blocks - 1
        assert (found.noise[key] == own) is (own.df >= 3)


def test_the_arm_of_a_start_is_known_whichever_attempt_it_was() -> None:
    first = StartRequest(Phase.LEAD, 0, "url=a#b", candidate({"url": "a#b"}), 1)
    assert first.stem == "url=a#b"
    assert first.again().arm == "url=a#b#2"
    assert first.again().stem == first.stem
