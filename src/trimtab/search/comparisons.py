"""Arms against the baseline: the confirmation's profiles, and the guide.

What the proven profile loses without each of its tunings, from the confirmation's own blocks.

The removal effect f(S) - f(S without k) and the average effect of the screen are two estimands;
they differ where tunings interact. A tuning may give much on average and nothing beside the
others: then it is redundant, and the smaller profile is preferred.

Tunings that a small budget ran in a profile only: what that comparison says of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from trimtab import formatting
from trimtab.metrics.table import geometric_mean
from trimtab.model import (
    Candidate,
    Comparison,
    Effect,
    Factor,
    Phase,
    Space,
    TuningVerdict,
    Verdict,
)
from trimtab.search.arms import (
    BASELINE_ARM,
    MAX_ARM,
    PROVEN_ARM,
    arm_without,
    candidate_of,
)
from trimtab.search.estimates import (
    LOOKS,
    as_effect,
    contrast,
    is_usable,
    metric_of,
    sign_of,
    to_ratio,
)
from trimtab.search.failures import FAILED
from trimtab.search.history import History
from trimtab.search.phases import confirm
from trimtab.search.selection import Profiles

WORSE = 0.02
"""One-sided p at which a profile is given up for another. To give up what only looks worse
inflates what is claimed of the rest: where nothing has an effect, at 40 starts and 5 % noise, by
.7 points at p <= .10, so it is .1 (L0, benchmarks/search.py)."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A planned profile that is an arm of the confirmation.

    ``comparisons`` are empty while it, or the baseline, has no measured start there. ``starts``
    are all of its starts in the confirmation, ``failed`` those that failed. ``broken_limits`` says
    which limits of the SLO it breaks, ``worse`` whether it is shown to be worse than the baseline
    or the proven profile, or, being larger than that, to be better by less than the margin.
    ``faded``: the fresh starts gave less than half of what its largest tuning gave before.
    """

    arm: str
    factors: tuple[Factor, ...]
    comparisons: tuple[Comparison, ...]
    starts: int
    failed: int
    broken_limits: tuple[str, ...] = ()
    worse: bool = False
    faded: bool = False

    @property
    def candidate(self) -> Candidate:
        """What the profile sets."""
        return candidate_of(self.factors)

    def effect(self, metric: str) -> Effect | None:
        """Return its effect on a metric, ``None`` when there is no estimate."""
        return next(
            (comparison.effect for comparison in self.comparisons if comparison.metric == metric),
            None,
        )

    def ratio(self, metric: str) -> float | None:
        """Return the ratio of that effect, ``None`` when there is no estimate."""
        effect = self.effect(metric)
        return None if effect is None else effect.ratio


def contenders(history: History, planned: Profiles) -> tuple[Contender, ...]:
    """Return the planned profiles that have starts in the confirmation, ``proven`` first."""
    found = (
        contender(history, arm, factors)
        for arm, factors in ((PROVEN_ARM, planned.proven), (MAX_ARM, planned.best))
    )
    return tuple(one for one in found if one is not None)


def contender(history: History, arm: str, factors: tuple[Factor, ...]) -> Contender | None:
    """Return an arm of the confirmation that has ``factors`` on, ``None`` if it has no start."""
    made = history.of_phase(Phase.CONFIRM)
    own = [start for start in made if start.request.stem == arm]
    if not own:
        return None
    failed = sum(start.outcome in FAILED for start in own)
    metric = main_metric(history.space, factors)
    return Contender(
        arm,
        factors,
        _on_all_metrics(history, arm, factors),
        len(own),
        failed,
        history.limits.broken(candidate_of(factors)),
        _worse(history, arm, metric),
        _faded(history, arm, factors, metric),
    )


def _faded(history: History, arm: str, factors: Sequence[Factor], metric: str) -> bool:
    """Whether an arm's interval lies below half of its largest tuning's own estimate."""
    before = [
        look.estimate.value
        for factor in factors
        for look in history.estimates.looks(factor, metric)
    ]
    fresh = contrast(history.estimates, arm, BASELINE_ARM, metric)
    interval = None if fresh is None else fresh.interval()
    return interval is not None and interval[1] < max(before, default=0.0) / 2


def _worse(history: History, arm: str, metric: str) -> bool:
    others = product((BASELINE_ARM, PROVEN_ARM), {metric, history.space.objective})
    found = (contrast(history.estimates, other, arm, each) for other, each in others)
    p = [estimate.p_greater for estimate in found if estimate is not None]
    if any(one is not None and one <= WORSE for one in p):
        return True
    over = contrast(history.estimates, arm, PROVEN_ARM, metric) if arm == MAX_ARM else None
    gain = None if over is None else over.interval()
    return gain is not None and gain[1] < math.log1p(history.space.margin)


def _on_all_metrics(
    history: History, arm: str, factors: Sequence[Factor]
) -> tuple[Comparison, ...]:
    """Compare an arm on the objectives, and on every metric that one of its factors is about."""
    space = history.space
    judged = (metric_of(space, factor) for factor in factors)
    compared = (
        compare(history, Phase.CONFIRM, arm, metric)
        for metric in dict.fromkeys([*space.all_objectives, *judged])
    )
    return tuple(comparison for comparison in compared if comparison is not None)


def main_metric(space: Space, factors: Sequence[Factor]) -> str:
    """Return the metric that decides about a profile: the objective if any factor is about it."""
    metrics = [metric_of(space, factor) for factor in factors]
    return metrics[0] if metrics and space.objective not in metrics else space.objective


def guide_comparison(history: History) -> Comparison | None:
    """Compare the preset's candidate with the baseline in the phase that had it as an arm."""
    for phase in LOOKS:
        comparison = compare(history, phase, history.space.preset, history.space.objective)
        if comparison is not None:
            return comparison
    return None


def compare(history: History, phase: Phase, arm: str, metric: str) -> Comparison | None:
    """Return an arm against the baseline in one phase, ``None`` when either was not measured."""
    measured = [start for start in history.of_phase(phase) if is_usable(start, metric)]
    stock = [s.metrics[metric] for s in measured if s.request.stem == BASELINE_ARM]
    own = [s for s in measured if s.request.stem == arm]
    estimate = history.estimates.fits[phase, metric].estimate(
        arm, history.estimates.noise[phase, metric]
    )
    if not stock or not own or estimate is None:
        return None
    baseline = geometric_mean(stock)
    sign = sign_of(history.space, metric)
    value = baseline * math.exp(sign * estimate.value)
    level = confirm.level(history) if phase is Phase.CONFIRM else 0.95
    effect = as_effect(estimate, len(stock) + len(own), level)
    return Comparison(arm, metric, baseline, value, effect)


def removal_effects(history: History, proven: Sequence[Factor]) -> dict[str, Effect]:
    """Return tuning → what the profile gains by it: a ratio above 1 is lost without it.

    Empty where the confirmation had no room for it. Each effect is on the tuning's own metric, and
    all intervals hold together (Bonferroni over the profile's tunings).
    """
    found = {}
    for factor in proven:
        effect = _removal(history, factor, len(proven))
        if effect is not None:
            found[factor.tuning] = effect
    return found


def _removal(history: History, factor: Factor, many: int) -> Effect | None:
    metric, own = metric_of(history.space, factor), arm_without(factor)
    estimate = contrast(history.estimates, PROVEN_ARM, own, metric)
    if estimate is None:
        return None
    level = confirm.level(history)
    interval = estimate.interval(1 - (1 - level) / many)
    low, high = (None, None) if interval is None else map(to_ratio, interval)
    starts = sum(
        start.request.stem in (own, PROVEN_ARM) and is_usable(start, metric)
        for start in history.of_phase(Phase.CONFIRM)
    )
    return Effect(math.exp(estimate.value), low, high, estimate.p_greater, starts)


def redundant_tuning(space: Space, found: Mapping[str, Effect]) -> str | None:
    """Return the tuning that the profile does not need, ``None`` if it needs all or it is open.

    It is one whose removal is shown to cost less than the study's margin; of several the one
    that gives least: only one was left out at a time, and two may stand in for each other, so
    that what the profile gives without both was not measured.
    """
    spare = [
        (effect.ratio or 0.0, tuning)
        for tuning, effect in found.items()
        if effect.high is not None and effect.high < 1 + space.margin
    ]
    return min(spare)[1] if spare else None


def with_removal_effect(
    space: Space, answer: TuningVerdict, found: Mapping[str, Effect]
) -> TuningVerdict:
    """Return an answer with its removal effect, and the sentence that it adds."""
    effect = found.get(answer.tuning)
    if effect is None or answer.verdict is not Verdict.ADOPT:
        return answer
    shown = f"{formatting.percent((effect.ratio or 1.0) - 1)} {_bounds(effect)}"
    if effect.low is not None and effect.low > 1:
        said = f"the profile needs it: {shown} against leaving it out"
    elif effect.high is not None and effect.high < 1 + space.margin:
        said = f"redundant in the profile: {shown} against leaving it out"
    else:
        said = f"whether the profile needs it is open: {shown} against leaving it out"
    return replace(answer, removal=effect, reason=f"{answer.reason}; {said}")


def _bounds(effect: Effect) -> str:
    if effect.low is None or effect.high is None:
        return "(no interval)"
    return f"[{formatting.percent(effect.low - 1)}, {formatting.percent(effect.high - 1)}]"


def with_joint_effects(
    space: Space, answers: Iterable[TuningVerdict], tried: Sequence[Contender]
) -> Iterator[TuningVerdict]:
    """Yield the verdicts, with what the comparison of a profile says of those not tested.

    A profile of one tuning is a test of it. Of several, none is measured by itself.
    """
    for answer in answers:
        arm = _arm(answer, tried)
        if arm is None:
            yield answer
        elif len(arm.factors) == 1:
            effect = arm.effect(answer.metric) or answer.effect
            told = f"alone against the baseline, as the {arm.arm} profile"
            verdict = _verdict(space, effect)
            yield replace(
                answer, verdict=verdict, effect=effect, phase=Phase.CONFIRM.value, reason=told
            )
        else:
            ran = f"it ran only together with others, in the {arm.arm} profile"
            yield replace(answer, reason=f"{answer.reason}; {ran}")


def _arm(verdict: TuningVerdict, tried: Sequence[Contender]) -> Contender | None:
    """Return the smallest arm that measured a tuning which was not tested."""
    held = [
        arm
        for arm in tried
        if verdict.verdict is Verdict.NOT_TESTED
        and arm.ratio(verdict.metric) is not None
        and verdict.tuning in {factor.tuning for factor in arm.factors}
    ]
    return min(held, key=lambda arm: len(arm.factors), default=None)


def _verdict(space: Space, effect: Effect) -> Verdict:
    """Return what the interval of one comparison says.

    A gain is likely at most: to adopt it, it must win a test, and then be confirmed.
    """
    if effect.low is None or effect.high is None:
        return Verdict.INCONCLUSIVE
    if effect.low > 1:
        return Verdict.LIKELY
    if effect.high < 1:
        return Verdict.AVOID
    within = effect.low >= 1 - space.margin and effect.high <= 1 + space.margin
    return Verdict.NO_EFFECT if within else Verdict.INCONCLUSIVE
