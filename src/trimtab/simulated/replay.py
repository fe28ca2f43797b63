"""A replay of real starts: a measured full factorial as the truth, its residuals as the noise."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from trimtab.simulated.landscape import Cell


class Replay(BaseModel):
    """All cells of a factorial. A cell's truth is the mean of its starts' logs.

    The noise of a start is the residual of a real one, drawn from all cells and widened by
    sqrt(n / (n - 1)) for the mean that was taken out of n; its windows are that start's own.
    """

    model_config = ConfigDict(frozen=True)

    cells: tuple[Cell, ...]

    @cached_property
    def factors(self) -> frozenset[str]:
        """The tunings that were varied."""
        return frozenset(name for cell in self.cells for name in cell.on)

    def effect(self, names: Collection[str]) -> float:
        """Return the log ratio of the cell with these tunings on to the one with none."""
        return self._means[self.factors & set(names)] - self._means[frozenset()]

    def effects(self, column: Mapping[str, NDArray[np.bool_]]) -> NDArray[np.float64]:
        """Return the effect of many candidates: for each tuning, in which of them it is on."""
        total = np.zeros(len(next(iter(column.values()))))
        for cell, mean in self._means.items():
            inside = [column[name] == (name in cell) for name in self.factors]
            total += (mean - self._means[frozenset()]) * np.all(inside, axis=0)
        return total

    def average(self, name: str) -> float:
        """Return the main effect of a tuning: the mean over all combinations of the others."""
        if name not in self.factors:
            return 0.0
        rest = [on for on in self._means if name not in on]
        return float(np.mean([self._means[on | {name}] - self._means[on] for on in rest]))

    def draw(self, rng: np.random.Generator) -> tuple[float, Sequence[float]]:
        """Return the residual of one real start, and of its windows around it."""
        residual, windows = self._residuals[int(rng.integers(len(self._residuals)))]
        return residual, windows

    @cached_property
    def _means(self) -> dict[frozenset[str], float]:
        return {
            frozenset(cell.on): float(np.mean([_level(start) for start in cell.starts]))
            for cell in self.cells
        }

    @cached_property
    def _residuals(self) -> list[tuple[float, tuple[float, ...]]]:
        found = []
        for cell in self.cells:
            count = len(cell.starts)
            wider = math.sqrt(count / (count - 1))
            for start in cell.starts:
                level = _level(start)
                found.append(
                    (
                        wider * (level - self._means[frozenset(cell.on)]),
                        tuple(math.log(one) - level for one in start),
                    )
                )
        return found


def _level(windows: Sequence[float]) -> float:
    return float(np.mean(np.log(windows)))
