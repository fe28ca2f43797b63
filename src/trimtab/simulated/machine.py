"""A simulated machine: makes starts of a landscape, as pure arithmetic over seeded draws.

A replay of real starts: a measured full factorial as the truth, its residuals as the noise.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations, cycle
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from trimtab.model import (
    Budget,
    Candidate,
    Factor,
    Outcome,
    Space,
    Start,
    StartRequest,
    Value,
    Window,
)
from trimtab.search import History, Strategy, alternation
from trimtab.simulated.landscape import Cell, Landscape


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


OBJECTIVE: Final = "output_throughput"
LATENCY: Final = "ttft_p99"
"""The only latency that a landscape tells."""

FURTHER: Final = (LATENCY, "startup")
"""The other metrics of a start."""

_LONGEST: Final = 10_000
"""Starts after which a study that does not end is a defect of its strategy."""


@dataclass(frozen=True)
class SimulatedMachine:
    """One machine with one seed: the same start on it always gives the same record.

    Only noise of plots depends on what was started before.
    """

    landscape: Landscape
    seed: int = 0
    _walk: list[float] = field(default_factory=lambda: [0.0], repr=False, compare=False)
    """Where the walk stands at each start so far, from number 0 on."""
    _plots: dict[int, tuple[Candidate, int]] = field(
        default_factory=dict, repr=False, compare=False
    )

    @cached_property
    def pairs(self) -> Mapping[tuple[str, str], float]:
        """The effect of each interacting pair: the landscape's own, and the random ones."""
        found = {
            (a, b): interaction.effect
            for interaction in self.landscape.interactions
            for a, b in (interaction.of,)
        }
        sd = self.landscape.random_interactions
        if sd > 0:
            rng = self._rng(1)
            for pair in combinations(sorted(self.landscape.tunings), 2):
                drawn = sd * float(rng.normal())
                if not any(self.landscape.tunings[name].dummy for name in pair):
                    found[pair] = found.get(pair, 0.0) + drawn
        return found

    @cached_property
    def replay(self) -> Replay | None:
        """The measured factorial that the landscape replays, if it does."""
        cells = self.landscape.replay
        return Replay(cells=cells) if cells else None

    def truth(self, candidate: Candidate) -> float:
        """Return the true effect of a candidate on the objective (log ratio to the baseline)."""
        values = dict(candidate)
        alone = sum(self._alone(name, value) for name, value in values.items())
        if self.replay is not None:
            alone += self.replay.effect(values)
        return alone + sum(
            effect for (one, other), effect in self.pairs.items() if {one, other} <= set(values)
        )

    def best(self) -> float:
        """Return the largest true effect that any candidate reaches."""
        names = [name for name, tuning in self.landscape.tunings.items() if not tuning.dummy]
        on = (np.arange(2 ** len(names))[:, None] >> np.arange(len(names))) % 2 == 1
        gain = on @ np.array([self._highest(name) for name in names])
        column = {name: on[:, index] for index, name in enumerate(names)}
        for pair, effect in self.pairs.items():
            gain += effect * np.logical_and(*(column[name] for name in pair))
        if self.replay is not None:
            gain += self.replay.effects(column)
        crashes = (crash.when for crash in self.landscape.crashes)
        for fatal in (*self.landscape.conflicts, *crashes):
            gain[np.all([column[name] for name in fatal], axis=0)] = -np.inf
        return float(gain.max())

    def average(self, name: str, value: Value) -> float:
        """Return the true effect of a setting on average over the others, each half of the time.

        That is what a screen estimates; beside a given profile the tuning may give something else.
        """
        alone = self._alone(name, value)
        if self.replay is not None:
            alone += self.replay.average(name)
        return alone + sum(effect for pair, effect in self.pairs.items() if name in pair) / 2

    def on(self, name: str) -> Value:
        """Return the value that a study tests."""
        numeric = self.landscape.tunings[name].numeric
        return "on" if numeric is None else numeric.published

    def start(self, request: StartRequest, number: int) -> Start:
        """Make one start: what happens depends on the request and its number alone."""
        own = self._rng(2, number)
        seconds = self.landscape.start_seconds * (0.9 + 0.2 * float(own.random()))
        names = [name for name, _ in request.candidate]
        if self._crashes(names, own):
            return Start(
                number, request, "0" * 16, Outcome.START_FAILED, seconds=seconds / 3,
                detail="the landscape crashes here",
            )  # fmt: skip
        level = self.truth(request.steady) + self._scatter(request, number, own)
        around: Sequence[float] = [0.0] * self.landscape.windows
        if self.replay is not None:
            residual, around = self.replay.draw(own)
            level += residual
        gain = self.truth(request.candidate) - self.truth(request.steady)
        windows = tuple(
            Window(
                index, float(index), index + 1.0, 1,
                {OBJECTIVE: self._of(level + offset + gain * on, index, own)},
                on=request.live if on else "",
            )
            for index, (offset, on) in enumerate(_switched(request, around))
        )  # fmt: skip
        mean = sum(math.log(window.metrics[OBJECTIVE]) for window in windows) / len(windows)
        known = [tuning for name, tuning in self.landscape.tunings.items() if name in names]
        latency = level - sum(tuning.latency for tuning in known)
        startup = sum(tuning.startup for tuning in known)
        metrics = {
            OBJECTIVE: math.exp(mean),
            LATENCY: 100.0 * math.exp(-latency),
            "startup": 20.0 * math.exp(startup + self.landscape.noise.start * float(own.normal())),
        }
        return Start(
            number, request, "0" * 16, Outcome.MEASURED, metrics, windows,
            gate=self._gate(number), seconds=seconds,
        )  # fmt: skip

    def _alone(self, name: str, value: Value) -> float:
        tuning = self.landscape.tunings.get(name)
        if tuning is None:
            return 0.0  # the dummy that every study carries
        return tuning.effect if tuning.numeric is None else tuning.numeric.effect(value)

    def _highest(self, name: str) -> float:
        """Return the effect of a tuning's best value other than stock."""
        numeric = self.landscape.tunings[name].numeric
        values = (self.on(name), *(() if numeric is None else numeric.levels))
        return max(self._alone(name, value) for value in values)

    def _scatter(self, request: StartRequest, number: int, own: np.random.Generator) -> float:
        noise = self.landscape.noise
        block = noise.block * float(self._rng(3, request.seed).normal())
        plot = noise.plot * float(self._rng(5, self._plot(request.steady, number)).normal())
        bad = float(own.normal(noise.bad_effect, noise.bad_sd)) * (own.random() < noise.bad)
        regime = noise.regimes * (1.0 if own.random() < 0.5 else -1.0)
        level = noise.start * float(own.normal()) + block + plot + bad + regime
        return level + self._moved(number)

    def _gate(self, number: int) -> Mapping[str, float]:
        """Return what the gate reads before a start: the machine as it has drifted."""
        sd = self.landscape.noise.gate
        if sd is None:
            return {}
        error = sd * float(self._rng(6, number).normal())
        return {"gflops": 100.0 * math.exp(self._moved(number) + error)}

    def _moved(self, number: int) -> float:
        return self._drift(number) + self.landscape.noise.trend * number

    def _plot(self, candidate: Candidate, number: int) -> int:
        """Return the number of the first start of a run with equal host settings.

        It goes back as far as this machine has made starts.
        """
        known = self.landscape.tunings
        host = tuple(pair for pair in candidate if pair[0] in known and known[pair[0]].host)
        before, first = self._plots.get(number - 1, (None, number))
        self._plots[number] = (host, first if before == host else number)
        return self._plots[number][1]

    def _drift(self, number: int) -> float:
        """Return where the random walk stands at a start; it steps once for each."""
        if self.landscape.noise.walk == 0:
            return 0.0
        for at in range(len(self._walk), number + 1):
            step = self.landscape.noise.walk * float(self._rng(4, at).normal())
            self._walk.append(self._walk[-1] + step)
        return self._walk[max(number, 0)]

    def _of(self, level: float, index: int, own: np.random.Generator) -> float:
        cold = self.landscape.noise.cold if index == 0 else 0.0
        scatter = self.landscape.noise.window * float(own.normal())
        return self.landscape.base * math.exp(level + cold + scatter)

    def _crashes(self, names: Sequence[str], own: np.random.Generator) -> bool:
        luck = own.random(len(self.landscape.crashes))
        return any(
            set(crash.when) <= set(names) and draw < crash.probability
            for crash, draw in zip(self.landscape.crashes, luck, strict=True)
        )

    def _rng(self, *stream: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, *stream))


def _switched(request: StartRequest, around: Sequence[float]) -> Iterator[tuple[float, bool]]:
    """Yield for each window how far it is off its start, and whether the live tuning is on."""
    if not request.live:
        yield from ((offset, False) for offset in around)
    else:
        yield from zip(cycle(around), alternation(request.block, len(around)), strict=False)


def space_of(landscape: Landscape, budget: Budget, seed: int = 0) -> Space:
    """Return the question that a study of the landscape answers; the dummy is always in it."""
    machine = SimulatedMachine(landscape)
    factors = [
        Factor(
            name,
            machine.on(name),
            lead="the landscape expects it" if tuning.lead else "",
            prior=tuning.prior,
            dummy=tuning.dummy,
            levels=() if tuning.numeric is None else tuning.numeric.levels,
            scope=tuning.scope,
            restart=tuning.restart,
        )
        for name, tuning in landscape.tunings.items()
    ]
    if not any(factor.dummy for factor in factors):
        factors.append(Factor("dummy", "1", dummy=True))
    seconds = (landscape.start_seconds, landscape.start_seconds)
    return Space(
        tuple(factors),
        conflicts=frozenset(frozenset(pair) for pair in landscape.conflicts),
        budget=budget,
        seed=seed,
        seconds=seconds,
    )


def play(strategy: Strategy, space: Space, machine: SimulatedMachine) -> list[Start]:
    """Run a study to its end, block by block, and return its starts.

    Raises:
        RuntimeError: the strategy does not end.
    """
    starts: list[Start] = []
    while requests := strategy.ask(History.of(space, starts)):
        for request in requests:
            starts.append(machine.start(request, len(starts) + 1))
        if len(starts) > _LONGEST:
            raise RuntimeError("the strategy asks for starts without end")
    return starts
