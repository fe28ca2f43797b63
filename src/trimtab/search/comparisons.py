"""Arms against the baseline: the confirmation's profiles, and the guide."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from trimtab.model import Comparison, Phase, Space, Start
from trimtab.search.arms import (
    BASELINE_ARM,
    GUIDE_ARM,
    MAX_ARM,
    PROVEN_ARM,
    arm_of,
    of_phase,
)
from trimtab.search.looks import LOOKS, Analysis, as_effect, higher_is_better, metric_of
from trimtab.search.profiles import Profiles


def confirmations(
    space: Space, starts: Sequence[Start], analysis: Analysis, planned: Profiles
) -> tuple[Comparison, ...]:
    """Compare the profiles with the baseline on fresh starts, on the objective first.

    Metrics other than the objective follow where a factor of the profile is about one.
    """
    found = []
    for arm, factors in ((PROVEN_ARM, planned.proven), (MAX_ARM, planned.best)):
        judged = (metric_of(space, factor) for factor in factors)
        for metric in dict.fromkeys([space.objective, *judged]):
            one = _compare(space, starts, analysis, Phase.CONFIRM, arm, metric)
            if one is not None:
                found.append(one)
    return tuple(found)


def guide_comparison(
    space: Space, starts: Sequence[Start], analysis: Analysis
) -> Comparison | None:
    """Compare the guide's candidate with the baseline in the phase that had it as an arm."""
    for phase in LOOKS:
        found = _compare(space, starts, analysis, phase, GUIDE_ARM, space.objective)
        if found is not None:
            return found
    return None


def _compare(
    space: Space,
    starts: Sequence[Start],
    analysis: Analysis,
    phase: Phase,
    arm: str,
    metric: str,
) -> Comparison | None:
    """Return an arm against the baseline in one phase, ``None`` when either was not measured."""
    measured = [start for start in of_phase(starts, phase) if start.valid]
    stock = [s.metrics[metric] for s in measured if _is_stock(s) and s.metrics.get(metric)]
    own = [s for s in measured if arm_of(s) == arm and s.metrics.get(metric)]
    noise = analysis.confirm_noise if phase is Phase.CONFIRM else analysis.noise
    estimate = analysis.fits[phase, metric].estimate(arm, noise[metric])
    if not stock or not own or estimate is None:
        return None
    baseline = math.exp(fmean(math.log(value) for value in stock))
    sign = 1.0 if higher_is_better(space, metric) else -1.0
    value = baseline * math.exp(sign * estimate.value)
    return Comparison(arm, metric, baseline, value, as_effect(estimate, len(stock) + len(own)))


def _is_stock(start: Start) -> bool:
    return arm_of(start) == BASELINE_ARM
