"""The looks at a long confirmation: when it may stop, and how wide its intervals then are.

A budget with room for twelve blocks is not spent on what four have settled. After 4, 6 and 8
blocks every profile is looked at, at levels that keep the error of all looks together
(:mod:`trimtab.stats.sequential`); the interval at the level of the last look taken holds the
truth in 95 % of the studies wherever they stopped.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

from trimtab.model import Phase, Space, Start
from trimtab.search.arms import BASELINE_ARM, PROVEN_ARM, blocks_of, is_without
from trimtab.search.contrasts import contrast
from trimtab.search.looks import Analysis, analyse
from trimtab.stats.sequential import LEVELS, LOOKS

LONG: Final = LOOKS[-1]
"""Blocks of a confirmation that is looked at on its way."""

USUAL: Final = 0.95


def settled(space: Space, starts: Sequence[Start], arms: Iterable[str]) -> bool:
    """Whether a look is due at which every arm of a long confirmation is decided.

    A profile is when its interval against the baseline lies on one side of 1 or inside the margin;
    an arm that leaves a tuning out, when the tuning is shown to be needed or not to be.
    """
    made = blocks_of(starts, Phase.CONFIRM)
    if made not in LOOKS[:-1]:
        return False
    analysis, level = analyse(space, starts), 1 - LEVELS[LOOKS.index(made)]
    return all(_decided(analysis, arm, level) for arm in arms if arm != BASELINE_ARM)


def _decided(analysis: Analysis, arm: str, level: float) -> bool:
    pair = (PROVEN_ARM, arm) if is_without(arm) else (arm, BASELINE_ARM)
    found = contrast(analysis, *pair, analysis.space.objective)
    interval = None if found is None else found.interval(level)
    if interval is None:
        return False
    (low, high), margin = interval, math.log1p(analysis.space.margin)
    if is_without(arm):
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
