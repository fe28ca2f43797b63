"""How much a command prints, and the consoles that it prints to.

``--quiet`` and ``--verbose`` are options of every command (`trimtab.cli.conventions` adds them).
Where a script reads JSON, standard error carries events (`trimtab.study.progress`).
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TextIO

from rich.console import Console

from trimtab import formatting
from trimtab.study.progress import Display, EventDisplay, Reporter, SilentDisplay, open_display

FORMAT = 1
"""Version of the objects of ``--json``. A new key keeps it; a changed or removed one raises it."""


@dataclass(slots=True)
class Verbosity:
    """``quiet``: results and errors only. ``verbose``: every detail. ``events``: JSON lines."""

    quiet: bool = False
    verbose: bool = False
    events: bool = False


_asked = Verbosity()


def choose(*, quiet: bool = False, verbose: bool = False, events: bool = False) -> None:
    """Set what this process prints to standard error; see `Verbosity`."""
    _asked.quiet, _asked.verbose, _asked.events = quiet, verbose, events


def is_verbose() -> bool:
    """Whether every detail is asked for."""
    return _asked.verbose


def is_quiet() -> bool:
    """Whether only results and errors are asked for."""
    return _asked.quiet


def say(line: str) -> None:
    """Print a line for people to standard error, unless they asked for quiet."""
    if _asked.quiet:
        return
    if _asked.events:
        EventDisplay(sys.stderr).note(line)
    else:
        _write(line, sys.stderr)


def fail(text: str, code: int) -> None:
    """Print why a command ends, in one line."""
    if _asked.events:
        EventDisplay(sys.stderr).error(text, code)
    else:
        _write(f"trimtab: {text}", sys.stderr)


def warn(text: str) -> None:
    """Print a sentence that is no reason to end, also to those who asked for quiet."""
    if _asked.events:
        EventDisplay(sys.stderr).note(text)
    else:
        _write(f"trimtab: {text}", sys.stderr)


def print_json(data: Mapping[str, Any]) -> None:
    """Print what ``--json`` asks for: one object, which says its format first."""
    print(json.dumps({"format": FORMAT, **data}, indent=1))


def print_line(line: str, first: str = "") -> None:
    """Print a line of the answer to standard output; ``first`` stands before it as it is."""
    _write(line, sys.stdout, first)


def columns(stream: TextIO) -> int:
    """Return the width of a terminal, 0 for a pipe or a file: lines there are of any length."""
    return shutil.get_terminal_size().columns if stream.isatty() else 0


def _write(text: str, stream: TextIO, first: str = "") -> None:
    """Write a text in lines that fit a terminal, in one line elsewhere."""
    width, text = columns(stream), formatting.plain_text(text)
    lines = formatting.wrap_lines(text, width, first, "  ") if width else [first + text]
    print("\n".join(lines), file=stream)


def console(*, stderr: bool = False, soft_wrap: bool = False) -> Console:
    """Return a console without markup; NO_COLOR (no-color.org) takes all styles away."""
    return Console(
        stderr=stderr,
        soft_wrap=soft_wrap,
        highlight=False,
        markup=False,
        emoji=False,
        color_system=None if os.environ.get("NO_COLOR") else "auto",
    )


def display(objective: str) -> Display:
    """Return what shows a study while it runs."""
    if _asked.quiet:
        return SilentDisplay()
    if _asked.events:
        return EventDisplay(sys.stderr, objective)
    return open_display(console(stderr=True), objective)


def reporter() -> Reporter:
    """Return what takes the sentences and the display of a study or measurement."""
    return Reporter(say, display)
