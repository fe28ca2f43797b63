"""The looks at each factor: its effect in the lead phase and in the screen.

Both phases are fitted apart, because a lead alone is compared with the baseline and a screened
factor around the centre; their residual noise is pooled (methods.md 1.5). A lead that is looked
at twice pays for it: its p-values are doubled, whichever look is used.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from trimtab.metrics import METRICS
from trimtab.model import Effect, Factor, Phase, Space, Start
from trimtab.search.arms import GUIDE_ARM, MAX_ARM, PROVEN_ARM, arm_of, is_on, of_phase
from trimtab.stats.effects import Estimate, Fit, Noise, fit

LOOKS = (Phase.LEAD, Phase.SCREEN)

ENOUGH_DF = 3
"""Degrees of freedom from which on a phase knows its own noise."""


@dataclass(frozen=True, slots=True)
class Look:
    """One estimate of a factor's effect: better-is-greater, log scale."""

    phase: Phase
    estimate: Estimate
    starts: int


@dataclass(frozen=True, slots=True)
class Analysis:
    """The fits of a study by phase and metric, and the noise to use with each.

    The noise of lead phase and screen is pooled. The confirmation speaks with its own noise, and
    they with theirs, unless that has fewer than 3 degrees of freedom: then all starts are witness
    (a noise on one degree of freedom would make any interval useless). Estimates never mix.
    """

    space: Space
    fits: Mapping[tuple[Phase, str], Fit]
    noise: Mapping[str, Noise]
    confirm_noise: Mapping[str, Noise]

    def looks(self, factor: Factor, metric: str | None = None) -> tuple[Look, ...]:
        """Return the looks at a factor that give an estimate, the screen's last."""
        metric = metric or metric_of(self.space, factor)
        found = []
        for phase in LOOKS:
            model = self.fits[phase, metric]
            estimate = model.estimate(factor.tuning, self.noise[metric])
            if estimate is not None:
                found.append(Look(phase, estimate, model.rows))
        return tuple(found)

    def p_better(self, factor: Factor, metric: str | None = None) -> float:
        """Return the p-value of "better", both looks considered; 1 when there is none.

        It is 1 as well where the last look, the one around the centre, points the other way.
        """
        looks = self.looks(factor, metric)
        if not looks or looks[-1].estimate.value <= 0:
            return 1.0
        return _smallest(factor, [look.estimate.p_greater for look in looks])

    def p_worse(self, factor: Factor, metric: str | None = None) -> float:
        """Return the p-value of "worse", in the same way."""
        looks = self.looks(factor, metric)
        if not looks or looks[-1].estimate.value >= 0:
            return 1.0
        return _smallest(factor, [look.estimate.p_less for look in looks])


def _smallest(factor: Factor, found: Sequence[float | None]) -> float:
    times = len(LOOKS) if factor.lead else 1
    return min([1.0, *(times * p for p in found if p is not None)])


def analyse(space: Space, starts: Sequence[Start]) -> Analysis:
    """Fit every phase on every metric that a factor is about."""
    fits = {}
    noise, confirm_noise = {}, {}
    for metric in metrics_of(space):
        for phase in Phase:
            fits[phase, metric] = fit_phase(space, starts, phase, metric)
        tests = reduce(Noise.pooled, (fits[phase, metric].noise for phase in LOOKS))
        fresh = fits[Phase.CONFIRM, metric].noise
        noise[metric] = tests if tests.df >= ENOUGH_DF else tests.pooled(fresh)
        confirm_noise[metric] = fresh if fresh.df >= ENOUGH_DF else fresh.pooled(tests)
    return Analysis(space, fits, noise, confirm_noise)


def fit_phase(space: Space, starts: Sequence[Start], phase: Phase, metric: str) -> Fit:
    """Fit the starts of one phase on one metric, logs better-is-greater.

    In the lead phase and the screen the columns are the factors and the guide; in the
    confirmation they are the arms.
    """
    sign = 1.0 if higher_is_better(space, metric) else -1.0
    rows = [start for start in of_phase(starts, phase) if _usable(start, metric)]
    y = [sign * math.log(start.metrics[metric]) for start in rows]
    arms = (PROVEN_ARM, MAX_ARM) if phase is Phase.CONFIRM else (GUIDE_ARM,)
    columns = {
        arm: np.array([float(arm_of(start) == arm) for start in rows], dtype=np.float64)
        for arm in arms
    }
    if phase is not Phase.CONFIRM:
        for factor in space.factors:
            columns[factor.tuning] = np.array(
                [
                    float(arm_of(start) != GUIDE_ARM and is_on(factor, start.request.candidate))
                    for start in rows
                ],
                dtype=np.float64,
            )
    return fit(y, [start.request.block for start in rows], columns)


def _usable(start: Start, metric: str) -> bool:
    value = start.metrics.get(metric)
    return start.valid and value is not None and 0.0 < value < math.inf


def metric_of(space: Space, factor: Factor) -> str:
    """Return the metric that a factor is judged on."""
    return factor.metric or space.objective


def metrics_of(space: Space) -> tuple[str, ...]:
    """Return the objective and every other metric that a factor is about."""
    return tuple(
        dict.fromkeys([space.objective, *(metric_of(space, factor) for factor in space.factors)])
    )


def higher_is_better(space: Space, metric: str) -> bool:
    """Return the direction of a metric; one that the table does not have is a time."""
    if metric == space.objective:
        return space.higher_is_better
    known = METRICS.get(metric)
    return known.higher_is_better if known is not None else False


def as_effect(estimate: Estimate | None, starts: int) -> Effect:
    """Return an estimate on the log scale as a ratio with its 95 % interval."""
    if estimate is None:
        return Effect(None, None, None, None, starts)
    interval = estimate.interval()
    low, high = (None, None) if interval is None else (math.exp(interval[0]), _exp(interval[1]))
    return Effect(math.exp(estimate.value), low, high, estimate.p_greater, starts)


def _exp(value: float) -> float:
    """Return exp(value), at most 1e300: an interval on one df can be wider than a float."""
    return math.exp(min(value, 690.0))
