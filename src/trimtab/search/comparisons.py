"""Arms against the baseline: the confirmation's profiles, and the guide."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from trimtab.metrics.table import geometric_mean
from trimtab.model import Candidate, Comparison, Effect, Factor, Phase, Space
from trimtab.search import confirm
from trimtab.search.arms import BASELINE_ARM, MAX_ARM, PROVEN_ARM, of_phase, together
from trimtab.search.contrasts import contrast
from trimtab.search.failures import FAILED
from trimtab.search.limits import broken
from trimtab.search.looks import LOOKS, Analysis, as_effect, metric_of, sign_of, usable
from trimtab.search.profiles import Profiles

WORSE = 0.02
"""One-sided p at which a profile is given up for another. To give up what only looks worse
inflates what is claimed of the rest: where nothing has an effect, at 40 starts and 5 % noise, by
.7 points at p <= .10, so it is .1 (L0, benchmarks/search.py)."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A planned profile that is an arm of the confirmation.

    ``comparisons`` are empty while it, or the baseline, has no measured start there. ``starts``
    are all of its starts in the confirmation, ``failed`` those that failed. ``broken`` says which
    limits of the SLO it breaks, ``worse`` whether it is shown to be worse than the baseline or the
    proven profile, or, being larger than that, to be better by less than the margin. ``faded``:
    the fresh starts gave less than half of what its largest tuning gave before.
    """

    arm: str
    factors: tuple[Factor, ...]
    comparisons: tuple[Comparison, ...]
    starts: int
    failed: int
    broken: tuple[str, ...] = ()
    worse: bool = False
    faded: bool = False

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
    metric = main_metric(analysis.space, factors)
    return Contender(
        arm,
        factors,
        _on_all_metrics(analysis, arm, factors),
        len(own),
        failed,
        broken(analysis.space, analysis.starts, together(factors)),
        _worse(analysis, arm, metric),
        _faded(analysis, arm, factors, metric),
    )


def _faded(analysis: Analysis, arm: str, factors: Sequence[Factor], metric: str) -> bool:
    """Whether an arm's interval lies below half of its largest tuning's own estimate."""
    before = [look.estimate.value for factor in factors for look in analysis.looks(factor, metric)]
    fresh = contrast(analysis, arm, BASELINE_ARM, metric)
    interval = None if fresh is None else fresh.interval()
    return interval is not None and interval[1] < max(before, default=0.0) / 2


def _worse(analysis: Analysis, arm: str, metric: str) -> bool:
    others = product((BASELINE_ARM, PROVEN_ARM), {metric, analysis.space.objective})
    found = (contrast(analysis, other, arm, each) for other, each in others)
    p = [one.p_greater for one in found if one is not None]
    if any(one is not None and one <= WORSE for one in p):
        return True
    over = contrast(analysis, arm, PROVEN_ARM, metric) if arm == MAX_ARM else None
    gain = None if over is None else over.interval()
    return gain is not None and gain[1] < math.log1p(analysis.space.margin)


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
    """Compare the preset's candidate with the baseline in the phase that had it as an arm."""
    for phase in LOOKS:
        found = compare(analysis, phase, analysis.space.preset, analysis.space.objective)
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
    sign = sign_of(analysis.space, metric)
    value = baseline * math.exp(sign * estimate.value)
    level = confirm.level(analysis.space, analysis.starts) if phase is Phase.CONFIRM else 0.95
    effect = as_effect(estimate, len(stock) + len(own), level)
    return Comparison(arm, metric, baseline, value, effect)
