"""The refinement: how far to turn an integer tuning that the screen found worth turning.

Each level of it runs in randomised blocks, everything else as in the best profile so far; a
Gaussian process over the logarithm of the level, with the noise as measured, says which is best.
The level enters the confirmation as one setting: what was seen here is no proof.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Final

import numpy as np

from trimtab.model import BASELINE, Candidate, Factor, Phase, StartRequest, TuningVerdict
from trimtab.search.arms import candidate_of, shuffled_requests
from trimtab.search.estimates import is_usable, metric_of, sign_of
from trimtab.search.history import History, derived
from trimtab.search.selection import Profiles, pareto_arm_count
from trimtab.stats.effects import Estimate, fit
from trimtab.stats.surface import process_posterior

BLOCKS: Final = 2
"""Blocks for each tuning, each with every level once."""

_MOST: Final = 2
"""Tunings that are refined, the largest effects first."""


def factors_to_refine(history: History) -> tuple[Factor, ...]:
    """Return the tunings to refine: those of the best profile that have more levels than two."""
    if not any(len(levels(factor)) > 2 for factor in history.space.factors):
        return ()
    return tuple(factor for factor in history.selection.best if len(levels(factor)) > 2)[:_MOST]


def levels(factor: Factor) -> tuple[int, ...]:
    """Return the levels of a factor, the tested one included; none of one that has no order."""
    if not factor.levels or not isinstance(factor.value, int):
        return ()
    return tuple(sorted({*factor.levels, factor.value}))


class RefinePhase:
    """The refinement; see the module."""

    phase: ClassVar[Phase] = Phase.REFINE

    def next_block(self, history: History) -> tuple[StartRequest, ...]:
        """Return the next block of the phase, empty when it is over or has no room."""
        index = history.block_count(Phase.REFINE)
        factors = factors_to_refine(history)
        if index >= BLOCKS * len(factors):
            return ()
        arms = _arms(history, factors[index // BLOCKS])
        ahead = _cost(history, arms) * (BLOCKS - index % BLOCKS)
        if history.remaining < ahead + _kept(history):
            return ()
        return shuffled_requests(history.space, Phase.REFINE, index, arms)

    def reserve(self, history: History, index: int) -> float:
        """Return what must be kept after block ``index``: the later ones, and a confirmation."""
        factors = factors_to_refine(history)
        later = sum(
            _cost(history, _arms(history, factors[each // BLOCKS]))
            for each in range(index + 1, BLOCKS * len(factors))
        )
        return later + _kept(history)


def _arms(history: History, factor: Factor) -> list[tuple[str, Candidate]]:
    rest = [other for other in history.selection.best if other.tuning != factor.tuning]
    return [
        (arm_name(factor, level), candidate_of([*rest, replace(factor, value=level)]))
        for level in levels(factor)
    ]


def arm_name(factor: Factor, level: int) -> str:
    """Return the name of the arm that has a factor at a level."""
    return f"{factor.tuning}={level}"


def _cost(history: History, arms: Sequence[tuple[str, Candidate]]) -> float:
    return history.cost(Phase.REFINE, *(values for _, values in arms))


def _kept(history: History) -> float:
    """Return what the confirmation of two profiles, and of further arms, needs."""
    best = candidate_of(history.selection.best)
    stock = history.cost(Phase.CONFIRM, BASELINE)
    arms = 2 + pareto_arm_count(history.space)
    return 3 * (stock + arms * history.cost(Phase.CONFIRM, best))


@derived
def refined_profiles(history: History) -> Profiles:
    """Return the profiles that the phases so far suggest, refined tunings at their best level."""
    planned = history.selection
    value = {factor.tuning: best_level(history, factor) for factor in factors_to_refine(history)}

    def at(factors: Sequence[Factor]) -> tuple[Factor, ...]:
        return tuple(
            replace(factor, value=value.get(factor.tuning, factor.value)) for factor in factors
        )

    return replace(planned, proven=at(planned.proven), best=at(planned.best))


def best_level(history: History, factor: Factor) -> int:
    """Return the level of the highest posterior mean; the tested one while nothing is known.

    A level whose starts break the SLO is none to choose.
    """
    assert isinstance(factor.value, int)
    found = _differences(history, factor)
    at = {level: estimate.value for level, estimate in found.items()} | {factor.value: 0.0}
    errors = [estimate.se for estimate in found.values() if estimate.se is not None]
    if len(at) < 3 or not errors:
        return factor.value
    # Each is a difference to the tested level, whose own noise is in all of them alike.
    noise = min(errors) / math.sqrt(2)
    order = sorted(at)
    points = [math.log2(level) for level in order]
    shape = process_posterior(points, [at[level] for level in order], [noise] * len(order), points)
    allowed = [
        (mean, level)
        for mean, level in zip(shape.mean, order, strict=True)
        if not _breaks(history, arm_name(factor, level))
    ]
    return max(allowed, default=(0.0, factor.value))[1]


def _breaks(history: History, name: str) -> bool:
    made = [s.request.candidate for s in history.of_phase(Phase.REFINE) if s.request.stem == name]
    return bool(made) and history.limits.are_broken(made[0])


def _differences(history: History, factor: Factor) -> dict[int, Estimate]:
    """Return level → its effect against the tested level, better-is-greater."""
    metric = metric_of(history.space, factor)
    sign = sign_of(history.space, metric)
    names = {arm_name(factor, level): level for level in levels(factor)}
    rows = [
        start
        for start in history.of_phase(Phase.REFINE)
        if start.request.stem in names and is_usable(start, metric)
    ]
    columns = {
        name: np.array([float(start.request.stem == name) for start in rows], dtype=np.float64)
        for name, level in names.items()
        if level != factor.value
    }
    y = [sign * math.log(start.metrics[metric]) for start in rows]
    model = fit(y, [start.request.block for start in rows], columns)
    found = {level: model.estimate(name) for name, level in names.items()}
    return {level: estimate for level, estimate in found.items() if estimate is not None}


def with_refined_level(answer: TuningVerdict, history: History) -> TuningVerdict:
    """Return an answer with the level that the refinement chose, and a word on it."""
    for factor in factors_to_refine(history):
        if factor.tuning == answer.tuning:
            level = best_level(history, factor)
            if level != factor.value:
                said = f"refined from {factor.value} to {level}"
                return replace(answer, value=level, reason=f"{answer.reason}; {said}")
    return answer
