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
from collections.abc import Iterable, Sequence
from typing import Final

from trimtab.model import BASELINE, Candidate, Phase, Space, Start, StartRequest
from trimtab.search.budget import remaining_budget, start_cost
from trimtab.search.estimates import Analysis, analyse, contrast
from trimtab.search.failures import FAILED
from trimtab.search.history import (
    BASELINE_ARM,
    MAX_ARM,
    PROVEN_ARM,
    block_count,
    block_rng,
    candidate_of,
    is_leave_one_out,
    leave_one_out_arms,
    memoize,
    requests,
    starts_of_phase,
)
from trimtab.search.pareto_arms import pareto_arms
from trimtab.search.phases.refine import refined_profiles
from trimtab.search.selection import Profiles, profiles, published_factors
from trimtab.stats.sequential import LEVELS, LOOKS

LONG: Final = LOOKS[-1]
"""Blocks of a confirmation that is looked at on its way."""

USUAL: Final = 0.95


def is_decided(space: Space, starts: Sequence[Start], arms: Iterable[str]) -> bool:
    """Whether a look is due at which every arm of a long confirmation is decided.

    A profile is when its interval against the baseline lies on one side of 1 or inside the margin;
    an arm that leaves a tuning out, when the tuning is shown to be needed or not to be.
    """
    made = block_count(starts, Phase.CONFIRM)
    if made not in LOOKS[:-1]:
        return False
    analysis, level = analyse(space, starts), 1 - LEVELS[LOOKS.index(made)]
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


def suggested_profiles(space: Space, before: Sequence[Start]) -> Profiles:
    """Return the profiles that the earlier phases suggest.

    A budget that has no room for an earlier phase tests what the catalogue expects, all together.
    """
    seen = [start for start in before if start.request.phase is not Phase.CONFIRM]
    if not seen:
        return Profiles((), published_factors(space))
    return refined_profiles(space, seen, profiles(space, seen))


@memoize
def plan(space: Space, before: Sequence[Start]) -> tuple[Arms, int]:
    """Return the arms and the number of blocks that follow from the earlier phases."""
    seen = [start for start in before if start.request.phase is not Phase.CONFIRM]
    found = suggested_profiles(space, seen)
    tuned = [(PROVEN_ARM, found.proven), (MAX_ARM, found.best)]
    if found.best == found.proven:
        tuned.pop()
    arms: Arms = tuple((name, candidate_of(factors)) for name, factors in tuned if factors)
    arms = ((BASELINE_ARM, BASELINE), *arms)
    # A second stage was planned to leave room for two blocks, and two profiles.
    fewest = _LEAST_BLOCKS if starts_of_phase(seen, Phase.FOLLOW) else BLOCKS
    if len(arms) > 2 and _affordable(space, seen, arms) < fewest:
        arms = arms[:2]
    for arm in pareto_arms(space, seen, found):
        if _affordable(space, seen, (*arms, arm)) >= BLOCKS:
            arms = (*arms, arm)
    if len(arms) == 1:
        return (), 0
    apart = (*arms, *(arm for arm in leave_one_out_arms(found.proven) if arm not in arms))
    if _affordable(space, seen, apart) >= BLOCKS:
        arms = apart
    blocks = _affordable(space, seen, arms)
    blocks = LONG if blocks >= LONG else min(MOST_BLOCKS, blocks)
    if space.budget.seconds is not None:
        # Its time was set aside; starts that took longer than expected do not cancel it.
        blocks = max(BLOCKS, blocks)
    return (arms, blocks) if blocks >= _LEAST_BLOCKS else ((), 0)


def level(space: Space, starts: Sequence[Start]) -> float:
    """Return the nominal level of the phase's intervals: each then holds in 95 % of studies."""
    return confidence(plan(space, starts)[1], block_count(starts, Phase.CONFIRM))


def _affordable(space: Space, seen: Sequence[Start], arms: Arms) -> int:
    each = sum(start_cost(space, seen, Phase.CONFIRM, values) for _, values in arms)
    return int(max(0.0, remaining_budget(space, seen)) // each)


def block(space: Space, before: Sequence[Start]) -> tuple[StartRequest, ...]:
    """Return the next block of the phase, empty when it is over.

    Blocks come in pairs of opposite order (ABBA), which cancels a steady drift.
    """
    arms, blocks = plan(space, before)
    index = block_count(before, Phase.CONFIRM)
    if index >= blocks or (blocks == LONG and is_decided(space, before, [arm for arm, _ in arms])):
        return ()
    order = list(block_rng(space, Phase.CONFIRM, index // 2).permutation(len(arms)))
    if index % 2:
        order.reverse()
    alive = [arms[i] for i in order if not _dead(before, arms[i][0])]
    return requests(space, Phase.CONFIRM, index, alive) if len(alive) > 1 else ()


def _dead(before: Sequence[Start], arm: str) -> bool:
    """Whether a profile failed in each of two or more starts."""
    ended = [
        start.outcome
        for start in starts_of_phase(before, Phase.CONFIRM)
        if start.request.stem == arm
    ]
    return arm != BASELINE_ARM and len(ended) >= 2 and set(ended) <= FAILED


def reserve(space: Space, before: Sequence[Start], index: int) -> float:
    """Return what must be kept after block ``index``: the later blocks."""
    arms, blocks = plan(space, before)
    each = sum(start_cost(space, before, Phase.CONFIRM, values) for _, values in arms)
    return max(0, blocks - index - 1) * each
