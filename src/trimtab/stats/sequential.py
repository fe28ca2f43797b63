"""Looks at a growing number of pairs, at levels that keep the error of all of them together.

Looking after every pair and stopping when it seems significant is wrong in 13 to 18 % of the cases
instead of 5 %. Here there are four looks, with nominal levels of the O'Brien-Fleming type that are
calibrated for Student's t: early ones ask for overwhelming evidence, the last one for almost the
usual.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, stdev

from scipy import special

from trimtab.stats.effects import LEAST_DF, detectable_effect

LOOKS = (4, 6, 8, 12)
"""Pairs after which a look is taken."""

LEVELS = (0.0004, 0.0039, 0.0125, 0.0415)
"""The two-sided level of each look."""


class ComparisonOutcome(StrEnum):
    """What a comparison ends with."""

    BETTER = "better"
    WORSE = "worse"
    EQUIVALENT = "equivalent"
    NOT_PROVEN = "not proven"


@dataclass(frozen=True, slots=True)
class Look:
    """The state after some pairs: log ratio of the second to the first, better is greater.

    ``low`` and ``high`` bound it at the look's level, so they hold whenever one stops; they are
    ``None`` before the first look. ``final``: the comparison has its answer.
    """

    pairs: int
    value: float
    low: float | None
    high: float | None
    word: ComparisonOutcome
    final: bool


def look(differences: Sequence[float], margin: float, most: int = LOOKS[-1]) -> Look:
    """Return what the pairs say so far.

    Args:
        differences: log ratios of the pairs, in their order of time.
        margin: log ratio within which two are called equivalent.
        most: pairs after which the comparison ends in any case; a look is taken there at the level
            of the last look.
    """
    made = _looked(len(differences), most)
    if made is None:
        value = fmean(differences) if differences else 0.0
        final = len(differences) >= most
        return Look(len(differences), value, None, None, ComparisonOutcome.NOT_PROVEN, final=final)
    level, count = made
    used = list(differences[:count])
    value = fmean(used)
    half = float(special.stdtrit(count - 1, 1 - level / 2)) * stdev(used) / math.sqrt(count)
    low, high = value - half, value + half
    word = _word(low, high, margin)
    final = word is not ComparisonOutcome.NOT_PROVEN or count >= most
    return Look(count, value, low, high, word, final)


def detectable_difference(sd: float, most: int) -> float | None:
    """Return the smallest log ratio that the last look finds with 80 % power, two-sided.

    ``None`` from fewer than four pairs. ``sd`` is that of a pair's difference, log scale.
    """
    made = _looked(most, most)
    if made is None:
        return None
    level, pairs = made
    return detectable_effect(sd / math.sqrt(pairs), pairs - 1, tests=1, alpha=level / 2)


def _looked(pairs: int, most: int) -> tuple[float, int] | None:
    """Return level and pairs of the latest look that is due, ``None`` before the first."""
    early = [(level, count) for level, count in zip(LEVELS, LOOKS, strict=True) if count < most]
    due = [*early, (LEVELS[-1], most)]  # with fewer looks the sum of their levels holds as well
    taken = [one for one in due if one[1] <= pairs]
    return taken[-1] if taken and taken[-1][1] > LEAST_DF else None


def _word(low: float, high: float, margin: float) -> ComparisonOutcome:
    if -margin <= low and high <= margin:
        return ComparisonOutcome.EQUIVALENT
    if low > 0:
        return ComparisonOutcome.BETTER
    return ComparisonOutcome.WORSE if high < 0 else ComparisonOutcome.NOT_PROVEN


def mean_interval(
    logs: Sequence[float], level: float = 0.95
) -> tuple[float, float | None, float | None]:
    """Return mean and t interval of some starts' logs; no interval from fewer than four.

    Those have fewer than three degrees of freedom.
    """
    value = fmean(logs)
    if len(logs) <= LEAST_DF:
        return value, None, None
    quantile = float(special.stdtrit(len(logs) - 1, 0.5 + level / 2))
    half = quantile * stdev(logs) / math.sqrt(len(logs))
    return value, value - half, value + half


def no_interval_reason(starts: int) -> str:
    """Return why so many starts give no interval."""
    many = "1 start" if starts == 1 else f"{starts} starts"
    return f"{many}: an interval takes {LEAST_DF + 1} or more"
