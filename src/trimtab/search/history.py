"""The history of a study: its question with the starts made so far, and what follows from them.

Phases, verdicts and profiles ask it what the starts say: what is left of the budget, the
estimates, which tunings fail, the centre of the screen and the profiles to confirm. Each is worked
out once, when it is first asked for, and kept with the history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, wraps
from itertools import groupby
from statistics import fmean
from typing import Any, TypeVar

from trimtab.errors import UsageError
from trimtab.metrics.aggregate import start_metrics
from trimtab.model import BASELINE, Candidate, Factor, Phase, Space, Start
from trimtab.search.arms import compatible_factors, is_on, starts_of_phase
from trimtab.search.estimates import ENOUGH_DF, SETTLING, Analysis, analyse
from trimtab.search.failures import (
    Blame,
    Failure,
    Pair,
    blame,
    blocking_reason,
    failing_pairs,
    suspect_pairs,
)
from trimtab.search.selection import (
    Profiles,
    adjusted_p_better,
    adjusted_p_worse,
    fails_together,
    profiles,
    q_values,
    winners,
    winning_leads,
)
from trimtab.search.slo_limits import SloLimits

_Key = tuple[frozenset[Pair], tuple[int, ...]]
"""Conflicts and numbers of starts: what histories of one study differ in."""


@dataclass(frozen=True, eq=False)
class History:
    """A question and the starts made so far, in their order of time.

    The starts of a block must have metrics over the same windows: :meth:`of` sees to it.
    """

    space: Space
    starts: tuple[Start, ...] = ()
    _parts: dict[_Key, History] = field(default_factory=dict, repr=False)
    """The histories that were made of parts of the same starts: each is made once."""

    @classmethod
    def of(cls, space: Space, starts: Sequence[Start]) -> History:
        """Return the history of starts as a ledger has them, made comparable in each block."""
        return cls(space, comparable_starts(starts))

    # parts of it

    def select(self, *phases: Phase) -> History:
        """Return the history of these phases alone."""
        return self.filter(lambda start: start.request.phase in phases)

    def without(self, *phases: Phase) -> History:
        """Return the history without these phases."""
        return self.filter(lambda start: start.request.phase not in phases)

    def filter(self, belongs: Callable[[Start], bool]) -> History:
        """Return the history of those starts alone for which ``belongs`` holds."""
        return self._related(self.space, tuple(filter(belongs, self.starts)))

    def apart(self, pairs: frozenset[Pair]) -> History:
        """Return the history of a question with these pairs of tunings among its conflicts."""
        if pairs <= self.space.conflicts:
            return self
        space = replace(self.space, conflicts=self.space.conflicts | pairs)
        return self._related(space, self.starts)

    def _related(self, space: Space, starts: tuple[Start, ...]) -> History:
        if space is self.space and len(starts) == len(self.starts):
            return self
        key = (space.conflicts, tuple(start.number for start in starts))
        if key not in self._parts:
            self._parts[key] = History(space, starts, self._parts)
        return self._parts[key]

    @cached_property
    def first_stage(self) -> History:
        """Lead phase and screen, with the pairs that fail together as conflicts."""
        seen = self.select(Phase.LEAD, Phase.SCREEN)
        return seen.apart(seen.failing_pairs)

    def of_phase(self, phase: Phase) -> list[Start]:
        """Return the starts of one phase."""
        return starts_of_phase(self.starts, phase)

    def block_count(self, phase: Phase) -> int:
        """Return how many blocks of a phase have begun."""
        return len({start.request.block for start in self.of_phase(phase)})

    # the budget, in its own unit: starts, or seconds of wall time

    @property
    def total(self) -> float:
        """The whole budget.

        Raises:
            UsageError: the budget is not above zero, or names not exactly one unit.
        """
        return total_budget(self.space)

    @property
    def spent(self) -> float:
        """What the starts made so far have cost."""
        if self.space.budget.starts is not None:
            return float(len(self.starts))
        return sum(start.seconds for start in self.starts)

    @property
    def remaining(self) -> float:
        """What remains of the budget; negative when starts took longer than expected."""
        return self.total - self.spent

    def cost(self, phase: Phase, *candidates: Candidate) -> float:
        """Return what one start of each candidate will cost, as far as can be known."""
        if self.space.budget.starts is not None:
            return float(len(candidates))
        return sum(self.expected_seconds(phase, values) for values in candidates)

    def expected_seconds(self, phase: Phase, values: Candidate) -> float:
        """Return the expected wall seconds of a start.

        From the best of what there is: the same candidate; other tuned starts around the same
        centre; the fastest lead that is part of it; the question's own expectation.
        """
        same = [start for start in self.starts if start.request.candidate == values]
        if same:
            return fmean(start.seconds for start in same)
        alike = self._alike(phase, values)
        if alike:
            return fmean(start.seconds for start in alike)
        leads = [factor for factor in self.space.factors if factor.lead and is_on(factor, values)]
        alone = [
            start.seconds
            for start in self.of_phase(Phase.LEAD)
            if any(start.request.candidate == ((lead.tuning, lead.value),) for lead in leads)
        ]
        if alone:
            return min(alone)
        return self.space.seconds[0 if phase is Phase.LEAD or not leads else 1]

    def _alike(self, phase: Phase, values: Candidate) -> list[Start]:
        if phase is Phase.LEAD or values == BASELINE:
            starts = self.of_phase(phase)
        else:
            starts = [
                start
                for start in self.starts
                if start.request.phase is not Phase.LEAD and start.request.candidate != BASELINE
            ]
        # A failed start costs its deadline or almost nothing: no measure of one that works.
        return [start for start in starts if start.valid] or starts

    # what the starts say

    @cached_property
    def estimates(self) -> Analysis:
        """The effects of all factors in all phases, and their noise."""
        return analyse(self.space, self.starts)

    @cached_property
    def limits(self) -> SloLimits:
        """What the starts say of the SLO."""
        return SloLimits(self.space, self.starts)

    @property
    def blocking_reason(self) -> str:
        """Why the study cannot go on, "" when it can."""
        return blocking_reason(self.starts)

    @property
    def failures(self) -> dict[str, Failure]:
        """The tunings that make starts fail, with the reason."""
        return self._blame.failures

    @property
    def suspects(self) -> dict[str, frozenset[str]]:
        """The tunings that only failed so far, with those on in all of their failed starts.

        A start with the one and without the others tells who is to blame.
        """
        return self._blame.suspects

    @cached_property
    def _blame(self) -> Blame:
        return blame(self.space.factors, self.starts)

    @cached_property
    def failing_pairs(self) -> frozenset[Pair]:
        """The pairs of tunings that fail together."""
        return failing_pairs(self.starts)

    # which factors are kept

    @cached_property
    def winning_leads(self) -> tuple[Factor, ...]:
        """The leads that won the lead phase, largest effect first."""
        return winning_leads(self.select(Phase.LEAD).estimates)

    @cached_property
    def centre(self) -> tuple[Factor, ...]:
        """The leads around which the rest is screened, largest effect first.

        These are the leads with a gain above 5 % at one-sided p <= 0.05 in the lead phase. When
        all starts of a screen's block failed, the leads do not work together, and only the largest
        stays.
        """
        kept = compatible_factors(self.space, self.winning_leads)
        return kept[:1] if fails_together(self.starts) else kept

    @cached_property
    def dropped_leads(self) -> tuple[Factor, ...]:
        """The winning leads that were left out because they fail together with the centre."""
        if not fails_together(self.starts):
            return ()
        return compatible_factors(self.space, self.winning_leads)[1:]

    @cached_property
    def unusable(self) -> frozenset[str]:
        """The tunings that fail, alone or together with the centre."""
        return frozenset({*self.failures, *(factor.tuning for factor in self.dropped_leads)})

    @cached_property
    def p_better(self) -> dict[str, float]:
        """The adjusted p-value of "better" for each tuning; one that was not tested has 1."""
        return adjusted_p_better(self.estimates, self.failures)

    @cached_property
    def p_worse(self) -> dict[str, float]:
        """The adjusted p-value of "worse", on the factor's metric or on the objective."""
        return adjusted_p_worse(self.estimates, self.failures)

    @cached_property
    def q(self) -> dict[str, float]:
        """The q-value (false discovery rate) of "better" for each tuning."""
        return q_values(self.estimates, self.failures)

    @cached_property
    def selection(self) -> Profiles:
        """The profiles that lead phase, screen and host settings suggest.

        Of two tunings that conflict, or fail together, the larger effect stays.
        """
        seen = self.select(*SETTLING)
        if seen is not self:
            return seen.selection
        seen = seen.apart(seen.failing_pairs | suspect_pairs(seen.starts))
        ahead = winners(seen.estimates, seen.p_better)
        noise = seen.estimates.noise[Phase.LEAD, self.space.objective]
        if not ahead and noise.df < ENOUGH_DF:
            # The noise is hardly known yet; the confirmation's starts will tell whether they won.
            ahead = seen.centre
        return profiles(seen.estimates, ahead, seen.unusable, seen.limits)

    @cached_property
    def derived(self) -> dict[Callable[[History], Any], Any]:
        """The values of functions of this history that are kept with it, see :func:`derived`."""
        return {}


_Value = TypeVar("_Value")


def derived(function: Callable[[History], _Value]) -> Callable[[History], _Value]:
    """Return a pure function of a history that keeps its value with the history."""

    @wraps(function)
    def value(history: History) -> _Value:
        if function not in history.derived:
            history.derived[function] = function(history)
        known: _Value = history.derived[function]
        return known

    return value


def total_budget(space: Space) -> float:
    """Return the whole budget of a question.

    Raises:
        UsageError: the budget is not above zero, or names not exactly one unit.
    """
    starts, seconds = space.budget.starts, space.budget.seconds
    if (starts is None) == (seconds is None):
        raise UsageError(f"a budget must be starts or seconds, but is {space.budget}: set one")
    amount = float(starts) if starts is not None else float(seconds or 0.0)
    if not amount > 0:
        raise UsageError(f"the budget must be above 0, but is {amount:g}: give starts or a time")
    return amount


def comparable_starts(starts: Sequence[Start]) -> tuple[Start, ...]:
    """Return the starts with metrics over the windows that their whole block shares.

    Every arm of a block is judged by the same requests. A slow server may run out of load time
    before it has seen all windows; its block is then judged by the windows that all its measured
    starts have, because later windows hold other requests, and a warmer server.

    Metrics of the start itself (``startup``) stay. A block that shares no window keeps its
    starts as they are: each was measured, only not on the same requests.
    """
    by_number: dict[int, Start] = {}
    order = sorted(starts, key=lambda start: (start.request.phase, start.request.block))
    for _, block in groupby(order, key=lambda start: (start.request.phase, start.request.block)):
        by_number |= {start.number: start for start in _comparable(list(block))}
    return tuple(by_number[start.number] for start in starts)


def _comparable(members: Sequence[Start]) -> Iterator[Start]:
    usable = {
        start.number: {window.index for window in start.windows if not window.void}
        for start in members
        if start.valid and start.windows
    }
    common = set.intersection(*usable.values()) if usable else set()
    for start in members:
        yield _over(start, common) if common and start.number in usable else start


def _over(start: Start, indices: set[int]) -> Start:
    """Return a start with its metrics over the windows of these indices."""
    windows = [window for window in start.windows if window.index in indices]
    own = {name: start.metrics[name] for name in start.metrics if name not in windows[0].metrics}
    return replace(start, metrics={**own, **start_metrics(windows)})
