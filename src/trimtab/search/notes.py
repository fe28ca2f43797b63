"""What a reader must know besides the verdicts."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab import formatting
from trimtab.model import Phase, Space, Start
from trimtab.presets import GUIDE
from trimtab.search import lead, screen
from trimtab.search.answers import Findings, false_alarm
from trimtab.search.covariate import NAME as SPEED
from trimtab.search.failures import blocked
from trimtab.search.limits import untold
from trimtab.search.looks import LOOKS, metrics_of, usable
from trimtab.search.profiles import dropped
from trimtab.search.remarks import remarks


def notes_of(space: Space, starts: Sequence[Start], known: Findings) -> list[str]:
    """Return what a reader must know besides the verdicts, one sentence each."""
    notes = [blocked(space, starts), *_without_value(space, starts), *untold(space, starts)]
    if len(known.space.factors) > 1 and known.plan is None and starts:
        notes.append(_no_screen(known))
    if space.guide and starts and not _asked(space, known):
        notes.append(
            f"{_called(space.preset)} is not compared: the budget has no start to spare for it"
        )
    notes += [
        f"{formatting.factors([factor])} won alone, but every start failed in which it was on "
        f"together with {formatting.factors(known.centre)}: it is left out"
        for factor in dropped(space, starts)
    ]
    notes += [
        f"the inert tuning {factor.tuning} passed a test that it can pass only by chance "
        "or by drift: read small effects of this study with doubt"
        for factor in space.factors
        if false_alarm(known, factor)
    ]
    remarked = remarks(starts, space.objective, metrics_of(space))
    return [*notes, *_taken_out(known), *remarked]


def _called(preset: str) -> str:
    return "the guide" if preset == GUIDE else preset


def _taken_out(known: Findings) -> list[str]:
    """Say where the gate's readings are part of the analysis."""
    space, fits = known.space, known.analysis.fits
    if not any(SPEED in fits[phase, space.objective].slopes for phase in (*LOOKS, Phase.CONFIRM)):
        return []
    return ["the machine's own speed, read before each start, is taken out of the noise"]


def _without_value(space: Space, starts: Sequence[Start]) -> list[str]:
    """Say which measured starts a metric's analysis cannot use.

    Only the objective must be there; another metric may be absent for a reason of its own.
    """
    found = []
    for metric in metrics_of(space):
        lost = [
            start.number
            for start in starts
            if start.valid
            and not usable(start, metric)
            and (metric == space.objective or metric in start.metrics)
        ]
        if lost:
            verb = "has" if len(lost) == 1 else "have"
            left = "is" if len(lost) == 1 else "are"
            found.append(
                f"{formatting.count(len(lost), 'start')} {verb} no positive value of {metric} and "
                f"{left} left out: {', '.join(map(str, lost))}"
            )
    return found


def _asked(space: Space, known: Findings) -> bool:
    """Whether the guide is an arm of this study's first block."""
    if lead.tested(space):
        return lead.guided(space)
    return known.plan is not None and any(arm == space.preset for arm, _ in known.plan.opening)


def _no_screen(known: Findings) -> str:
    left = screen.candidates(
        known.space, known.centre, {*known.failed} | {f.tuning for f in known.centre}
    )
    if all(factor.dummy for factor in left):
        return ""
    return f"no screen: the budget leaves fewer than 8 starts for {len(left)} tunings"
