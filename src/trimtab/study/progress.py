"""What a study shows while it runs: live on a terminal, plain lines elsewhere, or nothing.

How far a study is, and how to say it: what every display of the progress builds on.

The progress of a study as JSON lines, for scripts: one event a line.

Every line has ``event``, ``format`` (the version of these lines) and ``time`` (Unix seconds):

    {"event": "study", "starts": 30, "minutes": 42.0}
    {"event": "study", "starts": 4, "measured": 0, "at_most": false}   (bench, compare, capacity)
    {"event": "start", "start": 3, "phase": "screen", "arm": "row 2"}
    {"event": "state", "start": 3, "state": "load"}
    {"event": "end", "start": 3, "outcome": "measured", "metric": "ttft_p99", "value": 41.2}
    {"event": "best", "arm": "row 2", "ratio": 1.31, "low": 1.2, "high": 1.43}
    {"event": "note", "text": "…"}
    {"event": "error", "text": "…", "exit_code": 2}
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from trimtab import formatting
from trimtab.metrics.table import METRICS
from trimtab.model import Comparison, Design, Outcome, Phase, Start, StartRequest
from trimtab.study.duration import Forecast, StartGroup

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
        self.forecast.begin(StartGroup(*second) for second in design.seconds or whole)

    def expect(self, starts: int, measured: int, *, at_most: bool) -> None:
        """Take how many measured starts there are to be, and how many there are already."""
        if not self.expected:
            self.began = self.clock()
        self.expected, self.measured, self.at_most = starts, measured, at_most
        ahead = max(0, starts - measured)
        self.forecast.begin((StartGroup(_ANY, ahead, 0.0),))

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


class Display(Protocol):
    """What the study tells as it goes; every method returns at once and never fails the study."""

    def begin_study(self, design: Design) -> None:
        """Tell what is intended; once, before the first start."""

    def expect(self, starts: int, measured: int, *, at_most: bool = False) -> None:
        """Tell how many measured starts a measurement is to have, and how many it has."""

    def begin_start(self, number: int, request: StartRequest) -> None:
        """Tell that start ``number`` (from 1, over the whole study) begins."""

    def state(self, text: str) -> None:
        """Tell what the current start does ("starting", "verifying", "window 2")."""

    def end_start(self, start: Start) -> None:
        """Tell how the current start ended."""

    def best(self, comparison: Comparison | None) -> None:
        """Tell the best arm so far against the baseline, ``None`` if there is none yet."""

    def note(self, text: str) -> None:
        """Tell something that stays to be read."""

    def close(self) -> None:
        """Give the terminal back. Anything told afterwards is dropped; closing twice is fine."""


def open_display(console: Console, objective: str, *, silent: bool = False) -> Display:
    """Return the display that fits ``console``; ``objective`` is the metric to show."""
    if silent:
        return SilentDisplay()
    return (
        LiveDisplay(console, objective)
        if console.is_terminal
        else PlainDisplay(console, objective)
    )


class SilentDisplay:
    """Shows nothing: for ``--json``, whose reader waits for one object."""

    def begin_study(self, design: Design) -> None:
        """Show nothing."""

    def expect(self, starts: int, measured: int, *, at_most: bool = False) -> None:
        """Show nothing."""

    def begin_start(self, number: int, request: StartRequest) -> None:
        """Show nothing."""

    def state(self, text: str) -> None:
        """Show nothing."""

    def end_start(self, start: Start) -> None:
        """Show nothing."""

    def best(self, comparison: Comparison | None) -> None:
        """Show nothing."""

    def note(self, text: str) -> None:
        """Show nothing."""

    def close(self) -> None:
        """Show nothing."""


class PlainDisplay:
    """One line with the time of day at each phase and each start's end."""

    def __init__(
        self,
        console: Console,
        objective: str,
        clock: Clock = time.monotonic,
        stamp: Callable[[], str] = lambda: time.strftime("%H:%M:%S"),
    ) -> None:
        self._console = console
        self._track = Track(objective, clock)
        self._stamp = stamp
        self._open = True

    def begin_study(self, design: Design) -> None:
        """Print the design."""
        self._track.begin_study(design)
        self._print(announce(design))

    def expect(self, starts: int, measured: int, *, at_most: bool = False) -> None:
        """Count to these from now on."""
        self._track.expect(starts, measured, at_most=at_most)

    def begin_start(self, number: int, request: StartRequest) -> None:
        """Print the phase when it is a new one."""
        if self._track.begin_start(number, request) and not self._track.expected:
            self._print(f"phase {request.phase.value}")

    def state(self, text: str) -> None:
        """Print nothing: a log needs results, not moments."""
        self._track.doing = text

    def end_start(self, start: Start) -> None:
        """Print the start's result and the time left."""
        self._track.end_start(start)
        left = self._track.left
        ahead = f"; {formatting.span(*left)} left" if left and left[1] > 0 else ""
        self._print(self._track.result(start) + ahead)

    def best(self, comparison: Comparison | None) -> None:
        """Print the leader when it has changed."""
        changed = comparison != self._track.leader
        self._track.leader = comparison
        text = self._track.leading()
        if changed and text is not None:
            self._print(text)

    def note(self, text: str) -> None:
        """Print the note."""
        self._print(text)

    def close(self) -> None:
        """Print nothing from now on."""
        self._open = False

    def _print(self, text: str) -> None:
        if self._open:
            line = f"{self._stamp()} {formatting.line(text)}"
            self._console.print(Text(line), soft_wrap=True, highlight=False)


class LiveDisplay:
    """A few lines that stay at the bottom of a terminal; finished starts scroll by above."""

    def __init__(
        self,
        console: Console,
        objective: str,
        clock: Clock = time.monotonic,
        *,
        auto_refresh: bool = True,
    ) -> None:
        self._console = console
        self._track = Track(objective, clock)
        self._live = Live(
            console=console,
            get_renderable=self._picture,
            auto_refresh=auto_refresh,
            refresh_per_second=4,
            transient=True,
        )
        self._open = True

    def begin_study(self, design: Design) -> None:
        """Print the design and open the live part."""
        self._track.begin_study(design)
        self.note(announce(design))
        if self._open:
            self._live.start(refresh=True)

    def expect(self, starts: int, measured: int, *, at_most: bool = False) -> None:
        """Count to these from now on, and open the live part."""
        self._track.expect(starts, measured, at_most=at_most)
        if self._open and not self._live.is_started:
            self._live.start(refresh=True)

    def begin_start(self, number: int, request: StartRequest) -> None:
        """Show the new start."""
        self._track.begin_start(number, request)
        self.state("preparing")

    def state(self, text: str) -> None:
        """Show what the current start does."""
        self._track.doing = formatting.line(text)
        if self._open and self._live.is_started:
            self._live.refresh()

    def end_start(self, start: Start) -> None:
        """Print the start's result above the live part."""
        self._track.end_start(start)
        self.note(self._track.result(start))

    def best(self, comparison: Comparison | None) -> None:
        """Show the leader."""
        self._track.leader = comparison

    def note(self, text: str) -> None:
        """Print a line above the live part."""
        if self._open:
            self._console.print(Text(formatting.line(text)), highlight=False)

    def close(self) -> None:
        """Remove the live part and give the cursor back."""
        self._open = False
        self._live.stop()

    def _picture(self) -> RenderableType:
        track = self._track
        left = track.left
        bar = Table.grid(padding=(0, 2))
        bar.add_row(
            ProgressBar(total=max(track.total, 1), completed=track.done, width=30),
            Text(f"{formatting.duration(track.spent)} spent"),
            Text(f"{formatting.span(*left)} left" if left and left[1] > 0 else ""),
        )
        now = Text.assemble((track.where(), "bold"), f" {track.doing}" if track.doing else "")
        leader = track.leading()
        return Group(now, bar, *([Text(leader, style="green")] if leader else []))


FORMAT = 1
"""Version of the lines. A new key keeps it; a changed or removed one raises it."""


class EventDisplay:
    """Writes each event to a stream, until it is closed or nobody reads it any more."""

    def __init__(
        self, stream: TextIO, objective: str = "", clock: Callable[[], float] = time.time
    ) -> None:
        self._stream: TextIO | None = stream
        self._objective, self._clock = objective, clock
        self._number = 0
        self._best: Comparison | None = None

    def begin_study(self, design: Design) -> None:
        """Write how many starts are intended."""
        self._write("study", starts=design.starts, minutes=design.minutes)

    def expect(self, starts: int, measured: int, *, at_most: bool = False) -> None:
        """Write how many measured starts are intended."""
        self._write("study", starts=starts, measured=measured, at_most=at_most)

    def begin_start(self, number: int, request: StartRequest) -> None:
        """Write which start begins."""
        self._number = number
        self._write("start", start=number, phase=request.phase.value, arm=request.arm)

    def state(self, text: str) -> None:
        """Write what the current start does."""
        self._write("state", start=self._number, state=text)

    def end_start(self, start: Start) -> None:
        """Write how the current start ended."""
        value = start.metrics.get(self._objective)
        result = {} if value is None else {"metric": self._objective, "value": value}
        why = {"detail": start.detail} if start.detail else {}
        self._write("end", start=start.number, outcome=start.outcome.value, **result, **why)

    def best(self, comparison: Comparison | None) -> None:
        """Write the leader when it has changed."""
        if comparison is not None and comparison != self._best:
            effect = comparison.effect
            self._write(
                "best",
                arm=comparison.arm,
                ratio=effect.ratio,
                low=effect.low,
                high=effect.high,
            )
        self._best = comparison

    def note(self, text: str) -> None:
        """Write a note."""
        self._write("note", text=text)

    def error(self, text: str, code: int) -> None:
        """Write why the command ends, and its exit code."""
        self._write("error", text=text, exit_code=code)

    def close(self) -> None:
        """Write nothing from now on."""
        self._stream = None

    def _write(self, event: str, **more: object) -> None:
        if self._stream is None:
            return
        line = {"event": event, "format": FORMAT, "time": round(self._clock(), 3), **more}
        try:
            self._stream.write(json.dumps(line) + "\n")
            self._stream.flush()
        except OSError:
            self._stream = None  # progress never ends a study


def _say_nothing(sentence: str) -> None:
    """Drop a sentence."""


def _show_nothing(objective: str) -> Display:
    return SilentDisplay()


@dataclass(frozen=True, slots=True)
class Reporter:
    """Takes what a study or a measurement tells; by default nobody hears it.

    ``say`` takes a sentence for people. ``display`` returns the display of a study or measurement
    whose objective it is given.
    """

    say: Callable[[str], None] = _say_nothing
    display: Callable[[str], Display] = _show_nothing
