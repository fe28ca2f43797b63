"""Settings of the whole host: each tested by itself, around the best profile so far.

They cost power in a screen that toggles them start by start. One that acts at once is switched
between the windows of a start, so that the start's own luck cancels; any other is a whole plot,
because what a host keeps of a setting does not end with a start
(:mod:`trimtab.search.host_effects`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Final

from trimtab import formatting
from trimtab.model import BASELINE, Candidate, Factor, Phase, Space, StartRequest
from trimtab.search.arms import (
    arm_without,
    block_rng,
    candidate_of,
    clash,
    is_on,
    requests,
)
from trimtab.search.failures import FAILED
from trimtab.search.history import History
from trimtab.search.host_effects import starts_of_factor
from trimtab.search.phases.refine import refined_profiles
from trimtab.search.phases.screen import confirmation_reserve

LEAST: Final = 4
"""Starts that toggle a live setting, or plots at each level of another one."""

WANTED: Final = 6
"""The same where the budget allows: six contrasts detect 2.0 of their standard deviations, four
detect 3.4 (80 % power, among eight tunings)."""

_PROFILES: Final = 2


@dataclass(frozen=True, slots=True)
class HostPhasePlan:
    """The phase as planned: what is tested in which order around what, and how often."""

    around: tuple[Factor, ...]
    factors: tuple[Factor, ...]
    times: int

    @property
    def blocks(self) -> tuple[Factor, ...]:
        """The factor of each block: a start that toggles a live one, or all plots of another."""
        return tuple(
            factor for factor in self.factors for _ in range(self.times if factor.live else 1)
        )

    @property
    def starts(self) -> int:
        """All starts of the phase."""
        return sum(map(self.of, self.blocks))

    def of(self, factor: Factor) -> int:
        """Return how many starts a block of a factor has."""
        return 1 if factor.live else 2 * self.times


def plan(history: History) -> HostPhasePlan:
    """Return the plan that follows from the earlier phases."""
    seen = history.without(Phase.HOST, Phase.CONFIRM)
    return plan_within(seen, refined_profiles(seen).best, seen.remaining)


def plan_within(history: History, around: tuple[Factor, ...], money: float) -> HostPhasePlan:
    """Return the plan around a profile, by prior as much of it as ``money`` allows.

    Money is the budget left for it and for the confirmation.
    """
    spare = money - confirmation_reserve(history, around, _PROFILES)
    room = spare / history.cost(Phase.HOST, candidate_of(around))
    space = history.space
    able = (
        factor
        for factor in space.factors
        if factor.of_host and clash(space, factor, around) is None
    )
    kept: tuple[Factor, ...] = ()
    for factor in sorted(able, key=lambda factor: -factor.prior):
        if HostPhasePlan(around, (*kept, factor), LEAST).starts <= room:
            kept = (*kept, factor)
    wanted = HostPhasePlan(around, kept, WANTED)
    return wanted if wanted.starts <= room else HostPhasePlan(around, kept, LEAST)


def minimum_budget(space: Space) -> float:
    """Return the smallest budget that tests one of the host's factors and confirms it."""
    sizes = [
        HostPhasePlan((), (factor,), LEAST).starts for factor in space.factors if factor.of_host
    ]
    blank = History(space)
    first = blank.cost(Phase.HOST, BASELINE)
    return min(sizes) * first + confirmation_reserve(blank, (), _PROFILES)


class HostPhase:
    """The settings of the host; see the module."""

    phase: ClassVar[Phase] = Phase.HOST

    def next_block(self, history: History) -> tuple[StartRequest, ...]:
        """Return the next block of the phase, empty when it is over or has no room."""
        planned = plan(history)
        begun = max((s.request.block for s in history.of_phase(Phase.HOST)), default=-1)
        for index, factor in enumerate(planned.blocks):
            if index <= begun or _dead(history, factor):
                continue
            asked = _asked(history.space, planned, index, factor)
            cost = history.cost(Phase.HOST, *(request.candidate for request in asked))
            kept = confirmation_reserve(history, planned.around, _PROFILES)
            if history.remaining >= cost + kept:
                return asked
        return ()

    def reserve(self, history: History, index: int) -> float:
        """Return what must be kept after block ``index``: the later ones, and a confirmation."""
        planned = plan(history)
        each = history.cost(Phase.HOST, candidate_of(planned.around))
        later = sum(map(planned.of, planned.blocks[index + 1 :]))
        return each * later + confirmation_reserve(history, planned.around, _PROFILES)


def _dead(history: History, factor: Factor) -> bool:
    """Whether each start with it failed, of two or more."""
    made = [s for s in history.of_phase(Phase.HOST) if is_on(factor, s.request.candidate)]
    return len(made) > 1 and all(start.outcome in FAILED for start in made)


def _asked(
    space: Space, planned: HostPhasePlan, index: int, factor: Factor
) -> tuple[StartRequest, ...]:
    name = formatting.setting(factor.tuning, factor.value)
    stock, tuned = candidate_of(planned.around), candidate_of([*planned.around, factor])
    if factor.live:
        (request,) = requests(space, Phase.HOST, index, [(name, tuned)])
        return (replace(request, live=factor.tuning),)
    first = int(block_rng(space, Phase.HOST, index).integers(2))
    levels: tuple[tuple[str, Candidate], ...] = ((arm_without(factor), stock), (name, tuned))
    arms = []
    for plot in range(2 * planned.times):
        arm, values = levels[(plot + first) % 2]
        arms.append((f"{arm}/{plot + 1}", values))
    return requests(space, Phase.HOST, index, arms)


def sample_phrase(history: History, factor: Factor, many: int) -> str:
    """Return on what the verdict of a factor rests: so many starts or plots of its own."""
    tested = next(
        s for s in starts_of_factor(history.starts, factor) if is_on(factor, s.request.candidate)
    )
    rest = [pair for pair in tested.request.candidate if pair[0] != factor.tuning]
    around = ", ".join(formatting.setting(*pair) for pair in rest) or "the baseline"
    if factor.live:
        return f"when toggled in {formatting.count(many, 'start')} around {around}"
    return f"over {formatting.count(many, 'whole plot')} around {around}"


def untested_reason(history: History, factor: Factor) -> str:
    """Return why a factor of the host has no verdict."""
    planned = plan(history)
    other = clash(history.space, factor, planned.around)
    if other is not None:
        return f"excluded by {other.tuning}, which is in the best profile"
    if factor not in planned.factors:
        what = "starts that toggle it" if factor.live else "whole plots"
        return f"the budget leaves no room for {what}"
    if not starts_of_factor(history.starts, factor):
        return "no start with it was measured yet"
    return "no estimate: too few of its starts could be measured"
