"""The screen: every remaining factor toggled around the centre by an orthogonal design.

The rows of a screen: a design without pairs that must not be on together, of the right size.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Final

import numpy as np

from trimtab.model import BASELINE, Candidate, Factor, Phase, Space, StartRequest
from trimtab.search.arms import (
    BASELINE_ARM,
    SOME,
    block_rng,
    candidate_of,
    clash,
    requests,
    shuffled_requests,
)
from trimtab.search.history import History, derived
from trimtab.search.selection import pareto_arm_count
from trimtab.stats import designs
from trimtab.stats.effects import fit

_TRIES: Final = 8
"""Designs drawn where pairs must be kept apart; the one that estimates best is taken."""


def conflicting_pairs(space: Space, factors: Sequence[Factor]) -> tuple[tuple[int, int], ...]:
    """Return the pairs of factors, by their places, that must not be on together."""
    return tuple(
        (i, j)
        for i, factor in enumerate(factors)
        for j, other in enumerate(factors[:i])
        if frozenset((factor.tuning, other.tuning)) in space.conflicts
    )


@lru_cache(maxsize=64)
def layout(
    factors: int, rows: int, pairs: tuple[tuple[int, int], ...], seed: int, most: int
) -> designs.Screen:
    """Return a design without conflicting pairs; of several the one that estimates best.

    Args:
        factors: number of factors.
        rows: rows of the design.
        pairs: places of factors that must not be on together.
        seed: of the draw.
        most: rows to keep; those that the estimates lose least by are left out.
    """
    best = None
    for attempt in range(_TRIES if pairs else 1):
        rng = np.random.default_rng(np.random.SeedSequence((seed, 7, attempt)))
        drawn = designs.screen(factors, rows, rng)
        screen = designs.Screen(
            tuple(
                tuple(designs.repair_row(row, pairs, rng) for row in block)
                for block in drawn.blocks
            )
        )
        score = _score(factors, screen)
        if best is None or score < best[0]:
            best = (score, screen)
    assert best is not None
    design = best[1]
    while design.rows > most:
        design = min(_shorter(design), key=lambda one: _score(factors, one))
    return design


def _shorter(design: designs.Screen) -> Iterator[designs.Screen]:
    """Yield the design without each row in turn."""
    for place, block in enumerate(design.blocks):
        for row in range(len(block)):
            rest = (block[:row] + block[row + 1 :],) if len(block) > 1 else ()
            yield designs.Screen(design.blocks[:place] + rest + design.blocks[place + 1 :])


def _score(factors: int, design: designs.Screen) -> tuple[int, float]:
    """Return how many factors cannot be estimated, and the largest standard error."""
    on = np.array([row for block in design.blocks for row in block], dtype=np.float64)
    labels = [index for index, block in enumerate(design.blocks) for _ in block]
    columns = {str(index): on[:, index] for index in range(factors)}
    slopes = fit([0.0] * len(labels), labels, columns).slopes
    return factors - len(slopes), max([scale for _, scale in slopes.values()], default=0.0)


_CONFIRM_BLOCKS = 3
_ENOUGH_ROWS = 24
_ROWS_PER_FACTOR = 8
_PROFILES = 2
FOLLOW_ROWS = 8
"""Starts of the second stage (:mod:`.follow_up`): a folded design of four tunings."""

_LEVELS = 4
"""Arms of the confirmation that cost as much as the refinement of an integer tuning."""

_APART = 4
"""Arms of the confirmation that leave one tuning out, which a large budget has room for."""
_FEW = 8
"""Factors that 16 rows screen well (resolution IV), so that a confirmation is affordable."""

_DOUBTED_ROWS = 2
"""Rows of a block that ask whether a doubted tuning fails by itself, without those that were on in
its failed starts. If it does, all others would be lost too; one alone may fail by chance."""

TRIALS = 2
"""Starts that a screen without a confirmation leaves over: one for each of the two profiles, of
which none is written that was never started (:mod:`trimtab.search.phases.acceptance`)."""


@dataclass(frozen=True, slots=True)
class ScreenPlan:
    """The screen as planned before its first start.

    ``opening`` holds the arms that join the first block when there was no lead phase. ``whole``:
    it takes the budget but for two trials. Otherwise money is kept for a confirmation with
    ``arms`` beside the baseline, and for the second stage where one ``follows``.
    """

    centre: tuple[Factor, ...]
    factors: tuple[Factor, ...]
    design: designs.Screen
    opening: tuple[tuple[str, Candidate], ...]
    whole: bool = False
    arms: int = _PROFILES
    follows: bool = False


def plan(history: History) -> ScreenPlan | None:
    """Return the plan that follows from the lead phase, ``None`` when there is no screen."""
    return _plan(history.select(Phase.LEAD))


@derived
def _plan(leads: History) -> ScreenPlan | None:
    settled = {*leads.failures, *(factor.tuning for factor in leads.winning_leads)}
    return plan_within(leads, leads.centre, settled, leads.remaining)


def plan_within(
    history: History,
    around: tuple[Factor, ...],
    settled: set[str],
    money: float,
) -> ScreenPlan | None:
    """Return the plan of a screen around a centre, as large as ``money`` allows.

    Money is the budget left for it and for the confirmation; ``settled`` are the tunings that
    are not to be screened.
    """
    space = history.space
    factors = screenable_factors(space, around, settled)
    if all(factor.dummy for factor in factors):
        return None
    lead = bool(history.of_phase(Phase.LEAD)) or bool(around)
    extra = [] if lead else [(BASELINE_ARM, BASELINE)]
    if extra and space.guide:
        extra.append((space.preset, space.guide))
    shared = _rows_beside_confirmation(history, around, factors, money, extra)
    rows, arms, opening, follows = shared
    made, whole = rows, False
    if rows < _ENOUGH_ROWS and len(factors) > _FEW and not around and not space.objectives:
        # A confirmation would leave rows that miss most effects of twice the noise: of a 5 % gain
        # at 2 % noise among 12 tunings 43 % were found, and 81 % with 24 rows (benchmarks/search).
        alone = _rows_alone(history, factors, money, extra)
        if alone is not None:
            rows, made, opening = alone
            whole = True
    if not rows:
        return None
    kept = _fitting(factors, rows)
    pairs = conflicting_pairs(space, kept)
    design = layout(len(kept), rows, pairs, space.seed, made)
    return ScreenPlan(
        around, kept, design, tuple(opening), whole, max(_PROFILES, arms), follows and not whole
    )


Opening = list[tuple[str, Candidate]]


def _rows_beside_confirmation(
    history: History,
    around: tuple[Factor, ...],
    factors: Sequence[Factor],
    money: float,
    extra: Opening,
) -> tuple[int, int, Opening, bool]:
    """Return the rows of a screen that leaves money for a confirmation, the richest that fits.

    With them come the arms of that confirmation, the opening, and whether a second stage follows.
    """
    asked = _PROFILES + pareto_arm_count(history.space)
    rich = asked + _APART
    refining = rich + _LEVELS if any(factor.levels for factor in factors) else rich
    rows, arms, opening, follows = 0, 1, extra, False
    for arms, opening, follows in (
        *((many, extra, follows) for follows in (True, False) for many in (refining, rich)),
        (asked, extra, True),
        *((many, extra, False) for many in dict.fromkeys((asked, _PROFILES, 1))),
        (1, [], False),
    ):
        spare = money - _opening_cost(history, opening)
        spare -= confirmation_reserve(history, around, arms, follows=follows)
        rows = _rows(history, around, factors, spare)
        if rows >= _least_rows(len(factors), arms, asked, follows=follows):
            break
    return rows, arms, opening, follows


def _rows_alone(
    history: History, factors: Sequence[Factor], money: float, extra: Opening
) -> tuple[int, int, Opening] | None:
    """Return the rows of a screen that takes all the money but for two trials, if enough.

    With them come the rows that are made, and the opening.
    """
    each = history.cost(Phase.SCREEN, SOME)
    for opening in (extra, []):
        spare = money - _opening_cost(history, opening)
        rows = _rows(history, (), factors, spare)
        if rows >= _ENOUGH_ROWS:
            return rows, min(rows, int(spare // each) - TRIALS), opening
    return None


def _opening_cost(history: History, opening: Opening) -> float:
    return history.cost(Phase.SCREEN, *(values for _, values in opening))


def _least_rows(factors: int, arms: int, asked: int, *, follows: bool) -> int:
    """Return how many rows a screen must keep for so much after it to be worth while.

    ``asked`` are the arms of a confirmation that leaves no tuning out in turn.
    """
    if follows:
        return max(_ENOUGH_ROWS, 2 * factors)
    if arms > asked:
        return max(_ENOUGH_ROWS, 3 * factors)
    return 2 * max(_FEW, factors) if arms > _PROFILES else 1


def screenable_factors(
    space: Space, around: Sequence[Factor], settled: set[str]
) -> tuple[Factor, ...]:
    """Return what could be screened, in order: the dummy first, then by prior."""
    free = (
        factor
        for factor in space.factors
        if factor.tuning not in settled
        and factor not in around
        and not factor.of_host
        and clash(space, factor, around) is None
    )
    return tuple(sorted(free, key=lambda factor: (not factor.dummy, -factor.prior)))


def confirmation_reserve(
    history: History,
    around: Sequence[Factor],
    arms: int,
    *,
    follows: bool = False,
) -> float:
    """Return what comes after the screen: a confirmation, and before it a second stage or none.

    The confirmation has ``arms`` profiles beside the baseline.
    """
    tuned = history.cost(Phase.CONFIRM, candidate_of(around) or SOME)
    stock = history.cost(Phase.CONFIRM, BASELINE)
    blocks = _CONFIRM_BLOCKS
    if follows and arms == _PROFILES:
        blocks -= 1
    return blocks * (stock + arms * tuned) + FOLLOW_ROWS * tuned * follows


def _rows(
    history: History, around: Sequence[Factor], factors: Sequence[Factor], money: float
) -> int:
    each = history.cost(Phase.SCREEN, candidate_of(around) or SOME)
    most = max(_ENOUGH_ROWS, _ROWS_PER_FACTOR * len(factors))
    return designs.usable_rows(len(factors), min(most, int(max(0.0, money) // each)))


def _fitting(factors: Sequence[Factor], rows: int) -> tuple[Factor, ...]:
    room = designs.factor_capacity(rows) if rows <= designs.LARGEST else rows // 2
    return tuple(factors[:room])


class ScreenPhase:
    """The screen; see the module."""

    phase: ClassVar[Phase] = Phase.SCREEN

    def next_block(self, history: History) -> tuple[StartRequest, ...]:
        """Return the next block of the phase, empty when it is over."""
        planned, space = plan(history), history.space
        index = history.block_count(Phase.SCREEN)
        if planned is None or index >= len(planned.design.blocks):
            return ()
        arms = _arms(history, planned, index)
        cost = history.cost(Phase.SCREEN, *(values for _, values in arms))
        if index > 0 and history.remaining < cost + _kept(history, planned, 1):
            return ()
        if index == 0 and planned.opening:
            return shuffled_requests(space, Phase.SCREEN, index, arms)
        return requests(space, Phase.SCREEN, index, arms)

    def reserve(self, history: History, index: int) -> float:
        """Return what must be kept after block ``index``: the later rows and a confirmation."""
        planned = plan(history)
        if planned is None:
            return 0.0
        rows = sum(len(block) for block in planned.design.blocks[index + 1 :])
        each = history.cost(Phase.SCREEN, candidate_of(planned.centre) or SOME)
        return rows * each + _kept(history, planned, planned.arms, follows=planned.follows)


def _arms(history: History, planned: ScreenPlan, index: int) -> list[tuple[str, Candidate]]:
    around, out, doubts = history.centre, history.failures, history.suspects
    asked: Counter[str] = Counter()
    known = history.apart(history.failing_pairs).space
    rng = block_rng(known, Phase.SCREEN, -1)
    first = 1 + sum(len(block) for block in planned.design.blocks[:index])
    arms = []
    for number, row in enumerate(planned.design.blocks[index], start=first):
        on = [
            factor
            for factor, is_set in zip(planned.factors, row, strict=True)
            if is_set and factor.tuning not in out
        ]
        on = [factor for factor in on if asked[factor.tuning] < _DOUBTED_ROWS]
        beside = {name for factor in on for name in doubts.get(factor.tuning, ())}
        on = [factor for factor in on if factor.tuning not in beside]
        asked.update(factor.tuning for factor in on if factor.tuning in doubts)
        kept = designs.repair_row([True] * len(on), conflicting_pairs(known, on), rng)
        on = [factor for factor, stays in zip(on, kept, strict=True) if stays]
        arms.append((f"row-{number}", candidate_of([*around, *on])))
    return arms if index else [*planned.opening, *arms]


def _kept(history: History, planned: ScreenPlan, arms: int, *, follows: bool = False) -> float:
    """Return what must be left when the screen ends: trials of the profiles, or a confirmation."""
    if planned.whole:
        return TRIALS * history.cost(Phase.ANSWERS, candidate_of(planned.centre) or SOME)
    return confirmation_reserve(history, planned.centre, arms, follows=follows)
