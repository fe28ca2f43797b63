"""Progress: what the displays say, on a terminal, in a log, and not at all."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace

import pytest
from rich.console import Console

from tests.support.show_samples import COMPARISONS, OBJECTIVE, STUDY
from trimtab.model import Design, Outcome, Start
from trimtab.study.progress import (
    Display,
    LiveDisplay,
    PlainDisplay,
    SilentDisplay,
    Track,
    announce,
    open_display,
)

DESIGN = Design(8, 16, 9, 2, 27.5, ("a", "b"), (), 0.04, 0.058)
STARTS = STUDY.starts


class Clock:
    """A clock that only moves when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def terminal(width: int = 100) -> Console:
    return Console(
        file=io.StringIO(), force_terminal=True, width=width, height=30, color_system=None
    )


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def play(display: Display, clock: Clock, starts: Sequence[Start]) -> None:
    display.begin_study(DESIGN)
    for start in starts:
        display.begin_start(start.number, start.request)
        display.state("starting")
        clock.now += start.seconds
        display.state("window 1")
        display.end_start(start)


def plain(clock: Clock) -> tuple[Console, PlainDisplay]:
    console = Console(file=io.StringIO(), width=60)
    return console, PlainDisplay(console, OBJECTIVE, clock, stamp=lambda: "12:00:00")


def test_announce_tells_the_cost_and_what_can_be_seen() -> None:
    assert announce(DESIGN) == (
        "33 starts (8 lead, 16 screen, 9 confirm), about 27 min 30 s; detectable effect 5.8 %"
    )


# --- how far ---------------------------------------------------------------------------------


def test_time_left_is_a_range_around_the_design_and_falls_with_the_clock() -> None:
    clock = Clock()
    track = Track(OBJECTIVE, clock)
    assert Track(OBJECTIVE, clock).left is None
    track.begin_study(DESIGN)
    assert track.left is not None
    low, high = track.left
    assert low < 27.5 * 60 < high
    track.begin_start(1, STARTS[0].request)
    track.doing = "starting"
    clock.now += 20
    assert track.left == pytest.approx((low - 20, high - 20))


def test_time_left_is_never_negative_and_an_overdue_start_counts_as_done() -> None:
    clock = Clock()
    track = Track(OBJECTIVE, clock)
    track.begin_study(DESIGN)
    track.begin_start(40, STARTS[0].request)
    track.doing = "starting"
    clock.now += 10_000
    assert track.left == (0.0, 0.0)
    assert track.total == 40


def test_a_resumed_study_counts_from_where_it_was() -> None:
    track = Track(OBJECTIVE, Clock())
    track.begin_study(DESIGN)
    track.begin_start(20, STARTS[19].request)
    track.end_start(STARTS[19])
    assert track.left is not None
    assert track.left[0] < track.left[1]


# --- plain lines -----------------------------------------------------------------------------


def test_plain_prints_one_line_a_phase_and_a_start() -> None:
    clock = Clock()
    console, display = plain(clock)
    play(display, clock, STARTS)
    lines = written(console).splitlines()
    assert all(line.startswith("12:00:00 ") for line in lines)
    assert len(lines) == 1 + 3 + len(STARTS)
    assert [line for line in lines if " phase " in line] == [
        "12:00:00 phase lead",
        "12:00:00 phase screen",
        "12:00:00 phase confirm",
    ]
    first = f"{STARTS[0].metrics[OBJECTIVE]:.1f} tok/s (45 s); 20 to 35 min left"
    assert lines[2] == f"12:00:00 start 1 of 33 (lead, block 0): baseline: {first}"
    assert lines[-2].endswith(" left")
    assert not lines[-1].endswith(" left")


def test_plain_tells_why_a_start_has_no_number() -> None:
    clock = Clock()
    console, display = plain(clock)
    failed = next(start for start in STARTS if not start.valid)
    play(display, clock, (failed,))
    assert "ineffective, async-scheduling: should be True, but False (12 s)" in written(console)


def test_plain_tells_the_leader_only_when_it_changes() -> None:
    console, display = plain(Clock())
    for comparison in (None, COMPARISONS[0], COMPARISONS[0], COMPARISONS[1]):
        display.best(comparison)
    assert written(console).splitlines() == [
        "12:00:00 best so far: proven, 6.62x [6.31, 6.94]",
        "12:00:00 best so far: max, 6.69x [6.34, 7.06]",
    ]


def test_a_note_is_one_line_of_plain_text() -> None:
    console, display = plain(Clock())
    display.note("[bold]two\nlines\x1b[2J[/bold]")
    assert written(console) == "12:00:00 [bold]two lines [2J[/bold]\n"


def test_nothing_is_printed_after_close() -> None:
    console, display = plain(Clock())
    display.close()
    display.close()
    display.note("late")
    assert written(console) == ""


# --- live ------------------------------------------------------------------------------------


def test_live_shows_place_state_time_and_leader() -> None:
    clock, console = Clock(), terminal()
    display = LiveDisplay(console, OBJECTIVE, clock, auto_refresh=False)
    try:
        display.begin_study(DESIGN)
        display.begin_start(9, STARTS[8].request)
        clock.now += 65
        display.best(COMPARISONS[0])
        display.state("verifying")
        shown = written(console)
    finally:
        display.close()
    assert "33 starts (8 lead" in shown
    assert "start 9 of 33 (screen, block 0): row0 verifying" in shown
    assert "1 min 05 s spent" in shown
    assert "left" in shown
    assert "best so far: proven, 6.62x [6.31, 6.94]" in shown


def test_live_keeps_finished_starts_and_gives_the_cursor_back() -> None:
    clock, console = Clock(), terminal()
    display = LiveDisplay(console, OBJECTIVE, clock, auto_refresh=False)
    play(display, clock, STARTS)
    display.close()
    display.close()
    display.note("late")
    display.state("late")
    shown = written(console)
    for start in STARTS:
        assert f"start {start.number} of 33 ({start.request.phase.value}" in shown
    assert "late" not in shown
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")


def test_live_can_be_closed_before_it_began() -> None:
    console = terminal()
    LiveDisplay(console, OBJECTIVE, Clock()).close()
    assert "\x1b[?25l" not in written(console)


@pytest.mark.parametrize("width", [40, 80])
def test_live_fits_a_narrow_terminal(width: int) -> None:
    clock, console = Clock(), terminal(width)
    display = LiveDisplay(console, OBJECTIVE, clock, auto_refresh=False)
    play(display, clock, STARTS[:3])
    display.close()
    assert "start 3 of 33" in written(console)


# --- which -----------------------------------------------------------------------------------


def test_the_display_fits_the_console() -> None:
    live = open_display(terminal(), OBJECTIVE)
    assert isinstance(live, LiveDisplay)
    live.close()
    assert isinstance(open_display(Console(file=io.StringIO()), OBJECTIVE), PlainDisplay)
    assert isinstance(open_display(terminal(), OBJECTIVE, silent=True), SilentDisplay)


def test_silent_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    display = SilentDisplay()
    play(display, Clock(), STARTS)
    display.best(COMPARISONS[0])
    display.note("x")
    display.close()
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


# --- a measurement ---------------------------------------------------------------------------


def test_a_measurement_counts_the_starts_that_were_measured() -> None:
    console, display = plain(Clock())
    display.expect(3, 1)
    first = next(start for start in STARTS if start.valid)
    request = replace(first.request, arm="1:stock")
    void = replace(first, request=request, outcome=Outcome.VOID, metrics={})
    for start in (void, replace(first, request=request.again()), replace(first, request=request)):
        display.begin_start(start.number, start.request)
        display.end_start(start)
    lines = written(console).splitlines()
    assert [line.split(": ")[0] for line in lines] == [
        "12:00:00 start 2 of 3",
        "12:00:00 start 2 of 3, again",
        "12:00:00 start 3 of 3",
    ]
    assert lines[1].split("; ")[-1].endswith("left")
    assert not lines[2].endswith("left")


def test_a_comparison_says_that_it_may_end_before() -> None:
    console, display = plain(Clock())
    display.expect(24, 0, at_most=True)
    first = replace(STARTS[0], request=replace(STARTS[0].request, arm="2:b"))
    display.begin_start(1, first.request)
    display.end_start(first)
    assert "start 1 of at most 24: 2:b: " in written(console)
