"""The progress of a study as JSON lines, for scripts: one event a line.

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
from typing import TextIO

from trimtab.model import Comparison, Design, Start, StartRequest

FORMAT = 1
"""Version of the lines. A new key keeps it; a changed or removed one raises it."""


class Events:
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
