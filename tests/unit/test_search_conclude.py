"""What a study says: verdicts, profiles, comparisons and their sentences."""

import math
from dataclasses import replace

import pytest

from tests.simulator import Machine, factors, play, play_blocks, study, verdicts
from trimtab.model import Budget, Conclusion, Factor, Phase, Space, Start, StartRequest, Verdict
from trimtab.search import conclude

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
    assert seen["dtype"] is Verdict.WIN
    assert seen["t0"] is Verdict.WIN
    assert seen["t1"] is Verdict.LOSS
    assert seen["dummy"] in (Verdict.NOT_PROVEN, Verdict.NO_EFFECT)


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
    assert dummy.verdict is Verdict.NOT_PROVEN
    assert "is not detectable" in dummy.reason


def test_a_tight_interval_inside_the_margin_is_no_effect() -> None:
    seen = verdicts(study(SPACE, replace(MACHINE, sd=0.002)))
    assert seen["t5"] is Verdict.NO_EFFECT
    wide = verdicts(study(SPACE, replace(MACHINE, sd=0.1)))
    assert wide["t5"] is Verdict.NOT_PROVEN


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


@pytest.mark.parametrize(("leads", "starts"), [(("dtype",), 8), ((), 14)])
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
        part = conclude(SPACE, starts[:cut])
        assert len(part.answers) == len(SPACE.factors)
        assert part == conclude(SPACE, starts[:cut])
    empty = conclude(SPACE, [])
    assert (empty.sd, empty.detectable, empty.guide, empty.confirmed) == (None, None, None, ())
    assert set(verdicts(empty).values()) == {Verdict.NOT_PROVEN}


def test_before_the_confirmation_nothing_is_in_the_proven_profile() -> None:
    starts = [s for s in play_blocks(SPACE, MACHINE) if s.request.phase is not Phase.CONFIRM]
    part = conclude(SPACE, starts)
    assert verdicts(part)["dtype"] is Verdict.WIN
    assert part.proven == ()
    assert any("not confirmed" in note for note in part.notes)


def test_a_gain_that_is_gone_when_confirmed_is_not_proven() -> None:
    class Fading(Machine):
        def start(self, request: StartRequest, number: int) -> Start:
            fresh = request.phase is Phase.CONFIRM
            machine = Machine({} if fresh else self.effects, sd=self.sd)
            return machine.start(request, number)

    found = conclude(SPACE, play(SPACE, Fading(MACHINE.effects, sd=0.02)))
    assert verdicts(found)["dtype"] is Verdict.WIN
    assert found.proven == ()
    assert any("not above 1" in note for note in found.notes)


def test_what_was_not_screened_says_why() -> None:
    space = replace(
        SPACE, budget=Budget(starts=24), conflicts=frozenset({frozenset(("dtype", "t0"))})
    )
    reasons = {each.tuning: each.reason for each in study(space, MACHINE).answers}
    assert "conflicts with dtype" in reasons["t0"]
    assert "the budget leaves room for" in reasons["t6"]
    small = study(replace(SPACE, budget=Budget(starts=13)), MACHINE)
    assert any("no screen" in note for note in small.notes)
    assert "no room for a screen" in {a.tuning: a.reason for a in small.answers}["t6"]


def test_of_two_winners_in_conflict_the_larger_is_kept() -> None:
    space = Space(
        factors(3), budget=Budget(starts=48), conflicts=frozenset({frozenset(("t0", "t1"))})
    )
    found = study(space, Machine({"t0": 0.2, "t1": 0.4}, sd=0.01))
    assert verdicts(found)["t0"] is Verdict.WIN
    assert verdicts(found)["t1"] is Verdict.WIN
    assert dict(found.proven) == {"t1": "on"}


def test_lower_is_better_objectives_are_turned_around() -> None:
    class Latency(Machine):
        def start(self, request: StartRequest, number: int) -> Start:
            made = super().start(request, number)
            return replace(made, metrics={"ttft_p99": 1e4 / made.metrics["output_throughput"]})

    space = replace(SPACE, objective="ttft_p99", higher_is_better=False)
    found = conclude(space, play(space, Latency(MACHINE.effects, sd=0.02)))
    assert verdicts(found)["dtype"] is Verdict.WIN
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
    assert by_name["aot"].verdict is Verdict.WIN
    assert by_name["aot"].metric == "startup"
    assert by_name["aot"].effect.ratio == pytest.approx(math.exp(0.5), rel=0.1)
    assert by_name["cheat"].verdict is Verdict.LOSS
    assert by_name["cheat"].metric == "output_throughput"
    assert dict(found.proven) == {"aot": "0"}
    metrics = {c.metric: c.effect.ratio for c in found.confirmed if c.arm == "proven"}
    assert metrics["output_throughput"] == pytest.approx(1.0, abs=0.05)
    assert metrics["startup"] == pytest.approx(math.exp(0.5), rel=0.05)


def test_a_longer_startup_is_a_loss() -> None:
    found = study(BOOT, Machine(startup={"aot": 0.5}, sd=0.02))
    assert verdicts(found)["aot"] is Verdict.LOSS


def test_a_missing_metric_is_missing_for_that_metric_only() -> None:
    class Forgetful(Machine):
        def start(self, request: StartRequest, number: int) -> Start:
            made = super().start(request, number)
            return replace(made, metrics={"output_throughput": made.metrics["output_throughput"]})

    found = conclude(BOOT, play(BOOT, Forgetful({"t0": 0.2}, sd=0.01)))
    by_name = {each.tuning: each for each in found.answers}
    assert by_name["t0"].verdict is Verdict.WIN
    assert by_name["aot"].verdict is Verdict.NOT_PROVEN
    assert by_name["aot"].effect.ratio is None


def test_an_inert_tuning_that_passes_is_an_alarm_and_not_a_win() -> None:
    found = study(SPACE, replace(MACHINE, effects={**MACHINE.effects, "dummy": 0.3}))
    assert verdicts(found)["dummy"] is Verdict.NOT_PROVEN
    assert "dummy" not in dict(found.best)
    assert any("inert" in note for note in found.notes)
    quiet = study(SPACE, MACHINE)
    assert not any("inert" in note for note in quiet.notes)
