"""How a setting's reader takes its text: what is right, what is refused, what is misread.

Each class is one way of reading, as the source of the reader does it; ``read`` is total.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Taken(StrEnum):
    """What becomes of a text."""

    AS_WRITTEN = "as written"
    MISREAD = "misread"  # silently another value
    REFUSED = "refused"  # an error, at start-up or first use


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reader makes of a text. ``sentence`` says why, unless it is taken as written."""

    taken: Taken
    sentence: str = ""

    @classmethod
    def fine(cls) -> Reading:
        """Return that the text is taken as written."""
        return cls(Taken.AS_WRITTEN)


class Accepts(Protocol):
    """A way of reading."""

    def words(self) -> str:
        """Return what is accepted, for people: "an integer from 0 to 7"."""
        ...

    def read(self, text: str) -> Reading:
        """Return what the reader makes of ``text``."""
        ...


def _bad(taken: Taken, words: str, text: str, consequence: str) -> Reading:
    shown = text if len(text) <= 40 else f"{text[:37]}..."
    return Reading(taken, f"it must be {words}, but is {shown!r}: {consequence}")


@dataclass(frozen=True, slots=True)
class Anything:
    """Any text. ``description`` says what it means."""

    description: str = "any text"

    def words(self) -> str:
        """See `Accepts.words`."""
        return self.description

    def read(self, text: str) -> Reading:
        """See `Accepts.read`."""
        return Reading.fine()


ANY_TEXT = Anything()


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some words. ``consequence`` says what becomes of another one.

    ``blanks``: the reader drops blanks around the word.
    """

    choices: tuple[str, ...]
    consequence: str
    taken: Taken = Taken.REFUSED
    ignore_case: bool = False
    blanks: bool = False

    def words(self) -> str:
        """See `Accepts.words`."""
        return self.choices[0] if len(self.choices) == 1 else f"one of {', '.join(self.choices)}"

    def read(self, text: str) -> Reading:
        """See `Accepts.read`."""
        word = text.strip(" ") if self.blanks else text
        folded = word.casefold() if self.ignore_case else word
        known = (one.casefold() if self.ignore_case else one for one in self.choices)
        if folded in known:
            return Reading.fine()
        return _bad(self.taken, self.words(), text, self.consequence)


@dataclass(frozen=True, slots=True)
class Whole:
    """An integer in a range, possibly a multiple of something.

    ``junk`` and ``junk_consequence`` are for text that is no integer, where that is treated
    differently from an integer out of range.
    """

    low: int | None
    high: int | None
    consequence: str
    taken: Taken = Taken.REFUSED
    multiple: int = 1
    unit: str = ""
    junk: Taken | None = None
    junk_consequence: str = ""

    def words(self) -> str:
        """See `Accepts.words`."""
        low, high = self.low, self.high
        span = (
            f" from {low} to {high}"
            if low is not None and high is not None
            else f" of at least {low}"
            if low is not None
            else f" of at most {high}"
            if high is not None
            else ""
        )
        multiple = f", a multiple of {self.multiple}" if self.multiple > 1 else ""
        return f"an integer{span}{f' {self.unit}' if self.unit else ''}{multiple}"

    def read(self, text: str) -> Reading:
        """See `Accepts.read`."""
        if not re.fullmatch(r"[+-]?\d{1,18}", text.strip()):
            consequence = self.junk_consequence or self.consequence
            return _bad(self.junk or self.taken, self.words(), text, consequence)
        number = int(text)
        low = self.low is None or number >= self.low
        high = self.high is None or number <= self.high
        if low and high and number % self.multiple == 0:
            return Reading.fine()
        return _bad(self.taken, self.words(), text, self.consequence)


@dataclass(frozen=True, slots=True)
class Decimal:
    """A decimal number in a range; the bounds themselves count unless ``open_ends``."""

    low: float
    high: float
    consequence: str
    taken: Taken = Taken.REFUSED
    open_ends: bool = False

    def words(self) -> str:
        """See `Accepts.words`."""
        if self.open_ends:
            return f"a number above {self.low:g} and below {self.high:g}"
        return f"a number from {self.low:g} to {self.high:g}"

    def read(self, text: str) -> Reading:
        """See `Accepts.read`."""
        try:
            number = float(text)
        except ValueError:
            return _bad(self.taken, self.words(), text, self.consequence)
        inside = (
            self.low < number < self.high if self.open_ends else self.low <= number <= self.high
        )
        if inside:
            return Reading.fine()
        return _bad(self.taken, self.words(), text, self.consequence)


@dataclass(frozen=True, slots=True)
class Pattern:
    """Text of a form (the whole of it must match ``regex``)."""

    regex: str
    description: str
    consequence: str
    taken: Taken = Taken.REFUSED

    def words(self) -> str:
        """See `Accepts.words`."""
        return self.description

    def read(self, text: str) -> Reading:
        """See `Accepts.read`."""
        if re.fullmatch(self.regex, text):
            return Reading.fine()
        return _bad(self.taken, self.description, text, self.consequence)


@dataclass(frozen=True, slots=True)
class ReadBy:
    """A reader with rules of its own, as a function."""

    description: str
    reader: Callable[[str], Reading]

    def words(self) -> str:
        """See `Accepts.words`."""
        return self.description

    def read(self, text: str) -> Reading:
        """See `Accepts.read`."""
        return self.reader(text)
