"""The second stage of the screen: what the first left undecided, around the best profile so far.

The screen tells what a tuning gives on average over the others; where tunings interact that need
not be what it gives beside those that are kept. Eight more rows toggle four tunings around the
best combination to be expected: two that are likely gains and not proven, and those of which it is
least sure whether they belong there (:mod:`trimtab.search.response_surface`). In simulation with
interactions of 1.5 % ``max`` then misses 2.0 points, without it 2.8 (docs/search.md).
The starts are a second stage of the same tests (:mod:`trimtab.stats.multiplicity`).
"""

from __future__ import annotations

from typing import ClassVar, Final

from trimtab.model import BASELINE, Candidate, Factor, Phase, StartRequest
from trimtab.search.arms import block_rng, candidate_of, clash, requests
from trimtab.search.estimates import ALPHA
from trimtab.search.history import History, derived
from trimtab.search.phases.screen import FOLLOW_ROWS, conflicting_pairs
from trimtab.search.response_surface import response_surface
from trimtab.stats import designs

CONFIRM_BLOCKS: Final = 2
"""Blocks of the confirmation that the stage leaves room for."""

_MOST: Final = designs.factor_capacity(FOLLOW_ROWS)
_LIKELY: Final = 2
"""Tunings followed because they may still be proven; the rest because it is open whether the best
combination has them."""

_FUTILE: Final = 0.30
"""One-sided p of the screen above which a proof is not hoped for."""


class FollowUpPhase:
    """The second stage; see the module."""

    phase: ClassVar[Phase] = Phase.FOLLOW

    def next_block(self, history: History) -> tuple[StartRequest, ...]:
        """Return the next block of the stage, empty when it is over or has no room."""
        layout = plan(history)
        index = history.block_count(Phase.FOLLOW)
        if index >= len(layout):
            return ()
        cost = history.cost(Phase.FOLLOW, *(values for _, values in layout[index]))
        if history.remaining < cost + self.reserve(history, index):
            return ()
        return requests(history.space, Phase.FOLLOW, index, layout[index])

    def reserve(self, history: History, index: int) -> float:
        """Return what must be kept after block ``index``: the later ones and a confirmation."""
        later = (values for arms in plan(history)[index + 1 :] for _, values in arms)
        best = candidate_of(history.first_stage.selection.best)
        stock = history.cost(Phase.CONFIRM, BASELINE)
        confirmation = CONFIRM_BLOCKS * (stock + 2 * history.cost(Phase.CONFIRM, best))
        return history.cost(Phase.FOLLOW, *later) + confirmation


def plan(history: History) -> tuple[tuple[tuple[str, Candidate], ...], ...]:
    """Return the arms of each block, none where fewer than two tunings are undecided."""
    return _plan(history.first_stage)


@derived
def _plan(first: History) -> tuple[tuple[tuple[str, Candidate], ...], ...]:
    factors = factors_to_follow(first)
    if len(factors) < 2:
        return ()
    known, best = first.space, first.selection.best
    around = [factor for factor in best if factor not in factors]
    pairs = conflicting_pairs(known, factors)
    rng = block_rng(known, Phase.FOLLOW, -1)
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


def factors_to_follow(first: History) -> tuple[Factor, ...]:
    """Return the tunings to follow, at most four: the likely gains first, then the least sure.

    Without a surface the least sure are those whose screened effect is nearest to nothing.

    Args:
        first: the first stage, :attr:`History.first_stage`.
    """
    known, best, analysis = first.space, first.selection.best, first.estimates
    sure = _open(first)
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


def _open(first: History) -> dict[Factor, float]:
    """Return the screened tunings that are decided in neither direction, with their t values."""
    analysis = first.estimates
    undecided = {}
    for factor in first.space.factors:
        looks = [look for look in analysis.looks(factor) if look.phase is Phase.SCREEN]
        decided = min(first.p_better[factor.tuning], first.p_worse[factor.tuning]) <= ALPHA
        failed = factor.tuning in first.failures
        if factor.dummy or failed or decided or analysis.harms(factor):
            continue
        for look in looks:
            if look.estimate.se:
                undecided[factor] = look.estimate.value / look.estimate.se
    return undecided
