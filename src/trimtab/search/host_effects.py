"""What a host setting gives, from starts of one profile with and without it.

A **live** setting alternates between the windows of a start, off on on off, and the other way
round in the next start. Each start gives one contrast, free of the start's own luck and of a
steady drift; the test is a t over these, because windows of one start share what made it odd.

Any other setting is a **whole plot**: a run of starts with the setting held. What such a run has
in common (memory that is fragmented or not, pages that are cached or not) is the luck of the plot
and not of its starts. Plots alternate strictly, because two equal ones in a row would be one. The
level and a steady drift are fitted to the plots' means, and the error is the plots' own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from statistics import fmean, stdev
from typing import Final, NamedTuple

import numpy as np

from trimtab.model import Factor, Phase, Start, Window
from trimtab.search.arms import is_on, starts_of_phase
from trimtab.stats.effects import Estimate, fit

ROUND: Final = 4
"""Windows that belong together: off on on off."""


class HostEffect(NamedTuple):
    """An effect (better-is-greater, log scale), and the starts or plots that it rests on."""

    estimate: Estimate
    many: int


def alternation(block: int, windows: int) -> tuple[bool, ...]:
    """Return for each window of a live start whether the setting is on in it.

    As many whole rounds of four as hold the ``windows`` that a start of the study has; the starts
    of odd blocks begin with on, so that being first is no part of the effect.
    """
    count = ROUND * math.ceil(windows / ROUND)
    return tuple((index % ROUND in (1, 2)) != bool(block % 2) for index in range(count))


def starts_of_factor(starts: Sequence[Start], factor: Factor) -> list[Start]:
    """Return the starts of the phase that test a factor, those of its plots without it too."""
    made = starts_of_phase(starts, Phase.HOST)
    blocks = {s.request.block for s in made if is_on(factor, s.request.candidate)}
    return [start for start in made if start.request.block in blocks]


def host_effect(
    starts: Sequence[Start], factor: Factor, metric: str, sign: float
) -> HostEffect | None:
    """Return the effect of a host setting from its own starts, ``None`` if they give none.

    ``sign`` is -1 for a metric of which less is better.
    """
    tested = starts_of_factor(starts, factor) if factor.of_host else []
    if factor.live:
        return _toggled(tested, metric, sign)
    return _over_plots(_plots(tested, factor, metric), sign)


def _toggled(starts: Sequence[Start], metric: str, sign: float) -> HostEffect | None:
    found = [_within(start.windows, metric) for start in starts if start.valid]
    own = [sign * one for one in found if one is not None]
    if not own:
        return None
    se = stdev(own) / math.sqrt(len(own)) if len(own) > 1 else None
    return HostEffect(Estimate(fmean(own), se, len(own) - 1), len(own))


def rounds(windows: Sequence[Window]) -> list[Sequence[Window]]:
    """Return the whole rounds of a live start's windows.

    One with a void window is left out: three windows would not cancel a drift.
    """
    found = [windows[first : first + ROUND] for first in range(0, len(windows), ROUND)]
    return [
        windows
        for windows in found
        if len(windows) == ROUND and not any(window.void for window in windows)
    ]


def _within(windows: Sequence[Window], metric: str) -> float | None:
    """Return a start's contrast, on less off, over its whole rounds."""
    logs: dict[bool, list[float]] = {True: [], False: []}
    for window in (window for one in rounds(windows) for window in one):
        value = _log(window.metrics, metric)
        if value is None:
            return None
        logs[bool(window.on)].append(value)
    return fmean(logs[True]) - fmean(logs[False]) if logs[True] else None


class _Plot(NamedTuple):
    """A plot as measured: whether it is on, its time (in starts), and its mean log."""

    on: bool
    time: float
    level: float


def _plots(starts: Sequence[Start], factor: Factor, metric: str) -> list[_Plot]:
    """Return the plots of a factor: runs of starts with the same setting.

    A start that failed or was void still held its setting, and so parts the plots around it.
    """
    order = sorted(starts, key=lambda start: start.number)
    found = []
    for on, run in groupby(order, key=lambda start: is_on(factor, start.request.candidate)):
        known = [
            (start.number - order[0].number, value)
            for start in run
            if start.valid and (value := _log(start.metrics, metric)) is not None
        ]
        if known:
            times, logs = zip(*known, strict=True)
            found.append(_Plot(on, fmean(times), fmean(logs)))
    return found


def _over_plots(plots: Sequence[_Plot], sign: float) -> HostEffect | None:
    columns = {
        "on": np.array([plot.on for plot in plots], dtype=np.float64),
        "time": np.array([plot.time for plot in plots], dtype=np.float64),
    }
    model = fit([sign * plot.level for plot in plots], [0] * len(plots), columns)
    estimate = model.estimate("on")
    return None if estimate is None else HostEffect(estimate, len(plots))


def _log(metrics: Mapping[str, float], metric: str) -> float | None:
    value = metrics.get(metric)
    return math.log(value) if value is not None and 0.0 < value < math.inf else None
