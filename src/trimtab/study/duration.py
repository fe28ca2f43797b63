"""How long a study still takes, as a range: from its plan, and from the starts made so far.

Starts differ by kind: those of a phase are alike, and the ones around large gains are much
faster than the first ones. So each phase has its own mean, which begins at the plan's and moves to
what is measured. A failed start says little about the next one, so failures count only once they
repeat. From start to start the range moves part of the way to what is expected now.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

_PRIOR: Final = 2.0
"""How many measured starts the plan's duration of a phase counts for."""

_UNSURE: Final = 0.35
"""Relative uncertainty of a phase's mean before it began."""

_LEAST: Final = 0.05
"""The same, at least."""

_STEP: Final = 0.4
"""Part of the way that the range moves towards what is expected after a start."""


@dataclass(frozen=True, slots=True)
class StartGroup:
    """Starts of one kind in a plan.

    Holds the kind, the number of starts, and their seconds in all (0 if unknown).
    """

    kind: str
    starts: int
    seconds: float


@dataclass(slots=True)
class Forecast:
    """The seconds that are left, as a lower and an upper value."""

    parts: Sequence[StartGroup] = ()
    served: dict[str, list[float]] = field(default_factory=dict)
    failed: list[tuple[str, float]] = field(default_factory=list)
    again: list[str] = field(default_factory=list)
    shown: tuple[float, float] | None = None

    def begin(self, parts: Iterable[StartGroup]) -> None:
        """Take the plan."""
        self.parts = tuple(part for part in parts if part.starts > 0)
        self.shown = self.expected()

    def ended(self, kind: str, seconds: float, *, failed: bool, repeated: bool = False) -> None:
        """Take a finished start; one that is ``repeated`` leaves as many as before."""
        if repeated:
            self.again.append(kind)
        if failed:
            self.failed.append((kind, seconds))
        else:
            self.served.setdefault(kind, []).append(seconds)
        now = self.expected()
        if now is None or self.shown is None or now[1] == 0.0:
            self.shown = now
            return
        before = [max(0.0, one - seconds) for one in self.shown]
        low, high = (was + _STEP * (new - was) for was, new in zip(before, now, strict=True))
        self.shown = (low, high)

    def left(self, running: float) -> tuple[float, float] | None:
        """Return the range ``running`` seconds into the current start, ``None`` without a plan."""
        if self.shown is None:
            return None
        low, high = self.shown
        done = min(running, high)
        return max(0.0, low - done), max(0.0, high - done)

    def expected(self) -> tuple[float, float] | None:
        """Return the range that plan and starts give now, before it is smoothed."""
        if not self.parts:
            return None
        low = high = 0.0
        for part, many in self._ahead():
            if not part.seconds and not self.served.get(part.kind):
                return None
            each, unsure = self._each(part)
            low += many * each * (1 - unsure)
            high += many * each * (1 + unsure)
        return low, high

    def _made(self, kind: str) -> int:
        return len(self.served.get(kind, ())) + sum(one == kind for one, _ in self.failed)

    def _ahead(self) -> list[tuple[StartGroup, int]]:
        """Return how many starts of each kind are left; none of one that a later one followed."""
        begun = max(
            (at for at, group in enumerate(self.parts) if self._made(group.kind)), default=0
        )
        return [
            (part, max(0, part.starts + self.again.count(part.kind) - self._made(part.kind)))
            for at, part in enumerate(self.parts)
            if at >= begun
        ]

    def _each(self, part: StartGroup) -> tuple[float, float]:
        """Return the mean duration of a kind's starts and its relative uncertainty."""
        own = self.served.get(part.kind, [])
        made = sum(map(len, self.served.values()))
        planned = part.seconds / part.starts * self._pace(part.kind)
        weight = _PRIOR if part.seconds else 0.0
        mean = (weight * planned + math.fsum(own)) / (weight + len(own))
        costs = [seconds for _, seconds in self.failed]
        if len(costs) > 1:
            share = (len(costs) - 1) / (made + len(costs) + 4)
            mean = (1 - share) * mean + share * math.fsum(costs) / len(costs)
        unsure = _UNSURE / math.sqrt(1 + len(own) / 2 + made / 8)
        return mean, max(_LEAST, unsure)

    def _pace(self, kind: str) -> float:
        """Return how much slower than planned the starts of the other kinds were."""
        planned = self._planned()
        logs = [
            math.log(max(seconds, 1e-3) / planned[other])
            for other, own in self.served.items()
            if other != kind and planned.get(other, 0.0) > 0
            for seconds in own
        ]
        return math.exp(math.fsum(logs) / (len(logs) + _PRIOR))

    def _planned(self) -> Mapping[str, float]:
        return {part.kind: part.seconds / part.starts for part in self.parts}
