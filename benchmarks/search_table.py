"""Reading the table of the search benchmark back from a page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

_MEAN = re.compile(r"([+-][\d.]+) ± ([\d.]+)")
_RATE = re.compile(r"([\d.]+) \[([\d.]+), ([\d.]+)\]")

Interval = tuple[float, float, float]
"""A value, and the ends of its interval."""


@dataclass(frozen=True)
class Row:
    """A row of the table: its cell, its tuner, and the text of each column."""

    landscape: str
    noise: float
    starts: int
    tuner: str
    texts: Mapping[str, str]

    def interval(self, column: str) -> Interval | None:
        """Return what a column says, ``None`` if it says nothing."""
        text = self.texts[column]
        if found := _MEAN.fullmatch(text):
            middle, half = map(float, found.groups())
            return middle, middle - half, middle + half
        if found := _RATE.fullmatch(text):
            middle, low, high = map(float, found.groups())
            return middle, low, high
        return None


def read(lines: Iterable[str]) -> list[Row]:
    """Return the rows of the table, wherever it begins among the lines of a page."""
    found = []
    columns: Sequence[str] = ()
    for line in lines:
        cells = [text.strip() for text in line.strip("|\n ").split("|")]
        if cells[0] == "landscape, noise, starts":
            columns = cells[2:]
        elif not line.startswith("|"):
            columns = ()
        elif columns and not cells[0].startswith("---"):
            landscape, noise, starts = cells[0].split(", ")
            texts = dict(zip(columns, cells[2:], strict=True))
            found.append(Row(landscape, float(noise[:-2]), int(starts), cells[1], texts))
    return found
