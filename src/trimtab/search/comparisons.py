"""Arms against the baseline: the confirmation's profiles, and the guide."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from trimtab.metrics import geometric_mean
from trimtab.model import Candidate, Comparison, Effect, Factor, Phase, Space
from trimtab.search.arms import BASELINE_ARM, GUIDE_ARM, MAX_ARM, PROVEN_ARM, of_phase, together
from trimtab.search.failures import FAILED
from trimtab.search.limits import broken
from trimtab.search.looks import LOOKS, Analysis, as_effect, higher_is_better, metric_of, usable
from trimtab.search.profiles import Profiles


@dataclass(frozen=True, slots=True)
class Contender:
    """A planned profile that is an arm of the confirmation.

    ``comparisons`` are empty while it, or the baseline, has no measured start there. ``starts``
    are all of its starts in the confirmation, ``failed`` those that failed. ``broken`` says which
    limits of the SLO it breaks.
    """

    arm: str
    factors: tuple[Factor, ...]
    comparisons: tuple[Comparison, ...]
    starts: int
    failed: int
    broken: tuple[str, ...] = ()

    @property
    def candidate(self) -> Candidate:
        """What the profile sets."""
        return together(self.factors)

    def effect(self, metric: str) -> Effect | None:
        """Return its effect on a metric, ``None`` when there is no estimate."""
        return next((one.effect for one in self.comparisons if one.metric == metric), None)

    def ratio(self, metric: str) -> float | None:
        """Return the ratio of that effect, ``None`` when there is no estimate."""
        effect = self.effect(metric)
        return None if effect is None else effect.ratio


def contenders(analysis: Analysis, planned: Profiles) -> tuple[Contender, ...]:
    """Return the planned profiles that have starts in the confirmation, ``proven`` first."""
    found = (
        contender(analysis, arm, factors)
        for arm, factors in ((PROVEN_ARM, planned.proven), (MAX_ARM, planned.best))
    )
    return tuple(one for one in found if one is not None)


def contender(analysis: Analysis, arm: str, factors: tuple[Factor, ...]) -> Contender | None:
    """Return an arm of the confirmation that has ``factors`` on, ``None`` if it has no start."""
    made = of_phase(analysis.starts, Phase.CONFIRM)
    own = [start for start in made if start.request.stem == arm]
    if not own:
        return None
    failed = sum(start.outcome in FAILED for start in own)
    stock = [start for start in made if start.request.stem == BASELINE_ARM]
    return Contender(
        arm,
        factors,
        _on_all_metrics(analysis, arm, factors),
        len(own),
        failed,
        broken(analysis.space, own, stock),
    )


def _on_all_metrics(
    analysis: Analysis, arm: str, factors: Sequence[Factor]
) -> tuple[Comparison, ...]:
    """Compare an arm on the objectives, and on every metric that one of its factors is about."""
    space = analysis.space
    judged = (metric_of(space, factor) for factor in factors)
    compared = (
        compare(analysis, Phase.CONFIRM, arm, metric)
        for metric in dict.fromkeys([*space.all_objectives, *judged])
    )
    return tuple(one for one in compared if one is not None)


def main_metric(space: Space, factors: Sequence[Factor]) -> str:
    """Return the metric that decides about a profile: the objective if any factor is about it."""
    metrics = [metric_of(space, factor) for factor in factors]
    return metrics[0] if metrics and space.objective not in metrics else space.objective


def guide_comparison(analysis: Analysis) -> Comparison | None:
    """Compare the guide's candidate with the baseline in the phase that had it as an arm."""
    for phase in LOOKS:
        found = compare(analysis, phase, GUIDE_ARM, analysis.space.objective)
        if found is not None:
            return found
    return None


def compare(analysis: Analysis, phase: Phase, arm: str, metric: str) -> Comparison | None:
    """Return an arm against the baseline in one phase, ``None`` when either was not measured."""
    measured = [start for start in of_phase(analysis.starts, phase) if usable(start, metric)]
    stock = [s.metrics[metric] for s in measured if s.request.stem == BASELINE_ARM]
    own = [s for s in measured if s.request.stem == arm]
    estimate = analysis.fits[phase, metric].estimate(arm, analysis.noise[phase, metric])
    if not stock or not own or estimate is None:
        return None
    baseline = geometric_mean(stock)
    sign = 1.0 if higher_is_better(analysis.space, metric) else -1.0
    value = baseline * math.exp(sign * estimate.value)
    return Comparison(arm, metric, baseline, value, as_effect(estimate, len(stock) + len(own)))
