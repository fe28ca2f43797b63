"""How much a command prints, and the consoles that it prints to.

``--quiet`` and ``--verbose`` are options of every command (`trimtab.commands.manners` adds them).
Where a script reads JSON, standard error carries events (`trimtab.progress_events`).
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trimtab.progress_events import Events
from trimtab.wording import plain

if TYPE_CHECKING:
    from rich.console import Console

    from trimtab.progress import Display


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


def verbose() -> bool:
    """Whether every detail is asked for."""
    return _asked.verbose


def quiet() -> bool:
    """Whether only results and errors are asked for."""
    return _asked.quiet


def say(line: str) -> None:
    """Print a line for people to standard error, unless they asked for quiet."""
    if _asked.quiet:
        return
    if _asked.events:
        Events(sys.stderr).note(line)
    else:
        print(plain(line), file=sys.stderr)


def fail(text: str, code: int) -> None:
    """Print why a command ends, in one line."""
    if _asked.events:
        Events(sys.stderr).error(text, code)
    else:
        print(f"trimtab: {plain(text)}", file=sys.stderr)


def console(*, stderr: bool = False, soft_wrap: bool = False) -> Console:
    """Return a console without markup; NO_COLOR (no-color.org) takes all styles away."""
    from rich.console import Console

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
    from trimtab.progress import Silent, open_display

    if _asked.quiet:
        return Silent()
    if _asked.events:
        return Events(sys.stderr, objective)
    return open_display(console(stderr=True), objective)
