"""How far a study is, and how to say it: what every display of the progress builds on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from trimtab import wording
from trimtab.metrics import METRICS
from trimtab.model import Comparison, Design, Phase, Start, StartRequest

Clock = Callable[[], float]

_RECENT = 4
"""Starts whose mean duration predicts the next ones: they get faster once the leads have won."""


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
    durations: list[float] = field(default_factory=list)

    def begin_study(self, design: Design) -> None:
        """Take the design and start counting the time."""
        self.design, self.began = design, self.clock()

    def begin_start(self, number: int, request: StartRequest) -> bool:
        """Take the next start; return whether it opens a new phase."""
        opens = self.request is None or self.request.phase is not request.phase
        self.number, self.request, self.doing = number, request, ""
        self.start_began = self.clock()
        return opens

    def end_start(self, start: Start) -> None:
        """Take the finished start's duration."""
        self.request, self.doing = start.request, ""
        self.number = start.number
        self.durations.append(start.seconds)

    @property
    def total(self) -> int:
        """Starts of the whole study, as far as is known."""
        return max(self.number, self.design.starts if self.design else 0)

    @property
    def spent(self) -> float:
        """Seconds since the study began (or was resumed)."""
        return self.clock() - self.began

    @property
    def left(self) -> float | None:
        """Expected seconds until the end, ``None`` before anything is known."""
        recent = self.durations[-_RECENT:]
        if recent:
            each = sum(recent) / len(recent)
        elif self.design is not None and self.design.starts:
            each = self.design.minutes * 60 / self.design.starts
        else:
            return None
        running = self.clock() - self.start_began if self._runs else 0.0
        waiting = self.total - self.number + (1 if self._runs else 0)
        return max(0.0, each * waiting - min(running, each))

    @property
    def _runs(self) -> bool:
        return self.number > 0 and bool(self.doing)

    def where(self) -> str:
        """Return phase, block, number and arm of the current start."""
        if self.request is None:
            return "preparing"
        place = f"{self.request.phase.value}, block {self.request.block}"
        return f"start {self.number} of {self.total} ({place}): {self.request.arm}"

    def result(self, start: Start) -> str:
        """Return how a start ended, in one line."""
        took = wording.duration(start.seconds)
        value = start.metrics.get(self.objective) if start.valid else None
        if value is None:
            why = wording.line(start.detail)
            return f"{self.where()}: {start.outcome.value}{f', {why}' if why else ''} ({took})"
        unit = METRICS[self.objective].unit if self.objective in METRICS else self.objective
        return f"{self.where()}: {wording.number(value)} {unit} ({took})"

    def leading(self) -> str | None:
        """Return the best arm so far with its interval, ``None`` if there is none."""
        if self.leader is None:
            return None
        return f"best so far: {self.leader.arm}, {wording.effect(self.leader.effect)}"


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
        f"{wording.count(design.starts, 'start')} ({split}), about "
        f"{wording.duration(design.minutes * 60)}; detectable effect "
        f"{wording.percent(design.detectable)}{front}"
    )
