"""Where the wall time of a study went: start-up, compiling in it, load, and the rest."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from trimtab.model import Start

PARTS: Final = {
    "startup": "start-up",
    "load": "load",
    "gate": "waiting for a quiet machine",
    "verify": "verification",
    "end": "ending servers",
}
"""The parts of a start, by their name in a ledger, with what people read."""

COMPILE: Final = "compile"
"""The part of the start-up in which the engine compiled, where its log tells it."""

_REST: Final = "other"


@dataclass(slots=True)
class Stopwatch:
    """Takes the seconds of the parts of one start, one after the other."""

    clock: Callable[[], float] = time.monotonic
    times: dict[str, float] = field(default_factory=dict)
    _since: float = -1.0

    def __post_init__(self) -> None:
        """Start now."""
        self._since = self.clock()

    def lap(self, part: str) -> None:
        """Add what has passed since the last lap to a part."""
        now = self.clock()
        self.times[part] = self.times.get(part, 0.0) + now - self._since
        self._since = now


@dataclass(frozen=True, slots=True)
class TimeBreakdown:
    """The seconds of some starts, in all and by part.

    ``parts`` has ``other`` for what no start tells. ``compiled`` is the part of the start-up that
    was spent compiling, ``None`` where no log tells it.
    """

    seconds: float
    parts: Mapping[str, float]
    compiled: float | None

    def as_data(self) -> dict[str, float | None]:
        """Return the seconds for JSON."""
        return {"seconds": self.seconds, **self.parts, COMPILE: self.compiled}

    def sentence(self) -> str:
        """Return the shares in one line, the largest first; "" where no start tells them."""
        known = {name: value for name, value in self.parts.items() if name != _REST}
        if not known or self.seconds <= 0:
            return ""
        said = []
        for name, value in sorted(known.items(), key=lambda item: -item[1]):
            text = f"{PARTS[name]} {self._share(value)}"
            if name == "startup" and self.compiled is not None:
                text += f" (compiling {self._share(self.compiled)})"
            if value / self.seconds >= 0.005:
                said.append(text)
        return ", ".join(said)

    def _share(self, seconds: float) -> str:
        return f"{100 * seconds / self.seconds:.0f} %"


def time_breakdown(starts: Sequence[Start]) -> TimeBreakdown:
    """Return where the wall time of some starts went."""
    total = math.fsum(start.seconds for start in starts)
    known = {
        name: math.fsum(start.times[name] for start in starts if name in start.times)
        for name in PARTS
        if _any_has(starts, name)
    }
    rest = max(0.0, total - math.fsum(known.values()))
    compiled = [start.times[COMPILE] for start in starts if COMPILE in start.times]
    return TimeBreakdown(total, {**known, _REST: rest}, math.fsum(compiled) if compiled else None)


def _any_has(starts: Iterable[Start], name: str) -> bool:
    return any(name in start.times for start in starts)
