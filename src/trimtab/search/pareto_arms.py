"""The further arms of a study of several objectives: what the estimates expect to be good at them.

The candidates follow from the effects of lead phase and screen one by one: what is more likely
than not better. What they are worth the confirmation says alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from trimtab.model import BASELINE, Candidate, Factor, Space, Start
from trimtab.search.estimates import LOOKS, Analysis, analyse
from trimtab.search.failures import with_failing_pairs
from trimtab.search.history import candidate_of, compatible_factors, leave_one_out_arms
from trimtab.search.selection import Profiles, is_likely_gain, sort_by_effect, unusable_tunings

COMPROMISE_ARM: Final = "compromise"

_FOR: Final = "for-"
_MOST: Final = 2


def pareto_arm_count(space: Space) -> int:
    """Return for how many further arms of the confirmation money is to be kept."""
    return _MOST if space.objectives else 0


def pareto_arms(
    space: Space, seen: Sequence[Start], profiles: Profiles
) -> tuple[tuple[str, Candidate], ...]:
    """Return the arms that a confirmation should have besides, the most wanted first.

    For each further objective the candidate that is expected to be best at it, then the
    compromise: the profile ``max`` without what costs another objective. A candidate that is an
    arm already is left out; one that leaves a single tuning out of ``proven`` has that arm's name.

    Args:
        space: the question.
        seen: the starts before the confirmation.
        profiles: the profiles to confirm.
    """
    if not space.objectives:
        return ()
    named = {values: arm for arm, values in leave_one_out_arms(profiles.proven)}
    taken = {BASELINE, candidate_of(profiles.proven), candidate_of(profiles.best)}
    arms: list[tuple[str, Candidate]] = []
    for arm, factors in _wanted(space, seen, profiles):
        values = candidate_of(factors)
        if values not in taken:
            taken.add(values)
            arms.append((named.get(values, arm), values))
    return tuple(arms[:_MOST])


def _wanted(
    space: Space, seen: Sequence[Start], profiles: Profiles
) -> Iterator[tuple[str, tuple[Factor, ...]]]:
    looked = [start for start in seen if start.request.phase in LOOKS]
    analysis = analyse(space, looked)
    out = unusable_tunings(space, looked)
    space = with_failing_pairs(space, looked)
    # A refined tuning has one level in the whole study, also where the screen tested another.
    levels = {factor.tuning: factor for factor in profiles.best}
    for metric in space.objectives:
        able = (
            factor
            for factor in space.factors
            if not factor.dummy
            and factor.tuning not in out
            and is_likely_gain(analysis, factor, metric)
        )
        best = compatible_factors(space, sort_by_effect(analysis, able, metric))
        yield _FOR + metric, tuple(levels.get(factor.tuning, factor) for factor in best)
    yield COMPROMISE_ARM, tuple(f for f in profiles.best if not _costs(space, analysis, f))


def _costs(space: Space, analysis: Analysis, factor: Factor) -> bool:
    """Whether a factor is more likely than not worse on a further objective."""
    for metric in space.objectives:
        looks = analysis.looks(factor, metric)
        p = looks[-1].estimate.p_less if looks else None
        if p is not None and p <= 0.5:
            return True
    return False
