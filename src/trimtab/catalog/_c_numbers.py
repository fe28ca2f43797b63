"""Numbers as C and C++ read them: leading digits count, and what follows is dropped.

torch_npu reads its options with strtol (no digit at all is 0), the allocator's sizes with stoull
(no digit is refused, a minus sign wraps around) and shares with stod. All of this was seen from
the binary of 2.13.0 (docs/oracle.md).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from trimtab.catalog._accepts import Reading, Taken

# ASCII: C knows no other blanks and digits
_WHOLE = re.compile(r"\s*[+-]?\d+", re.ASCII)
_DECIMAL = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


def _is(words: str, text: str, consequence: str, taken: Taken) -> Reading:
    shown = text if len(text) <= 40 else f"{text[:37]}..."
    return Reading(taken, f"it must be {words}, but is {shown!r}: {consequence}")


@dataclass(frozen=True, slots=True)
class Option:
    """An option read with strtol: one of some whole numbers; text without digits is 0.

    ``others`` says what becomes of another number.
    """

    choices: tuple[int, ...]
    others: str
    taken: Taken = Taken.REFUSED

    def words(self) -> str:
        """See `Accepts.words`."""
        return " or ".join(map(str, self.choices))

    def read(self, text: str) -> Reading:
        """See `Accepts.read`."""
        digits = _WHOLE.match(text)
        number = int(digits[0][:18]) if digits else 0
        if number not in self.choices:
            return _is(self.words(), text, self.others, self.taken)
        if digits is None:
            return _is(self.words(), text, "it is silently read as 0", Taken.MISREAD)
        if text[digits.end() :].strip():
            return _is(self.words(), text, f"it is silently read as {number}", Taken.MISREAD)
        return Reading.fine()


@dataclass(frozen=True, slots=True)
class Size:
    """A size read with stoull: a whole number of a unit, at least ``low``, at most ``high``."""

    low: int
    high: int | None
    unit: str
    consequence: str

    def words(self) -> str:
        """See `Accepts.words`."""
        span = (
            f"of at least {self.low}" if self.high is None else f"from {self.low} to {self.high}"
        )
        return f"a whole number {span} {self.unit}"

    def read(self, text: str) -> Reading:
        """See `Accepts.read`."""
        digits = _WHOLE.match(text)
        if digits is None:
            return _is(self.words(), text, self.consequence, Taken.REFUSED)
        number = int(digits[0][:18])
        if number < 0 and self.high is None:
            return _is(self.words(), text, "it wraps around to a huge size", Taken.MISREAD)
        if number < self.low or (self.high is not None and number > self.high):
            return _is(self.words(), text, self.consequence, Taken.REFUSED)
        if text[digits.end() :].strip():
            return _is(self.words(), text, f"it is silently read as {number}", Taken.MISREAD)
        return Reading.fine()


@dataclass(frozen=True, slots=True)
class Share:
    """A share read with stod: above 0, and below 1 or at most 1."""

    includes_one: bool
    consequence: str

    def words(self) -> str:
        """See `Accepts.words`."""
        return f"a number above 0 and {'at most' if self.includes_one else 'below'} 1"

    def read(self, text: str) -> Reading:
        """See `Accepts.read`."""
        digits = _DECIMAL.match(text)
        number = float(digits[0]) if digits else 0.0
        if digits is None or not (0 < number < 1 or (number == 1 and self.includes_one)):
            return _is(self.words(), text, self.consequence, Taken.REFUSED)
        if text[digits.end() :].strip():
            return _is(self.words(), text, f"it is silently read as {number:g}", Taken.MISREAD)
        return Reading.fine()


SWITCH = Option((0, 1), "any number but 0 counts as 1", Taken.MISREAD)


def switched_on(text: str | None) -> bool:
    """Whether a variable that is read with strtol is any number but 0."""
    digits = _WHOLE.match(text or "")
    return digits is not None and int(digits[0][:18]) != 0


def divisions(text: str) -> Reading:
    """Read roundup_power2_divisions: a power of two, or [size:power,...,>:power]."""
    words = "a power of two, or [size:divisions,...]"
    listed = text.strip()
    if listed.startswith("["):
        pairs = re.fullmatch(r"\[\s*(?:[\d>]+:\d+\s*,\s*)*[\d>]+:\d+\s*\]", listed)
        numbers = [int(one) for one in re.findall(r":(\d{1,18})", listed)]
        if pairs is None or not all(map(_power_of_two, numbers)):
            return _is(words, text, "torch_npu raises an exception", Taken.REFUSED)
        return Reading.fine()
    digits = _WHOLE.match(text)
    if digits is None or not _power_of_two(number := int(digits[0][:18])):
        return _is(words, text, "torch_npu raises an exception", Taken.REFUSED)
    if text[digits.end() :].strip():
        return _is(words, text, f"it is silently read as {number}", Taken.MISREAD)
    return Reading.fine()


def _power_of_two(number: int) -> bool:
    return number > 0 and number & (number - 1) == 0
