"""What a peer works with: the bench that makes its starts, and the claim that it ends with."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count

import numpy as np

from trimtab.model import BASELINE, Candidate, Phase, StartRequest, Value, candidate
from trimtab.simulated import SimulatedMachine
from trimtab.simulated.machine import OBJECTIVE


@dataclass(frozen=True)
class Claim:
    """What a tuner ends with: the candidate it recommends and the gain it claims (log ratio).

    ``low`` and ``high`` are the claimed interval, ``None`` where the tuner gives none. ``kept``
    are the tunings it says are worth having.
    """

    chosen: Candidate
    gain: float
    low: float | None = None
    high: float | None = None
    kept: frozenset[str] = frozenset()


@dataclass
class Bench:
    """Makes starts on a machine and counts them."""

    machine: SimulatedMachine
    budget: int
    numbers: count[int] = field(default_factory=lambda: count(1))
    used: int = 0

    @cached_property
    def choices(self) -> Mapping[str, tuple[Value, ...]]:
        """The values of each tuning, ``None`` for stock: off and on, or the levels in order.

        The inert tuning is among them: a peer cannot know that it is.
        """
        found: dict[str, tuple[Value, ...]] = {}
        for name, tuning in self.machine.landscape.tunings.items():
            if tuning.numeric is None:
                found[name] = (None, self.machine.on(name))
            else:
                stock = tuning.numeric.stock
                found[name] = tuple(
                    None if level == stock else level
                    for level in sorted({stock, *tuning.numeric.levels})
                )
        return found

    def measure(self, chosen: Candidate) -> float:
        """Make one start and return its log throughput; a failed one counts, and is -inf."""
        self.used += 1
        request = StartRequest(Phase.SCREEN, self.used, "arm", chosen, self.used)
        start = self.machine.start(request, next(self.numbers))
        return math.log(start.metrics[OBJECTIVE]) if start.valid else -math.inf


Scheme = Callable[[Bench, np.random.Generator], Claim]


def setting(values: Mapping[str, Value]) -> Candidate:
    """Return the candidate of these values, ``None`` being stock."""
    return candidate({name: value for name, value in values.items() if value is not None})


def best_of(seen: Mapping[Candidate, float], base: float) -> Claim:
    """Return the claim of a tuner that takes the best single measurement as it is."""
    best = max(seen, key=lambda values: seen[values])
    return claimed(best, seen[best] - base) if seen[best] > base else claimed(BASELINE, 0.0)


def claimed(chosen: Candidate, gain: float) -> Claim:
    """Return the claim of a tuner that keeps all that it sets."""
    return Claim(chosen, gain, kept=frozenset(name for name, _ in chosen))
