"""The best combination to be expected, from all rows of the screen and of its second stage.

What a tuning gives on average need not be what it gives beside others. The surface of
:mod:`trimtab.stats.surface` knows of both, as far as the rows tell; its highest point is the
profile ``max``. The choice is by what is expected, never by the best start: with noise that is one
that was lucky.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Final

import numpy as np

from trimtab.model import Factor, Phase, Space, Start
from trimtab.search.arms import clash, is_on, is_preset, starts_of_phase
from trimtab.search.estimates import NAME, Analysis, is_usable, machine_speed, sign_of
from trimtab.stats.surface import Rows, Surface, SurfacePosterior, fit_surface

_PHASES: Final = (Phase.SCREEN, Phase.FOLLOW)

_LEAST: Final = 8
"""Rows from which on a surface is worth more than the effects one by one: the smallest screen."""

_FROM: Final = 4
"""Measured rows, the highest of the surface, from which its highest point is climbed to."""


@dataclass(frozen=True, slots=True)
class ResponseSurface:
    """The surface over ``factors``."""

    factors: tuple[Factor, ...]
    known: SurfacePosterior

    def doubts(self, around: Sequence[Factor]) -> dict[Factor, float]:
        """Return how sure it is of each tuning beside ``around``: 0 is not at all.

        That is what switching it would change, in its posterior standard deviations.
        """
        row = np.array([factor in around for factor in self.factors])
        rows = np.repeat(row[None], len(row), axis=0)
        other = rows ^ np.eye(len(row), dtype=bool)
        change = self.known.surface.value(other) - self.known.surface.value(rows)
        sd = np.maximum(self.known.sd(other, rows), 1e-12)
        return {f: abs(float(t)) for f, t in zip(self.factors, change / sd, strict=True)}

    def best(
        self, space: Space, needed: Sequence[Factor], allowed: Sequence[Factor]
    ) -> tuple[Factor, ...]:
        """Return what the best combination adds to ``needed``, of ``allowed``.

        What costs next to nothing to leave out is left out: a quarter of the margin in all, since
        what is expected is shrunk already.
        """
        fixed = np.array([factor in needed for factor in self.factors])
        free = np.array(
            [
                factor in allowed and factor not in needed and clash(space, factor, needed) is None
                for factor in self.factors
            ]
        )
        apart = [
            (i, j)
            for i, j in combinations(range(len(self.factors)), 2)
            if clash(space, self.factors[i], [self.factors[j]]) is not None
        ]
        surface = self.known.surface
        starts = np.unique([fixed, *((self.known.on & free) | fixed)], axis=0)
        starts = starts[_feasible(starts, apart)]
        ahead = starts[np.argsort(-surface.value(starts), kind="stable")[:_FROM]]
        tops = np.array([_climb(surface, row, free, apart) for row in ahead])
        top = tops[int(np.argmax(surface.value(tops)))]
        kept = _lean(surface, top, free, math.log1p(space.margin) / 4)
        return tuple(f for f, on in zip(self.factors, kept & free, strict=True) if on)


def _feasible(rows: Rows, apart: Sequence[tuple[int, int]]) -> Rows:
    """Return which rows have no two tunings on that must not be on together."""
    bad = np.zeros(len(rows), dtype=bool)
    for one, other in apart:
        bad |= rows[:, one] & rows[:, other]
    return ~bad


def _climb(surface: Surface, row: Rows, free: Rows, apart: Sequence[tuple[int, int]]) -> Rows:
    """Return the nearest row from which no change of one or two tunings leads higher."""
    single = np.eye(len(row), dtype=bool)[free]
    both = [one | other for one, other in combinations(single, 2)]
    moves = np.array([*single, *both], dtype=bool).reshape(-1, len(row))
    height = float(surface.value(row[None])[0])
    while True:
        around = row ^ moves
        around = around[_feasible(around, apart)]
        values = surface.value(around)
        if not len(values) or float(values.max()) <= height + 1e-12:
            return row
        row, height = around[int(np.argmax(values))], float(values.max())


def _lean(surface: Surface, row: Rows, free: Rows, spare: float) -> Rows:
    """Return a row without what it can do without for ``spare`` (log) in all."""
    whole = float(surface.value(row[None])[0])
    while (on := np.flatnonzero(row & free)).size:
        fewer = np.repeat(row[None], len(on), axis=0)
        fewer[range(len(on)), on] = False
        values = surface.value(fewer)
        if float(values.max()) < whole - spare:
            break
        row = fewer[int(np.argmax(values))]
    return row


def response_surface(analysis: Analysis) -> ResponseSurface | None:
    """Return the surface of the objective; ``None`` where too few rows were measured."""
    space, metric = analysis.space, analysis.space.objective
    rows = [s for phase in _PHASES for s in _measured(analysis.starts, phase, metric)]
    factors = tuple(
        factor
        for factor in space.factors
        if not factor.dummy and len({is_on(factor, s.request.candidate) for s in rows}) > 1
    )
    if len(rows) < _LEAST or not factors:
        return None
    on = tuple(tuple(is_on(f, s.request.candidate) for f in factors) for s in rows)
    blocks = tuple((s.request.phase, s.request.block) for s in rows)
    y = [level for phase in _PHASES for level in _levels(analysis, phase, metric)]
    return ResponseSurface(factors, _fitted(on, blocks, tuple(y)))


@lru_cache(maxsize=16)
def _fitted(
    on: tuple[tuple[bool, ...], ...], blocks: tuple[Hashable, ...], y: tuple[float, ...]
) -> SurfacePosterior:
    return fit_surface(np.array(on), blocks, y)


def _measured(starts: Sequence[Start], phase: Phase, metric: str) -> list[Start]:
    return [
        start
        for start in starts_of_phase(starts, phase)
        if is_usable(start, metric) and not is_preset(start.request.stem)
    ]


def _levels(analysis: Analysis, phase: Phase, metric: str) -> list[float]:
    """Return the logs of a phase's starts, less what the machine's own speed explains."""
    rows = _measured(analysis.starts, phase, metric)
    slope = analysis.fits[phase, metric].slopes.get(NAME)
    speed = machine_speed(rows) if slope is not None else None
    sign = sign_of(analysis.space, metric)
    logs = np.array([sign * math.log(start.metrics[metric]) for start in rows])
    if slope is not None and speed is not None:
        logs -= slope[0] * speed
    return [float(log) for log in logs]
