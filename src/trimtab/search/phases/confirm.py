"""The confirmation: the two profiles against the baseline, on fresh starts with new seeds.

Where the budget allows, the proven profile less each of its tunings runs beside them: what a
tuning gives on average over others need not be what the profile loses without it.

The looks at a long confirmation: when it may stop, and how wide its intervals then are.

A budget with room for twelve blocks is not spent on what four have settled. After 4, 6 and 8
blocks every profile is looked at, at levels that keep the error of all looks together
(:mod:`trimtab.stats.sequential`); the interval at the level of the last look taken holds the
truth in 95 % of the studies wherever they stopped.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import ClassVar, Final

from trimtab.model import BASELINE, Candidate, Phase, StartRequest
from trimtab.search.arms import (
    BASELINE_ARM,
    MAX_ARM,
    PROVEN_ARM,
    block_rng,
    candidate_of,
    is_leave_one_out,
    leave_one_out_arms,
    requests,
)
from trimtab.search.estimates import Analysis, contrast
from trimtab.search.failures import FAILED
from trimtab.search.history import History, derived
from trimtab.search.pareto_arms import pareto_arms
from trimtab.search.phases.refine import refined_profiles
from trimtab.search.selection import Profiles, published_factors
from trimtab.stats.sequential import LEVELS, LOOKS

LONG: Final = LOOKS[-1]
"""Blocks of a confirmation that is looked at on its way."""

USUAL: Final = 0.95


def is_decided(history: History, arms: Iterable[str]) -> bool:
    """Whether a look is due at which every arm of a long confirmation is decided.

    A profile is when its interval against the baseline lies on one side of 1 or inside the margin;
    an arm that leaves a tuning out, when the tuning is shown to be needed or not to be.
    """
    made = history.block_count(Phase.CONFIRM)
    if made not in LOOKS[:-1]:
        return False
    analysis, level = history.estimates, 1 - LEVELS[LOOKS.index(made)]
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
    taken = [level for level, blocks in zip(LEVELS, LOOKS, strict=True) if blocks <= made]
    return 1 - (taken[-1] if taken else LEVELS[0])


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
