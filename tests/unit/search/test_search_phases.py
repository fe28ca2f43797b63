"""What the strategy asks for: phases, blocks, seeds, budgets, and that it is a pure function."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulator import Machine, factors, play, play_blocks
from trimtab.errors import UsageError
from trimtab.model import (
    BASELINE,
    Budget,
    Factor,
    Outcome,
    Phase,
    Space,
    Start,
    StartRequest,
    Value,
)
from trimtab.search import History, PhasedStrategy, conclude, design

GUIDE = (("dtype", "on"), ("t1", "on"))
LEADS = Space(factors(9, leads=("dtype", "mp")), budget=Budget(starts=30), guide=GUIDE)
PLAIN = Space(factors(6), budget=Budget(starts=30), guide=GUIDE)
FAST = Machine({"dtype": 1.4, "mp": 0.4, "t0": 0.1}, sd=0.02)


def of(starts: list[Start], phase: Phase) -> list[Start]:
    return [start for start in starts if start.request.phase is phase]


def place(start: Start) -> tuple[str, int]:
    return (start.request.phase.value, start.request.block)


def arms(starts: list[Start], phase: Phase, block: int) -> list[str]:
    return [s.request.arm for s in of(starts, phase) if s.request.block == block]


def test_leads_come_first_each_alone_with_the_guide_in_the_first_block() -> None:
    starts = play(LEADS, FAST)
    assert sorted(arms(starts, Phase.LEAD, 0)) == ["baseline", "dtype=on", "guide", "mp=on"]
    assert sorted(arms(starts, Phase.LEAD, 1)) == ["baseline", "dtype=on", "mp=on"]
    candidates = {s.request.arm: s.request.candidate for s in of(starts, Phase.LEAD)}
    assert candidates["baseline"] == BASELINE
    assert candidates["mp=on"] == (("mp", "on"),)
    assert candidates["guide"] == GUIDE


def test_the_rest_is_screened_around_the_leads_that_won() -> None:
    screened = of(play(LEADS, FAST), Phase.SCREEN)
    assert len(screened) % 4 == 0
    for start in screened:
        assert {("dtype", "on"), ("mp", "on")} <= set(start.request.candidate)
    on = Counter(name for start in screened for name, _ in start.request.candidate)
    toggled = {name for name in on if name not in ("dtype", "mp")}
    assert "dummy" in toggled
    assert all(on[name] == len(screened) / 2 for name in toggled)


def test_a_lead_that_did_not_win_is_screened_like_the_others() -> None:
    screened = of(play(LEADS, Machine({"dtype": 1.4}, sd=0.02, seed=3)), Phase.SCREEN)
    on = Counter(name for start in screened for name, _ in start.request.candidate)
    assert on["dtype"] == len(screened)
    assert on["mp"] == len(screened) / 2


def test_without_leads_the_screen_opens_with_baseline_and_guide() -> None:
    starts = play(PLAIN, FAST)
    assert not of(starts, Phase.LEAD)
    first = arms(starts, Phase.SCREEN, 0)
    assert {"baseline", "guide"} < set(first)
    assert all(arm.startswith("row-") for arm in arms(starts, Phase.SCREEN, 1))
    rows = [s.request.candidate for s in of(starts, Phase.SCREEN) if "row" in s.request.arm]
    assert len(rows) % 4 == 0


def test_confirmation_compares_the_profiles_in_blocks_of_opposite_order() -> None:
    starts = play(LEADS, FAST)
    assert starts[-1].request.phase is Phase.CONFIRM
    first, second = (arms(starts, Phase.CONFIRM, block) for block in (0, 1))
    assert set(first) <= {"baseline", "proven", "max"}
    assert second == first[::-1]
    assert len(of(starts, Phase.CONFIRM)) >= 3 * len(first)
    candidates = {s.request.arm: dict(s.request.candidate) for s in of(starts, Phase.CONFIRM)}
    assert candidates["baseline"] == {}
    assert candidates["proven"] == {"dtype": "on", "mp": "on", "t0": "on"}
    if "max" in candidates:
        assert candidates["proven"].items() < candidates["max"].items()
    assert "dummy" not in candidates.get("max", {})


def test_nothing_likely_means_no_confirmation() -> None:
    bad = Machine({f"t{i}": -0.2 for i in range(6)} | {"dummy": -0.001}, sd=0.001)
    assert not of(play(PLAIN, bad), Phase.CONFIRM)


def test_a_block_shares_a_seed_and_no_two_blocks_do() -> None:
    starts = play(LEADS, FAST)
    seeds: dict[tuple[str, int], set[int]] = {}
    for start in starts:
        seeds.setdefault(place(start), set()).add(start.request.seed)
    assert all(len(found) == 1 for found in seeds.values())
    used = {seed for found in seeds.values() for seed in found}
    assert len(used) == len(seeds)
    other = play(replace(LEADS, seed=1), FAST)
    assert not {s.request.seed for s in other} & used


def test_orders_are_random_between_seeds() -> None:
    firsts = {
        tuple(r.arm for r in PhasedStrategy().ask(History.of(replace(LEADS, seed=seed), ())) or ())
        for seed in range(9)
    }
    assert len(firsts) > 4


def test_keys_are_unique() -> None:
    starts = play(LEADS, FAST)
    assert len({(*place(start), start.request.arm) for start in starts}) == len(starts)


@pytest.mark.parametrize("space", [LEADS, PLAIN], ids=["leads", "plain"])
def test_resuming_after_any_start_gives_the_study_that_was_not_interrupted(space: Space) -> None:
    whole = play(space, FAST)
    assert play_blocks(space, FAST) == whole
    for cut in range(0, len(whole), 3):
        assert play(space, FAST, whole[:cut]) == whole
        assert PhasedStrategy().ask(History.of(space, whole[:cut])) == PhasedStrategy().ask(
            History.of(space, tuple(whole[:cut]))
        )


def test_asking_does_not_change_the_history() -> None:
    starts = play(LEADS, FAST)[:9]
    copy = list(starts)
    PhasedStrategy().ask(History.of(LEADS, starts))
    assert starts == copy


def test_conflicting_tunings_are_never_on_together_and_all_are_tried() -> None:
    pairs = frozenset({frozenset(("t0", "t1")), frozenset(("t0", "t2")), frozenset(("t1", "t2"))})
    space = replace(PLAIN, conflicts=pairs, guide=None)
    machine = Machine({"t0": 0.1, "t1": 0.2, "t2": 0.3}, sd=0.01)
    starts = play(space, machine)
    for start in starts:
        assert len({"t0", "t1", "t2"} & {name for name, _ in start.request.candidate}) <= 1
    screened = of(starts, Phase.SCREEN)
    on = Counter(name for start in screened for name, _ in start.request.candidate)
    assert min(on["t0"], on["t1"], on["t2"]) >= 2


def test_a_tuning_that_conflicts_with_the_centre_is_not_screened() -> None:
    space = replace(LEADS, conflicts=frozenset({frozenset(("dtype", "t0"))}))
    for start in of(play(space, FAST), Phase.SCREEN):
        assert "t0" not in dict(start.request.candidate)


def test_when_not_all_fit_the_likeliest_and_the_dummy_are_screened() -> None:
    space = Space(factors(20), budget=Budget(starts=24))
    starts = of(play(space, FAST), Phase.SCREEN)
    seen = {name for start in starts for name, _ in start.request.candidate}
    assert "dummy" in seen
    count = len(seen) - 1
    assert seen == {"dummy", *(f"t{i}" for i in range(count))}
    assert 4 <= count < 20


def test_a_large_budget_is_not_spent_beyond_what_helps() -> None:
    space = Space(factors(2), budget=Budget(starts=400))
    assert len(play(space, FAST)) <= 60


# --- second attempts


def flaky(*bad: int, outcome: Outcome = Outcome.VOID) -> Machine:
    class Flaky(Machine):
        def start(self, request: StartRequest, number: int) -> Start:
            made = super().start(request, number)
            return replace(made, outcome=outcome, metrics={}) if number in bad else made

    return Flaky(FAST.effects, sd=FAST.sd)


def test_a_void_start_is_repeated_once_in_its_block() -> None:
    space = replace(LEADS, budget=Budget(starts=36))
    starts = play(space, flaky(2, 5))
    assert starts[4].request == replace(starts[1].request, arm=starts[1].request.arm + "#2")
    assert starts[1].request.arm not in arms(starts, Phase.LEAD, 0)[2:]
    assert not any(start.request.arm.endswith("#3") for start in starts)
    # The second attempt was void as well: the study goes on.
    assert of(starts, Phase.CONFIRM)


def test_a_void_start_is_not_repeated_where_the_rest_needs_the_budget() -> None:
    space = replace(LEADS, budget=Budget(starts=24))
    assert len(play(space, FAST)) == 24
    assert play(space, FAST)[9].request.phase is Phase.SCREEN
    starts = play(space, flaky(10))
    assert not any("#" in start.request.arm for start in starts)


def test_a_failed_start_is_repeated_only_for_the_baseline() -> None:
    order = [request.arm for request in PhasedStrategy().ask(History.of(LEADS, ())) or ()]
    stock, other = order.index("baseline") + 1, order.index("mp=on") + 1
    failed = flaky(stock, other, outcome=Outcome.START_FAILED)
    starts = play(replace(LEADS, budget=Budget(starts=32)), failed)
    assert [s.request.arm for s in starts if "#" in s.request.arm] == ["baseline#2"]


# --- budgets


@pytest.mark.parametrize(
    ("space", "smallest"),
    [
        (Space(factors(1, leads=("dtype",))), 8),
        (Space(factors(0, leads=("dtype",))), 8),
        (Space(factors(9, leads=("dtype", "mp"))), 8),
        (Space(factors(9)), 8),
        (Space((Factor("named", "on"), *factors(0))), 8),
    ],
    ids=["one", "lead-only", "two", "plain", "nothing-expected"],
)
def test_the_smallest_useful_budget_is_named(space: Space, smallest: int) -> None:
    short = replace(space, budget=Budget(starts=smallest - 1))
    for call in (lambda: PhasedStrategy().ask(History.of(short, ())), lambda: design(short)):
        with pytest.raises(UsageError, match=f"at least {smallest} starts"):
            call()
    enough = replace(space, budget=Budget(starts=smallest))
    starts = play(enough, FAST)
    assert of(starts, Phase.CONFIRM)
    assert len(starts) <= smallest


@pytest.mark.parametrize(
    "budget", [Budget(), Budget(starts=0), Budget(starts=24, seconds=5.0), Budget(seconds=-1.0)]
)
def test_senseless_budgets_are_refused(budget: Budget) -> None:
    with pytest.raises(UsageError, match="budget"):
        PhasedStrategy().ask(History.of(replace(LEADS, budget=budget), ()))


def test_too_little_time_is_refused_in_minutes() -> None:
    with pytest.raises(UsageError, match="at least about 10 minutes"):
        design(replace(LEADS, budget=Budget(seconds=60.0)))


def test_nothing_to_tune_is_finished_at_once() -> None:
    space = Space(factors(0), budget=Budget(starts=3))
    assert PhasedStrategy().ask(History.of(space, ())) is None
    assert design(space).starts == 0


@pytest.mark.parametrize("minutes", [18, 25, 30, 60, 240])
@pytest.mark.parametrize("seconds", [5.0, 30.0, 80.0])
def test_time_is_kept(minutes: float, seconds: float) -> None:
    space = replace(LEADS, budget=Budget(seconds=minutes * 60))
    starts = play(space, replace(FAST, seconds=seconds))
    # Starts vary by up to 20 % around what was measured before them.
    assert sum(start.seconds for start in starts) <= 1.2 * minutes * 60
    assert of(starts, Phase.CONFIRM)


def test_more_time_gives_more_rows() -> None:
    rows = [
        len(of(play(replace(LEADS, budget=Budget(seconds=60.0 * m)), FAST), Phase.SCREEN))
        for m in (12, 20, 40)
    ]
    assert rows == sorted(rows)
    assert rows[0] < rows[2]


def test_measured_time_replaces_the_expected() -> None:
    space = replace(LEADS, budget=Budget(seconds=1200.0), seconds=(80.0, 35.0))
    slow, fast = (
        len(of(play(space, replace(FAST, seconds=each)), Phase.SCREEN)) for each in (60.0, 10.0)
    )
    assert slow < fast


def test_a_machine_far_slower_than_expected_stops_after_one_block() -> None:
    space = replace(LEADS, budget=Budget(seconds=1200.0))
    starts = play(space, replace(FAST, seconds=600.0))
    assert {place(start) for start in starts} == {("lead", 0)}


@settings(max_examples=60)
@given(
    budget=st.integers(8, 60),
    count=st.integers(0, 16),
    leads=st.integers(0, 3),
    seed=st.integers(0, 10**6),
    trouble=st.floats(0, 0.6),
    guide=st.sampled_from([None, GUIDE]),
    timed=st.booleans(),
)
def test_every_study_ends_within_its_budget(
    budget: int, count: int, leads: int, seed: int, trouble: float, guide: object, timed: bool
) -> None:
    def outcome(values: object, rng: np.random.Generator) -> Outcome:
        if rng.random() > trouble:
            return Outcome.MEASURED
        return Outcome(rng.choice(["void", "ineffective", "start-failed", "load-failed"]))

    names = ("dtype", "mp", "omp")[:leads]
    space = Space(
        factors(count, leads=names),
        budget=Budget(seconds=budget * 60.0) if timed else Budget(starts=budget),
        seed=seed,
        guide=GUIDE if guide else None,
        conflicts=frozenset({frozenset(("t0", "t1")), frozenset(("t2", "dtype"))}),
    )
    machine = Machine({"dtype": 1.4, "t0": 0.1}, outcome=outcome, seed=seed)
    try:
        intended = design(space)
    except UsageError:
        with pytest.raises(UsageError):
            PhasedStrategy().ask(History.of(space, ()))
        return
    starts = play(space, machine)
    assert PhasedStrategy().ask(History.of(space, starts)) is None
    assert len({(*place(start), start.request.arm) for start in starts}) == len(starts)
    if not timed:
        assert len(starts) <= budget
        assert intended.starts <= budget
    for start in starts:
        names_on = {name for name, _ in start.request.candidate}
        assert not {"t0", "t1"} <= names_on
    cut = len(starts) // 2
    assert play(space, machine, starts[:cut]) == starts


# --- the intent


def test_the_design_tells_what_happens_when_every_lead_wins() -> None:
    for space in (LEADS, PLAIN, replace(LEADS, budget=Budget(starts=48))):
        intended = design(space)
        starts = play(space, FAST)
        assert intended.lead_starts == len(of(starts, Phase.LEAD))
        assert intended.screen_starts == len(of(starts, Phase.SCREEN))
        seen = {n for s in of(starts, Phase.SCREEN) for n, _ in s.request.candidate}
        if space is not PLAIN:
            assert set(intended.screened) == seen - {"dtype", "mp"}
        assert set(intended.screened) | set(intended.not_screened) <= {
            factor.tuning for factor in space.factors
        }
        assert intended.starts <= (space.budget.starts or 0)
        assert intended.blocks >= 3


def test_more_budget_detects_less() -> None:
    found = [design(replace(LEADS, budget=Budget(starts=n))).detectable for n in (30, 40, 80)]
    assert all(one is not None for one in found)
    assert sorted(found, key=lambda one: one or 0.0, reverse=True) == found
    assert design(LEADS, sd=0.01).detectable != design(LEADS, sd=0.05).detectable
    assert design(replace(LEADS, budget=Budget(starts=12))).detectable is None


def test_minutes_come_from_the_expected_seconds() -> None:
    short, long = (design(replace(LEADS, seconds=each)).minutes for each in ((8, 4), (80, 40)))
    assert long == pytest.approx(10 * short)
    assert math.isfinite(long)


def test_values_of_any_kind_are_told_from_stock() -> None:
    kinds: tuple[Value, ...] = (False, 0, 64, 0.5, None, "x")
    made = tuple(Factor(f"f{i}", value) for i, value in enumerate(kinds))
    space = Space(made, budget=Budget(starts=30))
    machine = Machine({"f0": 0.3, "f4": 0.3}, sd=0.01)
    last = play(space, machine)[-1]
    proven = {s.request.arm: s.request.candidate for s in play(space, machine)}["proven"]
    assert set(proven) == {("f0", False), ("f4", None)}
    assert last.request.phase is Phase.CONFIRM


MANY = Space(factors(12), budget=Budget(starts=24))


def test_a_small_budget_for_many_tunings_is_screened_whole() -> None:
    starts = play(MANY, Machine({"t0": 0.1}, sd=0.01))
    assert len(starts) <= 24
    assert len(of(starts, Phase.SCREEN)) == 22
    tried = [start.request.candidate for start in of(starts, Phase.ANSWERS)]
    found = conclude(History.of(MANY, starts))
    assert found.proven == (("t0", "on"),)
    assert found.proven in tried
    assert found.confirmed == ()
    assert any("what they give together was not measured" in note for note in found.notes)


def test_an_unfinished_whole_screen_keeps_nothing() -> None:
    starts = play(MANY, Machine({"t0": 0.1}, sd=0.01))
    assert conclude(History.of(MANY, starts[:8])).proven == ()


def test_a_larger_budget_confirms_again() -> None:
    starts = play(replace(MANY, budget=Budget(starts=40)), Machine({"t0": 0.1}, sd=0.01))
    assert of(starts, Phase.CONFIRM)


def test_what_came_first_keeps_its_confirmation() -> None:
    space = Space(factors(12, leads=("t0",)), budget=Budget(starts=28))
    starts = play(space, Machine({"t0": 0.4}, sd=0.01))
    assert of(starts, Phase.CONFIRM)
