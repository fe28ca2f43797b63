"""What a study says: verdicts, profiles, comparisons and their sentences."""

import math
from dataclasses import replace

import pytest

from tests.simulator import Machine, factors, play, play_blocks, study, verdicts
from trimtab.model import (
    Budget,
    Conclusion,
    Factor,
    Outcome,
    Phase,
    Space,
    Start,
    StartRequest,
    Verdict,
    Window,
)
from trimtab.search import History, conclude
from trimtab.search.history import comparable_starts

SPACE = Space(
    factors(7, leads=("dtype", "mp")),
    budget=Budget(starts=48),
    guide=(("mp", "on"), ("t0", "on")),
)
MACHINE = Machine({"dtype": 1.4, "t0": 0.15, "t1": -0.2}, sd=0.02)


@pytest.fixture(scope="module")
def found() -> Conclusion:
    return study(SPACE, MACHINE)


def test_answers_are_in_the_order_of_the_factors(found: Conclusion) -> None:
    assert [each.tuning for each in found.answers] == [f.tuning for f in SPACE.factors]
    assert all(each.reason for each in found.answers)
    assert all("\n" not in each.reason for each in found.answers)


def test_verdicts(found: Conclusion) -> None:
    seen = verdicts(found)
    assert seen["dtype"] is Verdict.ADOPT
    assert seen["t0"] is Verdict.ADOPT
    assert seen["t1"] is Verdict.AVOID
    assert seen["dummy"] in (Verdict.INCONCLUSIVE, Verdict.NO_EFFECT)


def test_a_lead_speaks_of_the_baseline_and_the_rest_of_the_centre(found: Conclusion) -> None:
    by_name = {each.tuning: each for each in found.answers}
    assert by_name["dtype"].phase == "lead"
    assert "alone against the baseline" in by_name["dtype"].reason
    assert by_name["t0"].phase == "screen"
    assert "around dtype=on" in by_name["t0"].reason
    effect = by_name["t0"].effect
    assert effect.low is not None
    assert effect.high is not None
    assert effect.low < math.exp(0.15) < effect.high


def test_not_proven_says_what_could_have_been_seen() -> None:
    answers = study(replace(SPACE, margin=0.0001), MACHINE).answers
    dummy = next(each for each in answers if each.tuning == "dummy")
    assert dummy.verdict is Verdict.INCONCLUSIVE
    assert "is not detectable" in dummy.reason


def test_a_tight_interval_inside_the_margin_is_no_effect() -> None:
    seen = verdicts(study(SPACE, replace(MACHINE, sd=0.002)))
    assert seen["t5"] is Verdict.NO_EFFECT
    wide = verdicts(study(SPACE, replace(MACHINE, sd=0.1)))
    assert wide["t5"] is Verdict.INCONCLUSIVE


def test_profiles_hold_what_won_and_the_confirmation_says_how_much(found: Conclusion) -> None:
    assert dict(found.proven) == {"dtype": "on", "t0": "on"}
    assert set(found.proven) <= set(found.best)
    first = found.confirmed[0]
    assert (first.arm, first.metric) == ("proven", "output_throughput")
    assert first.effect.ratio == pytest.approx(math.exp(1.55), rel=0.05)
    assert first.value / first.baseline == pytest.approx(first.effect.ratio)


def test_the_guide_is_compared_with_the_baseline(found: Conclusion) -> None:
    assert found.guide is not None
    assert found.guide.arm == "guide"
    assert found.guide.effect.ratio == pytest.approx(math.exp(0.15), rel=0.1)
    assert not any("guide" in note for note in found.notes)
    without = study(replace(SPACE, guide=None), MACHINE)
    assert without.guide is None
    assert not any("guide" in note for note in without.notes)


@pytest.mark.parametrize(("leads", "starts"), [(("dtype",), 8), ((), 8)])
def test_a_budget_without_room_for_the_guide_says_so(leads: tuple[str, ...], starts: int) -> None:
    space = Space(factors(4, leads=leads), budget=Budget(starts=starts), guide=SPACE.guide)
    small = study(space, MACHINE)
    assert small.guide is None
    assert any("guide" in note for note in small.notes)


def test_noise_and_detectable_are_reported(found: Conclusion) -> None:
    assert found.sd == pytest.approx(0.02, rel=0.5)
    assert found.detectable is not None
    assert 0.01 < found.detectable < 0.15


def test_any_part_of_a_study_can_be_concluded() -> None:
    starts = play_blocks(SPACE, MACHINE)
    for cut in range(len(starts)):
        part = conclude(History.of(SPACE, starts[:cut]))
        assert len(part.answers) == len(SPACE.factors)
        assert part == conclude(History.of(SPACE, starts[:cut]))
    empty = conclude(History.of(SPACE, []))
    assert (empty.sd, empty.detectable, empty.guide, empty.confirmed) == (None, None, None, ())
    assert set(verdicts(empty).values()) == {Verdict.NOT_TESTED}


def test_before_the_confirmation_nothing_is_in_the_proven_profile() -> None:
    starts = [s for s in play_blocks(SPACE, MACHINE) if s.request.phase is not Phase.CONFIRM]
    part = conclude(History.of(SPACE, starts))
    assert verdicts(part)["dtype"] is Verdict.ADOPT
    assert part.proven == ()
    assert any("not confirmed" in note for note in part.notes)


def test_a_gain_that_is_gone_when_confirmed_is_not_proven() -> None:
    class Fading(Machine):
        def start(self, request: StartRequest, number: int) -> Start:
            fresh = request.phase is Phase.CONFIRM
            machine = Machine({} if fresh else self.effects, sd=self.sd)
            return machine.start(request, number)

    found = conclude(History.of(SPACE, play(SPACE, Fading(MACHINE.effects, sd=0.02))))
    assert verdicts(found)["dtype"] is Verdict.ADOPT
    assert found.proven == ()
    assert not [one for one in found.confirmed if one.arm == "proven"]
    assert any(note.startswith("tested and not confirmed: dtype=on") for note in found.notes)


def test_what_was_not_screened_says_why() -> None:
    space = replace(
        SPACE, budget=Budget(starts=24), conflicts=frozenset({frozenset(("dtype", "t0"))})
    )
    reasons = {each.tuning: each.reason for each in study(space, MACHINE).answers}
    assert "excluded by dtype" in reasons["t0"]
    assert "the budget has room for" in reasons["t6"]
    small = study(replace(SPACE, budget=Budget(starts=13)), MACHINE)
    assert any("no screen" in note for note in small.notes)
    assert "no room to test it" in {a.tuning: a.reason for a in small.answers}["t6"]


def test_of_two_winners_in_conflict_the_larger_is_kept() -> None:
    space = Space(
        factors(3), budget=Budget(starts=48), conflicts=frozenset({frozenset(("t0", "t1"))})
    )
    found = study(space, Machine({"t0": 0.2, "t1": 0.4}, sd=0.01))
    assert verdicts(found)["t0"] is Verdict.ADOPT
    assert verdicts(found)["t1"] is Verdict.ADOPT
    assert dict(found.proven) == {"t1": "on"}


def test_lower_is_better_objectives_are_turned_around() -> None:
    class Latency(Machine):
        def start(self, request: StartRequest, number: int) -> Start:
            made = super().start(request, number)
            return replace(made, metrics={"ttft_p99": 1e4 / made.metrics["output_throughput"]})

    space = replace(SPACE, objective="ttft_p99", higher_is_better=False)
    found = conclude(History.of(space, play(space, Latency(MACHINE.effects, sd=0.02))))
    assert verdicts(found)["dtype"] is Verdict.ADOPT
    first = found.confirmed[0]
    assert first.effect.ratio is not None
    assert first.effect.ratio > 3
    assert first.value < first.baseline


# --- factors about another metric than the objective

BOOT = Space(
    (*factors(4), Factor("aot", "0", metric="startup"), Factor("cheat", "1", metric="startup")),
    budget=Budget(starts=40),
)


def test_a_factor_about_startup_is_judged_on_startup() -> None:
    machine = Machine({"cheat": -0.2}, startup={"aot": -0.5, "cheat": -0.5}, sd=0.02)
    found = study(BOOT, machine)
    by_name = {each.tuning: each for each in found.answers}
    assert by_name["aot"].verdict is Verdict.ADOPT
    assert by_name["aot"].metric == "startup"
    assert by_name["aot"].effect.ratio == pytest.approx(math.exp(0.5), rel=0.1)
    assert by_name["cheat"].verdict is Verdict.AVOID
    assert by_name["cheat"].metric == "output_throughput"
    assert dict(found.proven) == {"aot": "0"}
    metrics = {c.metric: c.effect.ratio for c in found.confirmed if c.arm == "proven"}
    assert metrics["output_throughput"] == pytest.approx(1.0, abs=0.05)
    assert metrics["startup"] == pytest.approx(math.exp(0.5), rel=0.05)


def test_a_longer_startup_is_a_loss() -> None:
    found = study(BOOT, Machine(startup={"aot": 0.5}, sd=0.02))
    assert verdicts(found)["aot"] is Verdict.AVOID


def test_a_missing_metric_is_missing_for_that_metric_only() -> None:
    class Forgetful(Machine):
        def start(self, request: StartRequest, number: int) -> Start:
            made = super().start(request, number)
            return replace(made, metrics={"output_throughput": made.metrics["output_throughput"]})

    found = conclude(History.of(BOOT, play(BOOT, Forgetful({"t0": 0.2}, sd=0.01))))
    by_name = {each.tuning: each for each in found.answers}
    assert by_name["t0"].verdict is Verdict.ADOPT
    assert by_name["aot"].verdict is Verdict.INCONCLUSIVE
    assert by_name["aot"].effect.ratio is None


def test_an_inert_tuning_that_passes_is_an_alarm_and_not_a_win() -> None:
    found = study(SPACE, replace(MACHINE, effects={**MACHINE.effects, "dummy": 0.3}))
    assert verdicts(found)["dummy"] is Verdict.INCONCLUSIVE
    assert "dummy" not in dict(found.best)
    assert any("inert" in note for note in found.notes)
    quiet = study(SPACE, MACHINE)
    assert not any("inert" in note for note in quiet.notes)


# --- what an estimate rests on


def test_a_lead_counts_its_own_starts_and_the_baselines() -> None:
    starts = play_blocks(SPACE, MACHINE)
    lead = [s for s in starts if s.request.phase is Phase.LEAD]
    own = sum(s.request.arm in ("baseline", "dtype=on") for s in lead)
    answer = next(
        each for each in conclude(History.of(SPACE, starts)).answers if each.tuning == "dtype"
    )
    assert answer.effect.starts == own < len(lead)
    assert f"{own} starts" in answer.reason


def test_a_screened_tuning_counts_all_rows_but_not_the_guide() -> None:
    space = Space(factors(4), budget=Budget(starts=30), guide=(("t0", "on"),))
    starts = play_blocks(space, MACHINE)
    screened = [s.request.arm for s in starts if s.request.phase is Phase.SCREEN]
    assert "guide" in screened
    found = next(
        each for each in conclude(History.of(space, starts)).answers if each.tuning == "t1"
    )
    assert found.effect.starts == len(screened) - 1


@pytest.mark.parametrize("value", [0.0, None])
def test_a_start_without_a_positive_objective_is_left_out_with_a_note(
    value: float | None,
) -> None:
    starts = play_blocks(SPACE, MACHINE)
    metrics = {"startup": 20.0} if value is None else {"output_throughput": value}
    broken = [replace(s, metrics=metrics) if s.number in (2, 9) else s for s in starts]
    said = "2 starts have no positive value of output_throughput and are left out: 2, 9"
    assert said in conclude(History.of(SPACE, broken)).notes
    assert not any("positive value" in note for note in conclude(History.of(SPACE, starts)).notes)


def test_another_metric_may_be_absent_without_a_word_but_not_zero() -> None:
    starts = play_blocks(BOOT, Machine(sd=0.02))
    absent = [
        replace(s, metrics={k: v for k, v in s.metrics.items() if k != "startup"}) for s in starts
    ]
    assert not any("positive value" in note for note in conclude(History.of(BOOT, absent)).notes)
    zero = [replace(starts[0], metrics={**starts[0].metrics, "startup": 0.0}), *starts[1:]]
    said = "1 start has no positive value of startup and is left out: 1"
    assert said in conclude(History.of(BOOT, zero)).notes


def window(index: int, value: float, *, void: bool = False) -> Window:
    reasons = ("others used the machine",) if void else ()
    return Window(index, 0.0, 1.0, 8, {"output_throughput": value}, reasons)


def measured(number: int, arm: str, block: int, *windows: Window) -> Start:
    request = StartRequest(Phase.LEAD, block, arm, (), 1)
    metrics = {"output_throughput": 1.0, "startup": 9.0}
    return Start(number, request, "p", Outcome.MEASURED, metrics, tuple(windows))


def test_arms_of_a_block_are_judged_by_the_windows_they_share() -> None:
    slow = measured(1, "baseline", 0, window(0, 10.0))
    fast = measured(2, "x=1", 0, window(0, 40.0), window(1, 90.0))
    other = measured(3, "x=1", 1, window(0, 40.0), window(1, 90.0))
    found = comparable_starts([slow, fast, other])
    values = [round(start.metrics["output_throughput"], 6) for start in found]
    assert values == [10.0, 40.0, 60.0]
    assert {start.metrics["startup"] for start in found} == {9.0}
    assert [start.number for start in found] == [1, 2, 3]


def test_a_void_window_is_not_shared_and_a_block_without_a_shared_one_stays() -> None:
    one = measured(1, "a", 0, window(0, 10.0, void=True), window(1, 20.0))
    two = measured(2, "b", 0, window(0, 40.0), window(1, 30.0))
    assert [
        s.metrics["output_throughput"] for s in comparable_starts([one, two])
    ] == pytest.approx([20.0, 30.0])
    apart = measured(3, "b", 0, window(0, 40.0))
    assert [s.metrics["output_throughput"] for s in comparable_starts([one, apart])] == [1.0, 1.0]
