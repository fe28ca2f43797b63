"""The Pareto set of the confirmation's arms: which are shown to be dominated, and by which.

An arm dominates another where it is shown to be at most the margin worse on every objective, and
better on one. All bounds of a study hold together (Bonferroni over objectives and pairs of
arms), so that with 95 % none of its claims is wrong. What is not shown to be dominated stays.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from trimtab import formatting
from trimtab.metrics.table import geometric_mean
from trimtab.model import (
    BASELINE,
    Advantage,
    Candidate,
    Comparison,
    Effect,
    ParetoArm,
    Phase,
    Start,
)
from trimtab.search.arms import BASELINE_ARM, MAX_ARM, PROVEN_ARM
from trimtab.search.comparisons import compare
from trimtab.search.estimates import ALPHA, fit_phase, is_usable
from trimtab.search.failures import FAILED
from trimtab.search.final_profiles import UNRELIABLE
from trimtab.search.history import History

_TRIED: Final = "tried-"
"""Begins the name of a planned profile that the confirmation did not let stand."""


@dataclass(frozen=True, slots=True)
class ParetoFront:
    """The arms that were seen by all objectives, and the sentences about the others."""

    arms: tuple[ParetoArm, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ArmDifference:
    """How far one arm is ahead of another on a metric: log ratio, better-is-greater.

    ``low`` is its lower bound, simultaneous over all of a study; ``None`` if there is none.
    """

    value: float
    low: float | None

    def above(self, least: float) -> bool:
        """Whether it is shown to be above ``least``."""
        return self.low is not None and self.low > least


ArmDifferences = Mapping[tuple[str, str, str], ArmDifference]
"""(arm, other arm, metric) → how far the arm is ahead of the other."""


def pareto_front(
    history: History,
    proven: Candidate,
    best: Candidate,
    wanted: Sequence[tuple[str, Candidate]] = (),
) -> ParetoFront:
    """Return how the arms of the confirmation stand; empty in a study of one objective.

    An arm that breaks a limit, failed twice, or was never measured is no member and dominates
    nothing. ``proven`` and ``best`` are the final profiles, whose names their arms get; ``wanted``
    are the further arms, which the budget may have had no room for.
    """
    space = history.space
    if not space.objectives:
        return ParetoFront()
    made = history.of_phase(Phase.CONFIRM)
    if not made:
        return ParetoFront(notes=("no Pareto set: no start of a confirmation was made",))
    arms = {start.request.stem: start.request.candidate for start in made}
    names = {arm: _name(arm, values, proven, best) for arm, values in arms.items()}
    out = _out(history, made, names)
    order = sorted(arms.keys() - out.keys(), key=lambda arm: _rank(names[arm]))
    found = arm_differences(history, order, len(arms))
    above = dominance(found, order, space.all_objectives, math.log(1 - space.margin))
    members = [arm for arm in order if not above[arm]]
    standing = [
        ParetoArm(
            names[arm],
            arms[arm],
            _comparisons(history, made, arm, names[arm]),
            tuple(names[other] for other in above[arm]),
            tuple(_advantages(history, found, arm, members, names)) if arm in members else (),
        )
        for arm in order
    ]
    missing = (
        f"the budget had no room to confirm {arm}: {formatting.settings(values)}"
        for arm, values in wanted
        if arm not in arms
    )
    return ParetoFront(tuple(standing), (*filter(None, out.values()), *missing))


def arm_differences(history: History, arms: Sequence[str], family: int) -> ArmDifferences:
    """Return every arm against every other on every objective, from the same blocks.

    ``family`` is the number of arms that the bounds pay for, also those not compared here.
    """
    space = history.space
    level = 1 - ALPHA / (len(space.all_objectives) * max(1, math.comb(family, 2)))
    found = {}
    for metric in space.all_objectives:
        noise = history.estimates.noise[Phase.CONFIRM, metric]
        for other in arms:
            model = fit_phase(space, history.starts, Phase.CONFIRM, metric, reference=other)
            for arm in arms:
                estimate = model.estimate(arm, noise)
                if estimate is not None:
                    interval = estimate.interval(level)
                    low = None if interval is None else interval[0]
                    found[arm, other, metric] = ArmDifference(estimate.value, low)
    return found


def dominance(
    found: ArmDifferences, arms: Sequence[str], metrics: Sequence[str], floor: float
) -> dict[str, tuple[str, ...]]:
    """Return arm → the arms shown to dominate it; ``floor`` is the log of one less the margin.

    Where two dominate each other, possibly through others, they trade within the margin: neither
    is out for the other, and so the set is never empty.
    """
    above = {
        arm: {one for one in arms if one != arm and _better(found, metrics, one, arm, floor)}
        for arm in arms
    }
    reach = {arm: _reached(above, arm) for arm in arms}
    return {
        arm: tuple(other for other in arms if other in above[arm] and arm not in reach[other])
        for arm in arms
    }


def _better(
    found: ArmDifferences, metrics: Sequence[str], arm: str, other: str, floor: float
) -> bool:
    each = [found.get((arm, other, metric)) for metric in metrics]
    never_worse = all(difference is not None and difference.above(floor) for difference in each)
    return never_worse and any(
        difference is not None and difference.above(0.0) for difference in each
    )


def _reached(above: Mapping[str, set[str]], arm: str) -> set[str]:
    """Return all that dominate an arm, directly or through others."""
    found: set[str] = set()
    ahead = [arm]
    while ahead:
        fresh = above[ahead.pop()] - found
        found |= fresh
        ahead += fresh
    return found


def _advantages(
    history: History,
    found: ArmDifferences,
    arm: str,
    members: Sequence[str],
    names: Mapping[str, str],
) -> Iterable[Advantage]:
    for metric in history.space.all_objectives:
        ahead = {
            names[other]: lead
            for other in members
            if (lead := found.get((arm, other, metric))) is not None and lead.value > 0
        }
        if ahead:
            shown = tuple(name for name, lead in ahead.items() if lead.above(0.0))
            yield Advantage(metric, shown, tuple(name for name in ahead if name not in shown))


def _comparisons(
    history: History, made: Sequence[Start], arm: str, name: str
) -> tuple[Comparison, ...]:
    found = []
    for metric in history.space.all_objectives:
        if arm == BASELINE_ARM:
            own = [
                s.metrics[metric] for s in made if s.request.stem == arm and is_usable(s, metric)
            ]
            if own:
                base = geometric_mean(own)
                same = Effect(1.0, 1.0, 1.0, None, len(own))
                found.append(Comparison(name, metric, base, base, same))
        elif (comparison := compare(history, Phase.CONFIRM, arm, metric)) is not None:
            found.append(replace(comparison, arm=name))
    return tuple(found)


def _out(history: History, made: Sequence[Start], names: Mapping[str, str]) -> dict[str, str]:
    """Return the arms that cannot be members, with the sentence why ("" if said elsewhere)."""
    found = {}
    for arm, name in names.items():
        own = [start for start in made if start.request.stem == arm]
        failed = sum(start.outcome in FAILED for start in own)
        limits = history.limits.broken(own[0].request.candidate)
        if limits:
            found[arm] = f"{name} is not in the Pareto set because of the SLO: {', '.join(limits)}"
        elif failed >= UNRELIABLE:
            starts = formatting.count(len(own), "start")
            found[arm] = f"{name} failed in {failed} of {starts} and is not in the Pareto set"
        elif not any(start.valid for start in own):
            found[arm] = ""
    return found


def _name(arm: str, values: Candidate, proven: Candidate, best: Candidate) -> str:
    """Return the name of an arm beside the final profiles."""
    for name, chosen in ((BASELINE_ARM, BASELINE), (PROVEN_ARM, proven), (MAX_ARM, best)):
        if values == chosen:
            return name
    return _TRIED + arm if arm in (PROVEN_ARM, MAX_ARM) else arm


def _rank(name: str) -> tuple[int, str]:
    known = (BASELINE_ARM, PROVEN_ARM, MAX_ARM)
    return (known.index(name) if name in known else len(known), name)
