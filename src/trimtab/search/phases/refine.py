"""The refinement: how far to turn an integer tuning that the screen found worth turning.

Each level of it runs in randomised blocks, everything else as in the best profile so far; a
Gaussian process over the logarithm of the level, with the noise as measured, says which is best.
The level enters the confirmation as one setting: what was seen here is no proof.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from trimtab.model import Candidate, Factor, Phase, Space, Start, StartRequest, TuningVerdict
from trimtab.search.budget import remaining_budget, start_cost
from trimtab.search.estimates import is_usable, metric_of, sign_of
from trimtab.search.history import block_count, candidate_of, shuffled_requests, starts_of_phase
from trimtab.search.pareto_arms import pareto_arm_count
from trimtab.search.selection import Profiles, profiles
from trimtab.search.slo_limits import breaks_limits
from trimtab.stats.effects import Estimate, fit
from trimtab.stats.surface import process_posterior

BLOCKS: Final = 2
"""Blocks for each tuning, each with every level once."""

_MOST: Final = 2
"""Tunings that are refined, the largest effects first."""


def factors_to_refine(space: Space, before: Sequence[Start]) -> tuple[Factor, ...]:
    """Return the tunings to refine: those of the best profile that have more levels than two."""
    if not any(len(levels(factor)) > 2 for factor in space.factors):
        return ()
    factors = profiles(space, before).best
    return tuple(factor for factor in factors if len(levels(factor)) > 2)[:_MOST]


def levels(factor: Factor) -> tuple[int, ...]:
    """Return the levels of a factor, the tested one included; none of one that has no order."""
    if not factor.levels or not isinstance(factor.value, int):
        return ()
    return tuple(sorted({*factor.levels, factor.value}))


def block(space: Space, before: Sequence[Start]) -> tuple[StartRequest, ...]:
    """Return the next block of the phase, empty when it is over or there is no room for it."""
    index = block_count(before, Phase.REFINE)
    factors = factors_to_refine(space, before)
    if any(start.request.phase is Phase.CONFIRM for start in before):
        return ()
    if index >= BLOCKS * len(factors):
        return ()
    arms = _arms(space, before, factors[index // BLOCKS])
    cost = sum(start_cost(space, before, Phase.REFINE, values) for _, values in arms)
    ahead = cost * (BLOCKS - index % BLOCKS)
    if remaining_budget(space, before) < ahead + _kept(space, before):
        return ()
    return shuffled_requests(space, Phase.REFINE, index, arms)


def _arms(space: Space, before: Sequence[Start], factor: Factor) -> list[tuple[str, Candidate]]:
    rest = [other for other in profiles(space, before).best if other.tuning != factor.tuning]
    return [
        (arm_name(factor, level), candidate_of([*rest, replace(factor, value=level)]))
        for level in levels(factor)
    ]


def arm_name(factor: Factor, level: int) -> str:
    """Return the name of the arm that has a factor at a level."""
    return f"{factor.tuning}={level}"


def _kept(space: Space, before: Sequence[Start]) -> float:
    """Return what the confirmation of two profiles, and of further arms, needs."""
    best = candidate_of(profiles(space, before).best)
    stock = start_cost(space, before, Phase.CONFIRM, ())
    return 3 * (
        stock + (2 + pareto_arm_count(space)) * start_cost(space, before, Phase.CONFIRM, best)
    )


def reserve(space: Space, before: Sequence[Start], index: int) -> float:
    """Return what must be kept after block ``index``: the later ones, and a confirmation."""
    factors = factors_to_refine(space, before)
    later = 0.0
    for each in range(index + 1, BLOCKS * len(factors)):
        arms = _arms(space, before, factors[each // BLOCKS])
        later += sum(start_cost(space, before, Phase.REFINE, values) for _, values in arms)
    return later + _kept(space, before)


def refined_profiles(space: Space, starts: Sequence[Start], planned: Profiles) -> Profiles:
    """Return the profiles with each refined tuning at its best level."""
    value = {
        factor.tuning: best_level(space, starts, factor)
        for factor in factors_to_refine(space, starts)
    }

    def at(factors: Sequence[Factor]) -> tuple[Factor, ...]:
        return tuple(
            replace(factor, value=value.get(factor.tuning, factor.value)) for factor in factors
        )

    return replace(planned, proven=at(planned.proven), best=at(planned.best))


def best_level(space: Space, starts: Sequence[Start], factor: Factor) -> int:
    """Return the level of the highest posterior mean; the tested one while nothing is known.

    A level whose starts break the SLO is none to choose.
    """
    assert isinstance(factor.value, int)
    found = _differences(space, starts, factor)
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
        if not _breaks(space, starts, arm_name(factor, level))
    ]
    return max(allowed, default=(0.0, factor.value))[1]


def _breaks(space: Space, starts: Sequence[Start], name: str) -> bool:
    made = [
        s.request.candidate
        for s in starts_of_phase(starts, Phase.REFINE)
        if s.request.stem == name
    ]
    return bool(made) and breaks_limits(space, starts, made[0])


def _differences(space: Space, starts: Sequence[Start], factor: Factor) -> dict[int, Estimate]:
    """Return level → its effect against the tested level, better-is-greater."""
    metric = metric_of(space, factor)
    sign = sign_of(space, metric)
    names = {arm_name(factor, level): level for level in levels(factor)}
    rows = [
        start
        for start in starts_of_phase(starts, Phase.REFINE)
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


def with_refined_level(
    answer: TuningVerdict, space: Space, starts: Sequence[Start]
) -> TuningVerdict:
    """Return an answer with the level that the refinement chose, and a word on it."""
    for factor in factors_to_refine(space, starts):
        if factor.tuning == answer.tuning:
            level = best_level(space, starts, factor)
            if level != factor.value:
                said = f"refined from {factor.value} to {level}"
                return replace(answer, value=level, reason=f"{answer.reason}; {said}")
    return answer
