"""What a study shows while it runs: live on a terminal, plain lines elsewhere, or nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from trimtab import formatting
from trimtab.model import Comparison, Design, Start, StartRequest
from trimtab.track import Clock, Track, announce


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
        return Silent()
    return LiveDisplay(console, objective) if console.is_terminal else Plain(console, objective)


class Silent:
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


class Plain:
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
