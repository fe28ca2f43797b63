"""What a study intends, before its first start: how many starts, how long, how fine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from trimtab import formatting
from trimtab.errors import UsageError
from trimtab.model import BASELINE, Candidate, Design, Factor, Phase, Space
from trimtab.search.arms import SOME, candidate_of, compatible_factors
from trimtab.search.estimates import ENOUGH_DF
from trimtab.search.history import History, total_budget
from trimtab.search.noise import study_noise
from trimtab.search.phases import confirm, lead, screen
from trimtab.search.phases import host as hosts
from trimtab.search.phases.screen import FOLLOW_ROWS, TRIALS
from trimtab.search.selection import pareto_arm_count, published_factors
from trimtab.stats.effects import detectable_effect

_PAIRS: Final = 4
"""Pairs of the smallest study: what the catalogue expects, all together, against the baseline."""


def require_budget(space: Space) -> None:
    """Make sure that the budget can answer something.

    Raises:
        UsageError: it cannot; the message names the smallest budget that can.
    """
    have, need = total_budget(space), minimum_budget(space)
    if have >= need:
        return
    if space.budget.starts is not None:
        raise UsageError(
            f"the budget must be at least {need:.0f} starts for these tunings, but is {have:.0f}"
        )
    raise UsageError(
        f"the budget must be at least about {math.ceil(need / 60)} minutes for these tunings, "
        f"but is {have / 60:.3g}"
    )


def minimum_budget(space: Space) -> float:
    """Return the smallest budget that answers anything, in the budget's unit."""
    if all(factor.dummy for factor in space.factors):
        return 0.0
    if all(factor.dummy or factor.of_host for factor in space.factors):
        return hosts.minimum_budget(space)
    leads = sorted((f for f in space.factors if f.lead), key=lambda f: -f.prior)
    if leads:
        return lead.minimum_budget(space, leads[:1])
    return _PAIRS * History(space).cost(Phase.CONFIRM, BASELINE, SOME)


def design(space: Space, sd: float = 0.05) -> Design:
    """Return the design of a study in which every lead wins.

    Args:
        space: the question.
        sd: assumed standard deviation between starts, log scale (0.05 = 5 %).

    Raises:
        UsageError: the budget is too small to answer anything.
    """
    require_budget(space)
    blank = History(space)
    around = compatible_factors(space, sorted(lead.leads_to_test(space), key=lambda f: -f.prior))
    planned, host, parts, times = _phases(blank, around)
    screened = (*(planned.factors if planned else ()), *host.factors)
    seconds = tuple(
        (
            phase.value,
            len(block),
            sum(blank.expected_seconds(phase, values) for values in block),
        )
        for phase, block in parts.items()
    )
    tested = {factor.tuning for factor in (*around, *screened)}
    return Design(
        lead_starts=len(parts[Phase.LEAD]),
        screen_starts=len(parts[Phase.SCREEN]),
        confirm_starts=len(parts[Phase.CONFIRM]),
        blocks=(lead.BLOCKS if parts[Phase.LEAD] else 0)
        + (len(planned.design.blocks) if planned else 0)
        + bool(parts[Phase.FOLLOW])
        + len(host.blocks)
        + times,
        minutes=sum(each for _, _, each in seconds) / 60,
        screened=tuple(factor.tuning for factor in screened),
        not_screened=tuple(f.tuning for f in space.factors if f.tuning not in tested),
        sd=sd,
        detectable=_detectable(space, planned, len(lead.leads_to_test(space)), sd),
        follow_starts=len(parts[Phase.FOLLOW]),
        host_starts=host.starts,
        objectives=space.objectives,
        trial_starts=len(parts[Phase.ANSWERS]),
        seconds=seconds,
    )


def detectability_note(history: History) -> str:
    """Say what the study can detect with the noise as its starts show it; "" before they do."""
    noise = study_noise(history.estimates)
    if noise.df < ENOUGH_DF or noise.sd is None:
        return ""
    found = design(history.space, noise.sd).detectable
    can = "no screen is planned" if found is None else f"detectable {formatting.percent(found)}"
    return f"noise between starts as measured: {formatting.percent(noise.sd)}; {can}"


def _phases(
    blank: History, around: tuple[Factor, ...]
) -> tuple[screen.ScreenPlan | None, hosts.HostPhasePlan, dict[Phase, Sequence[Candidate]], int]:
    """Return the plans of screen and host phase, the starts of each phase, and the last's blocks.

    Each phase gets what the budget leaves after those before it.
    """
    first = lead.planned_candidates(blank.space)
    spare = blank.total - blank.cost(Phase.LEAD, *first)
    planned = screen.plan_within(blank, around, {f.tuning for f in around}, spare)
    rows = _rows(planned)
    followed = [candidate_of(around)] * (FOLLOW_ROWS if planned and planned.follows else 0)
    spare -= blank.cost(Phase.SCREEN, *rows, *followed)
    host = hosts.plan_within(blank, around, spare)
    beside = [candidate_of(around)] * host.starts
    spare -= blank.cost(Phase.HOST, *beside)
    tried = [candidate_of(around) or SOME] * (TRIALS if planned and planned.whole else 0)
    spare -= blank.cost(Phase.ANSWERS, *tried)
    last, times = _last(blank, around, spare, more=bool(planned or beside))
    parts: dict[Phase, Sequence[Candidate]] = {
        Phase.LEAD: first,
        Phase.SCREEN: rows,
        Phase.FOLLOW: followed,
        Phase.HOST: beside,
        Phase.CONFIRM: last,
        Phase.ANSWERS: tried,
    }
    return planned, host, parts, times


def _rows(planned: screen.ScreenPlan | None) -> list[Candidate]:
    if planned is None:
        return []
    around = candidate_of(planned.centre)
    values = [around for block in planned.design.blocks for _ in block]
    return [*(values for _, values in planned.opening), *values]


def _last(
    blank: History, around: tuple[Factor, ...], spare: float, *, more: bool
) -> tuple[list[Candidate], int]:
    """Return the confirmation's starts and blocks: two profiles if ``more`` may be found."""
    if not around and not more and not published_factors(blank.space):
        return [], 0
    tuned = candidate_of(around) or SOME
    for arms in (2 + pareto_arm_count(blank.space), 2, 1) if more else (1,):
        block = [BASELINE, *[tuned] * arms]
        each = blank.cost(Phase.CONFIRM, *block)
        times = min(confirm.MOST_BLOCKS, int(spare // each))
        if times >= confirm.BLOCKS or arms == 1:
            return block * times, times
    return [], 0


def _detectable(
    space: Space, planned: screen.ScreenPlan | None, leads: int, sd: float
) -> float | None:
    if planned is None:
        return None
    rows = planned.design.rows
    df = rows - len(planned.factors) - len(planned.design.blocks) + leads
    return math.expm1(detectable_effect(2 * sd / math.sqrt(rows), df, len(space.factors)))
