"""The confirmation: the two profiles against the baseline, on fresh starts with new seeds.

Where the budget allows, the proven profile less each of its tunings runs beside them: what a
tuning gives on average over others need not be what the profile loses without it.

A long confirmation may stop early: a budget with room for twelve blocks is not spent on what four
have settled. After 4, 6 and 8 blocks every profile is looked at, at levels that keep the error of
all looks together (:mod:`trimtab.stats.sequential`); the interval at the level of the last look
taken holds the truth in 95 % of the studies wherever they stopped.

A study of several objectives has further arms: what the estimates expect to be good at them. The
candidates follow from the effects of lead phase and screen one by one: what is more likely
than not better. What they are worth the confirmation says alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import ClassVar, Final

from trimtab.model import BASELINE, Candidate, Factor, Phase, StartRequest
from trimtab.search.arms import (
    BASELINE_ARM,
    MAX_ARM,
    PROVEN_ARM,
    block_rng,
    candidate_of,
    compatible_factors,
    is_leave_one_out,
    leave_one_out_arms,
    requests,
)
from trimtab.search.estimates import LOOKS, Analysis, contrast
from trimtab.search.failures import FAILED
from trimtab.search.history import History, derived
from trimtab.search.phases.refine import refined_profiles
from trimtab.search.selection import Profiles, pareto_arm_count, published_factors
from trimtab.stats import sequential

LONG: Final = sequential.LOOKS[-1]
"""Blocks of a confirmation that is looked at on its way."""

USUAL: Final = 0.95


def is_decided(history: History, arms: Iterable[str]) -> bool:
    """Whether a look is due at which every arm of a long confirmation is decided.

    A profile is when its interval against the baseline lies on one side of 1 or inside the margin;
    an arm that leaves a tuning out, when the tuning is shown to be needed or not to be.
    """
    made = history.block_count(Phase.CONFIRM)
    if made not in sequential.LOOKS[:-1]:
        return False
    analysis, level = history.estimates, 1 - sequential.LEVELS[sequential.LOOKS.index(made)]
    return all(_decided(analysis, arm, level) for arm in arms if arm != BASELINE_ARM)


def _decided(analysis: Analysis, arm: str, level: float) -> bool:
    pair = (PROVEN_ARM, arm) if is_leave_one_out(arm) else (arm, BASELINE_ARM)
    estimate = contrast(analysis, *pair, analysis.space.objective)
    interval = None if estimate is None else estimate.interval(level)
    if interval is None:
        return False
    (low, high), margin = interval, math.log1p(analysis.space.margin)
    if is_leave_one_out(arm):
        return low > 0 or high < margin
    return low > 0 or high < 0 or (low > -margin and high < margin)


def confidence(planned: int, made: int) -> float:
    """Return the nominal level of the intervals of a confirmation.

    Args:
        planned: the blocks it was planned to have.
        made: the blocks it has.
    """
    if planned < LONG:
        return USUAL
    taken = [
        level
        for level, blocks in zip(sequential.LEVELS, sequential.LOOKS, strict=True)
        if blocks <= made
    ]
    return 1 - (taken[-1] if taken else sequential.LEVELS[0])


BLOCKS = 3
"""Blocks of the phase; up to twice as many where the budget is left over, or up to four times with
looks on the way (:mod:`trimtab.search.phases.confirm`)."""

MOST_BLOCKS = 6
_LEAST_BLOCKS = 2

Arms = tuple[tuple[str, Candidate], ...]


def suggested_profiles(history: History) -> Profiles:
    """Return the profiles that the earlier phases suggest.

    A budget that has no room for an earlier phase tests what the catalogue expects, all together.
    """
    seen = history.without(Phase.CONFIRM)
    if not seen.starts:
        return Profiles((), published_factors(seen.space))
    return refined_profiles(seen)


def plan(history: History) -> tuple[Arms, int]:
    """Return the arms and the number of blocks that follow from the earlier phases."""
    return _plan(history.without(Phase.CONFIRM))


@derived
def _plan(seen: History) -> tuple[Arms, int]:
    profiles = suggested_profiles(seen)
    tuned = [(PROVEN_ARM, profiles.proven), (MAX_ARM, profiles.best)]
    if profiles.best == profiles.proven:
        tuned.pop()
    arms: Arms = tuple((name, candidate_of(factors)) for name, factors in tuned if factors)
    arms = ((BASELINE_ARM, BASELINE), *arms)
    # A second stage was planned to leave room for two blocks, and two profiles.
    fewest = _LEAST_BLOCKS if seen.of_phase(Phase.FOLLOW) else BLOCKS
    if len(arms) > 2 and _affordable(seen, arms) < fewest:
        arms = arms[:2]
    for arm in pareto_arms(seen, profiles):
        if _affordable(seen, (*arms, arm)) >= BLOCKS:
            arms = (*arms, arm)
    if len(arms) == 1:
        return (), 0
    apart = (*arms, *(arm for arm in leave_one_out_arms(profiles.proven) if arm not in arms))
    if _affordable(seen, apart) >= BLOCKS:
        arms = apart
    blocks = _affordable(seen, arms)
    blocks = LONG if blocks >= LONG else min(MOST_BLOCKS, blocks)
    if seen.space.budget.seconds is not None:
        # Its time was set aside; starts that took longer than expected do not cancel it.
        blocks = max(BLOCKS, blocks)
    return (arms, blocks) if blocks >= _LEAST_BLOCKS else ((), 0)


def level(history: History) -> float:
    """Return the nominal level of the phase's intervals: each then holds in 95 % of studies."""
    return confidence(plan(history)[1], history.block_count(Phase.CONFIRM))


def _affordable(seen: History, arms: Arms) -> int:
    each = seen.cost(Phase.CONFIRM, *(values for _, values in arms))
    return int(max(0.0, seen.remaining) // each)


class ConfirmPhase:
    """The confirmation; see the module."""

    phase: ClassVar[Phase] = Phase.CONFIRM

    def next_block(self, history: History) -> tuple[StartRequest, ...]:
        """Return the next block of the phase, empty when it is over.

        Blocks come in pairs of opposite order (ABBA), which cancels a steady drift.
        """
        arms, blocks = plan(history)
        index = history.block_count(Phase.CONFIRM)
        if index >= blocks or (blocks == LONG and is_decided(history, [arm for arm, _ in arms])):
            return ()
        rng = block_rng(history.space, Phase.CONFIRM, index // 2)
        order = list(rng.permutation(len(arms)))
        if index % 2:
            order.reverse()
        alive = [arms[i] for i in order if not _dead(history, arms[i][0])]
        return requests(history.space, Phase.CONFIRM, index, alive) if len(alive) > 1 else ()

    def reserve(self, history: History, index: int) -> float:
        """Return what must be kept after block ``index``: the later blocks."""
        arms, blocks = plan(history)
        each = history.cost(Phase.CONFIRM, *(values for _, values in arms))
        return max(0, blocks - index - 1) * each


def _dead(history: History, arm: str) -> bool:
    """Whether a profile failed in each of two or more starts."""
    confirmed = history.of_phase(Phase.CONFIRM)
    ended = [start.outcome for start in confirmed if start.request.stem == arm]
    return arm != BASELINE_ARM and len(ended) >= 2 and set(ended) <= FAILED


COMPROMISE_ARM: Final = "compromise"

_FOR: Final = "for-"


def pareto_arms(history: History, planned: Profiles) -> tuple[tuple[str, Candidate], ...]:
    """Return the arms that a confirmation should have besides, the most wanted first.

    For each further objective the candidate that is expected to be best at it, then the
    compromise: the profile ``max`` without what costs another objective. A candidate that is an
    arm already is left out; one that leaves a single tuning out of ``proven`` has that arm's name.

    Args:
        history: what came before the confirmation.
        planned: the profiles to confirm.
    """
    if not history.space.objectives:
        return ()
    named = {values: arm for arm, values in leave_one_out_arms(planned.proven)}
    taken = {BASELINE, candidate_of(planned.proven), candidate_of(planned.best)}
    arms: list[tuple[str, Candidate]] = []
    for arm, factors in _wishes(history, planned):
        values = candidate_of(factors)
        if values not in taken:
            taken.add(values)
            arms.append((named.get(values, arm), values))
    return tuple(arms[: pareto_arm_count(history.space)])


def _wishes(history: History, planned: Profiles) -> Iterator[tuple[str, tuple[Factor, ...]]]:
    looked = history.select(*LOOKS)
    analysis, out = looked.estimates, looked.unusable
    space = looked.apart(looked.failing_pairs).space
    # A refined tuning has one level in the whole study, also where the screen tested another.
    levels = {factor.tuning: factor for factor in planned.best}
    for metric in space.objectives:
        able = (
            factor
            for factor in space.factors
            if not factor.dummy
            and factor.tuning not in out
            and analysis.is_likely_gain(factor, metric)
        )
        best = compatible_factors(space, analysis.sort_by_effect(able, metric))
        yield _FOR + metric, tuple(levels.get(factor.tuning, factor) for factor in best)
    yield COMPROMISE_ARM, tuple(f for f in planned.best if not _costs(analysis, f))


def _costs(analysis: Analysis, factor: Factor) -> bool:
    """Whether a factor is more likely than not worse on a further objective."""
    for metric in analysis.space.objectives:
        looks = analysis.looks(factor, metric)
        p = looks[-1].estimate.p_less if looks else None
        if p is not None and p <= 0.5:
            return True
    return False
