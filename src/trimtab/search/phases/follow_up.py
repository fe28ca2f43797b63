"""The second stage of the screen: what the first left undecided, around the best profile so far.

The screen tells what a tuning gives on average over the others; where tunings interact that need
not be what it gives beside those that are kept. Eight more rows toggle four tunings around the
best combination to be expected: two that are likely gains and not proven, and those of which it is
least sure whether they belong there (:mod:`trimtab.search.response_surface`). In simulation with
interactions of 1.5 % ``max`` then misses 2.0 points, without it 2.8 (docs/search.md).
The starts are a second stage of the same tests (:mod:`trimtab.stats.multiplicity`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from trimtab.model import Candidate, Factor, Phase, Space, Start, StartRequest
from trimtab.search.budget import remaining_budget, start_cost
from trimtab.search.estimates import Analysis, analyse
from trimtab.search.failures import failures, with_failing_pairs
from trimtab.search.history import (
    block_count,
    block_rng,
    candidate_of,
    clash,
    memoize,
    requests,
    starts_of_phase,
)
from trimtab.search.phases.screen import FOLLOW_ROWS, conflicting_pairs
from trimtab.search.response_surface import response_surface
from trimtab.search.selection import ALPHA, adjusted_p_better, adjusted_p_worse, harms, profiles
from trimtab.stats import designs

CONFIRM_BLOCKS: Final = 2
"""Blocks of the confirmation that the stage leaves room for."""

_MOST: Final = designs.factor_capacity(FOLLOW_ROWS)
_LIKELY: Final = 2
"""Tunings followed because they may still be proven; the rest because it is open whether the best
combination has them."""

_FUTILE: Final = 0.30
"""One-sided p of the screen above which a proof is not hoped for."""


def block(space: Space, before: Sequence[Start]) -> tuple[StartRequest, ...]:
    """Return the next block of the stage, empty when it is over or there is no room for it."""
    if starts_of_phase(before, Phase.REFINE) or starts_of_phase(before, Phase.CONFIRM):
        return ()
    layout = plan(space, before)
    index = block_count(before, Phase.FOLLOW)
    if index >= len(layout):
        return ()
    cost = sum(start_cost(space, before, Phase.FOLLOW, values) for _, values in layout[index])
    if remaining_budget(space, before) < cost + reserve(space, before, index):
        return ()
    return requests(space, Phase.FOLLOW, index, layout[index])


def reserve(space: Space, before: Sequence[Start], index: int) -> float:
    """Return what must be kept after block ``index``: the later ones and a confirmation."""
    later = sum(
        start_cost(space, before, Phase.FOLLOW, values)
        for arms in plan(space, before)[index + 1 :]
        for _, values in arms
    )
    best = candidate_of(_before(space, before)[1])
    stock = start_cost(space, before, Phase.CONFIRM, ())
    return later + CONFIRM_BLOCKS * (stock + 2 * start_cost(space, before, Phase.CONFIRM, best))


@memoize
def plan(space: Space, before: Sequence[Start]) -> tuple[tuple[tuple[str, Candidate], ...], ...]:
    """Return the arms of each block, none where fewer than two tunings are undecided."""
    factors = factors_to_follow(space, before)
    if len(factors) < 2:
        return ()
    known, best = _before(space, before)
    around = [factor for factor in best if factor not in factors]
    pairs = conflicting_pairs(known, factors)
    rng = block_rng(space, Phase.FOLLOW, -1)
    drawn = designs.screen(len(factors), FOLLOW_ROWS, rng)
    rows = [[designs.repair_row(row, pairs, rng) for row in block] for block in drawn.blocks]
    numbers = iter(range(1, FOLLOW_ROWS + 1))
    return tuple(
        tuple(
            (
                f"follow-{next(numbers)}",
                candidate_of([*around, *(f for f, on in zip(factors, row, strict=True) if on)]),
            )
            for row in block
        )
        for block in rows
    )


def factors_to_follow(space: Space, before: Sequence[Start]) -> tuple[Factor, ...]:
    """Return the tunings to follow, at most four: the likely gains first, then the least sure.

    Without a surface the least sure are those whose screened effect is nearest to nothing.
    """
    seen = _first_stage(before)
    known, best = _before(space, before)
    analysis = analyse(known, seen)
    sure = _open(known, seen, analysis)
    likely = sorted(
        (factor for factor in sure if 0 < analysis.p_better(factor) <= _FUTILE),
        key=analysis.p_better,
    )
    joint = response_surface(analysis)
    doubts = {} if joint is None else joint.doubts(best)
    nearest = sorted(sure, key=lambda factor: doubts.get(factor, abs(sure[factor])))
    picked: list[Factor] = []
    for factor in dict.fromkeys([*likely[:_LIKELY], *nearest]):
        rest = [other for other in best if other not in picked and other is not factor]
        if len(picked) < _MOST and clash(known, factor, [*rest, *picked]) is None:
            picked.append(factor)
    return tuple(picked)


def _open(known: Space, seen: Sequence[Start], analysis: Analysis) -> dict[Factor, float]:
    """Return the screened tunings that are decided in neither direction, with their t values."""
    out = failures(known, seen)
    better, worse = (
        adjusted_p_better(known, seen, analysis),
        adjusted_p_worse(known, seen, analysis),
    )
    found = {}
    for factor in known.factors:
        looks = [look for look in analysis.looks(factor) if look.phase is Phase.SCREEN]
        decided = min(better[factor.tuning], worse[factor.tuning]) <= ALPHA
        if factor.dummy or factor.tuning in out or decided or harms(known, analysis, factor):
            continue
        for look in looks:
            if look.estimate.se:
                found[factor] = look.estimate.value / look.estimate.se
    return found


def _before(space: Space, starts: Sequence[Start]) -> tuple[Space, tuple[Factor, ...]]:
    """Return the question with what the first stage learned, and the best profile after it."""
    seen = _first_stage(starts)
    return with_failing_pairs(space, seen), profiles(space, seen).best


def _first_stage(starts: Sequence[Start]) -> list[Start]:
    return [s for s in starts if s.request.phase in (Phase.LEAD, Phase.SCREEN)]
