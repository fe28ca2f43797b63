"""The promises in numbers, over many simulated studies with fixed seeds."""

import math
from functools import cache

from scipy import stats

from tests.simulator import Machine, factors, play_blocks, study, verdicts
from trimtab.model import Budget, Conclusion, Phase, Space, Verdict
from trimtab.search import History, conclude

STUDIES = 300


def a_false_claim(found: Conclusion) -> bool:
    """Whether anything was kept, or the inert tuning passed, where nothing has an effect."""
    return Verdict.ADOPT in verdicts(found).values() or any("inert" in n for n in found.notes)


def rate_is_at_most(hits: int, studies: int, rate: float) -> bool:
    """Whether ``hits`` do not contradict ``rate`` at the 1 % level."""
    return bool(stats.binomtest(hits, studies, rate, alternative="greater").pvalue > 0.01)


def test_where_nothing_has_an_effect_nothing_is_kept_more_often_than_stated() -> None:
    plain = Space(factors(11), budget=Budget(starts=36))
    leads = Space(factors(6, leads=("a", "b")), budget=Budget(starts=30))
    for space in (plain, leads):
        hits = 0
        for seed in range(STUDIES):
            asked = Space(space.factors, budget=space.budget, seed=seed)
            # Verdicts rest on lead phase and screen; a confirmation can only take away.
            starts = play_blocks(asked, Machine(sd=0.03, seed=seed), until=Phase.CONFIRM)
            hits += a_false_claim(conclude(History.of(asked, starts)))
        assert rate_is_at_most(hits, STUDIES, 0.05), hits


def test_the_check_of_the_rate_can_fail() -> None:
    assert not rate_is_at_most(30, STUDIES, 0.05)


def test_a_planted_gain_of_ten_percent_is_found() -> None:
    space = Space(factors(7), budget=Budget(starts=24))
    won = kept = 0
    for seed in range(100):
        machine = Machine({"t0": math.log(1.1)}, sd=0.02, seed=seed)
        found = study(Space(space.factors, budget=space.budget, seed=seed), machine)
        won += verdicts(found)["t0"] is Verdict.ADOPT
        kept += ("t0", "on") in found.proven
    assert won >= 90
    assert kept >= 90


def test_a_lead_that_gives_four_times_is_always_found_and_proven() -> None:
    for starts in (8, 12, 24, 30):
        for seed in range(25):
            space = Space(factors(5, leads=("dtype",)), budget=Budget(starts=starts), seed=seed)
            found = study(space, Machine({"dtype": 1.4}, sd=0.06, seed=seed))
            assert verdicts(found)["dtype"] is Verdict.ADOPT, (starts, seed)
            assert ("dtype", "on") in found.proven, (starts, seed)


@cache
def errors_of_confirmation() -> tuple[tuple[float, bool], ...]:
    """Claim minus truth (log) and whether the interval held the truth, of confirmed profiles."""
    seen = []
    for seed in range(STUDIES):
        space = Space(factors(5, leads=("dtype",)), budget=Budget(starts=28), seed=seed)
        machine = Machine({"dtype": 1.4, "t0": 0.1, "t1": 0.04}, sd=0.04, seed=seed)
        starts = play_blocks(space, machine)
        found = conclude(History.of(space, starts))
        true = machine.truth(dict(found.proven))
        for one in found.confirmed:
            if one.arm == "proven":
                ratio, low, high = one.effect.ratio, one.effect.low, one.effect.high
                assert ratio is not None
                assert low is not None
                assert high is not None
                seen.append((math.log(ratio) - true, math.log(low) <= true <= math.log(high)))
    return tuple(seen)


def test_claims_are_not_inflated() -> None:
    errors = [error for error, _ in errors_of_confirmation()]
    assert len(errors) > 0.95 * STUDIES
    assert abs(sum(errors) / len(errors)) < 0.01


def test_intervals_of_the_confirmation_hold_the_truth_as_often_as_they_say() -> None:
    held = [inside for _, inside in errors_of_confirmation()]
    assert stats.binomtest(sum(held), len(held), 0.95).pvalue > 0.01
    assert not all(held)
