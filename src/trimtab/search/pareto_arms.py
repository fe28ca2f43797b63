"""The further arms of a study of several objectives: what the estimates expect to be good at them.

The candidates follow from the effects of lead phase and screen one by one: what is more likely
than not better. What they are worth the confirmation says alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from trimtab.model import BASELINE, Candidate, Factor, Space
from trimtab.search.arms import candidate_of, compatible_factors, leave_one_out_arms
from trimtab.search.estimates import LOOKS, Analysis
from trimtab.search.history import History
from trimtab.search.selection import Profiles

COMPROMISE_ARM: Final = "compromise"

_FOR: Final = "for-"
_MOST: Final = 2


def pareto_arm_count(space: Space) -> int:
    """Return for how many further arms of the confirmation money is to be kept."""
    return _MOST if space.objectives else 0


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
    return tuple(arms[:_MOST])


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
