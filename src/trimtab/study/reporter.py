"""Where a command tells what it does: sentences, and a display of the study while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trimtab.study.progress import Display, SilentDisplay


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
