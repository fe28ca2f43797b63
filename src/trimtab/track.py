"""How far a study is, and how to say it: what every display of the progress builds on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from trimtab import formatting
from trimtab.forecast import Forecast, Part
from trimtab.metrics.table import METRICS
from trimtab.model import Comparison, Design, Outcome, Phase, Start, StartRequest

Clock = Callable[[], float]

_FAILED = frozenset({Outcome.START_FAILED, Outcome.LOAD_FAILED, Outcome.INEFFECTIVE})

_ANY = "start"
"""The kind of all starts where a plan tells no phases apart."""


@dataclass(slots=True)
class Track:
    """How far a study is: without any output. Times are ``clock``'s."""

    objective: str
    clock: Clock = time.monotonic
    design: Design | None = None
    began: float = 0.0
    number: int = 0
    request: StartRequest | None = None
    start_began: float = 0.0
    doing: str = ""
    leader: Comparison | None = None
    forecast: Forecast = field(default_factory=Forecast)
    expected: int = 0
    at_most: bool = False
    measured: int = 0
    place: int = 0

    def begin_study(self, design: Design) -> None:
        """Take the design and start counting the time."""
        self.design, self.began = design, self.clock()
        whole = ((_ANY, design.starts, design.minutes * 60),)
        self.forecast.begin(Part(*one) for one in design.seconds or whole)

    def expect(self, starts: int, measured: int, *, at_most: bool) -> None:
        """Take how many measured starts there are to be, and how many there are already."""
        if not self.expected:
            self.began = self.clock()
        self.expected, self.measured, self.at_most = starts, measured, at_most
        ahead = max(0, starts - measured)
        self.forecast.begin((Part(_ANY, ahead, 0.0),))

    def begin_start(self, number: int, request: StartRequest) -> bool:
        """Take the next start; return whether it opens a new phase."""
        opens = self.request is None or self.request.phase is not request.phase
        self.number, self.request, self.doing = number, request, ""
        self.start_began = self.clock()
        self.place = self.measured + 1
        return opens

    def end_start(self, start: Start) -> None:
        """Take the finished start's duration."""
        self.request, self.doing = start.request, ""
        self.number = start.number
        self.measured += start.valid
        kinds = {part.kind for part in self.forecast.parts}
        phase = start.request.phase.value
        kind = phase if phase in kinds else _ANY
        repeated = bool(self.expected) and not start.valid
        failed = start.outcome in _FAILED
        self.forecast.ended(kind, start.seconds, failed=failed, repeated=repeated)

    @property
    def total(self) -> int:
        """Starts of the whole study, as far as is known; of a measurement those to be measured."""
        if self.expected:
            return max(self.place, self.expected)
        return max(self.number, self.design.starts if self.design else 0)

    @property
    def done(self) -> int:
        """Starts that are over; of a measurement those that were measured."""
        if self.expected:
            return self.measured
        return max(0, self.number - self._runs)

    @property
    def spent(self) -> float:
        """Seconds since the study began (or was resumed)."""
        return self.clock() - self.began

    @property
    def left(self) -> tuple[float, float] | None:
        """Expected seconds until the end, as a range; ``None`` before anything is known."""
        return self.forecast.left(self.clock() - self.start_began if self._runs else 0.0)

    @property
    def _runs(self) -> bool:
        return self.number > 0 and bool(self.doing)

    def where(self) -> str:
        """Return phase, block, number and arm of the current start."""
        if self.request is None:
            return "preparing"
        if self.expected:
            total = f"at most {self.total}" if self.at_most else str(self.total)
            again = ", again" if self.request.arm != self.request.stem else ""
            return f"start {self.place} of {total}{again}: {self.request.stem}"
        place = f"{self.request.phase.value}, block {self.request.block}"
        return f"start {self.number} of {self.total} ({place}): {self.request.arm}"

    def result(self, start: Start) -> str:
        """Return how a start ended, in one line."""
        took = formatting.duration(start.seconds)
        value = start.metrics.get(self.objective) if start.valid else None
        if value is None:
            why = formatting.line(start.detail)
            return f"{self.where()}: {start.outcome.value}{f', {why}' if why else ''} ({took})"
        unit = METRICS[self.objective].unit if self.objective in METRICS else self.objective
        return f"{self.where()}: {formatting.number(value)} {unit} ({took})"

    def leading(self) -> str | None:
        """Return the best arm so far with its interval, ``None`` if there is none."""
        if self.leader is None:
            return None
        return f"best so far: {self.leader.arm}, {formatting.effect(self.leader.effect)}"


def announce(design: Design) -> str:
    """Return a design as the line that opens a study."""
    phases = (
        (Phase.LEAD.value, design.lead_starts),
        (Phase.SCREEN.value, design.screen_starts),
        (Phase.FOLLOW.value, design.follow_starts),
        (Phase.HOST.value, design.host_starts),
        (Phase.CONFIRM.value, design.confirm_starts),
        ("to try the profiles", design.trial_starts),
    )
    split = ", ".join(f"{many} {phase}" for phase, many in phases if many)
    front = f"; Pareto set with {', '.join(design.objectives)}" if design.objectives else ""
    return (
        f"{formatting.count(design.starts, 'start')} ({split}), about "
        f"{formatting.duration(design.minutes * 60)}; detectable effect "
        f"{formatting.percent(design.detectable)}{front}"
    )
