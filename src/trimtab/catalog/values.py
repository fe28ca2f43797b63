"""How a setting's reader takes its text: right, refused, misread, or a placeholder.

Each class is one way of reading, as the source of the reader does it; ``read`` is total.

Numbers as C and C++ read them: leading digits count, and what follows is dropped.

torch_npu reads its options with strtol (no digit at all is 0), the allocator's sizes with stoull
(no digit is refused, a minus sign wraps around) and shares with stod. All of this was seen from
the binary of 2.13.0 (docs/oracle.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from trimtab.model.document import Setting


class Acceptance(StrEnum):
    """The outcome for a text: taken, refused, misread or a placeholder."""

    AS_WRITTEN = "as written"
    MISREAD = "misread"  # silently another value
    REFUSED = "refused"  # an error, at start-up or first use


@dataclass(frozen=True, slots=True)
class Reading:
    """The outcome for one text. ``sentence`` gives the reason unless it is taken as written."""

    taken: Acceptance
    sentence: str = ""

    @classmethod
    def fine(cls) -> Reading:
        """Return that the text is taken as written."""
        return cls(Acceptance.AS_WRITTEN)


class ValueReader(Protocol):
    """How the reader of a setting takes its text."""

    def words(self) -> str:
        """Return what is accepted, for people: "an integer from 0 to 7"."""
        ...

    def read(self, text: str) -> Reading:
        """Return what the reader makes of ``text``."""
        ...


def _bad(taken: Acceptance, words: str, text: str, consequence: str) -> Reading:
    shown = text if len(text) <= 40 else f"{text[:37]}..."
    return Reading(taken, f"it must be {words}, but is {shown!r}: {consequence}")


@dataclass(frozen=True, slots=True)
class AnyText:
    """Any text. ``description`` says what it means."""

    description: str = "any text"

    def words(self) -> str:
        """See `ValueReader.words`."""
        return self.description

    def read(self, text: str) -> Reading:
        """See `ValueReader.read`."""
        return Reading.fine()


ANY_TEXT = AnyText()


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some words. ``consequence`` says what becomes of another one.

    ``blanks``: the reader drops blanks around the word.
    """

    choices: tuple[str, ...]
    consequence: str
    taken: Acceptance = Acceptance.REFUSED
    ignore_case: bool = False
    blanks: bool = False

    def words(self) -> str:
        """See `ValueReader.words`."""
        return self.choices[0] if len(self.choices) == 1 else f"one of {', '.join(self.choices)}"

    def read(self, text: str) -> Reading:
        """See `ValueReader.read`."""
        word = text.strip(" ") if self.blanks else text
        folded = word.casefold() if self.ignore_case else word
        known = (choice.casefold() if self.ignore_case else choice for choice in self.choices)
        if folded in known:
            return Reading.fine()
        return _bad(self.taken, self.words(), text, self.consequence)


@dataclass(frozen=True, slots=True)
class Integer:
    """An integer in a range, possibly a multiple of something.

    ``junk`` and ``junk_consequence`` are for text that is no integer, where that is treated
    differently from an integer out of range.
    """

    low: int | None
    high: int | None
    consequence: str
    taken: Acceptance = Acceptance.REFUSED
    multiple: int = 1
    unit: str = ""
    junk: Acceptance | None = None
    junk_consequence: str = ""

    def words(self) -> str:
        """See `ValueReader.words`."""
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
        """See `ValueReader.read`."""
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
    taken: Acceptance = Acceptance.REFUSED
    open_ends: bool = False

    def words(self) -> str:
        """See `ValueReader.words`."""
        if self.open_ends:
            return f"a number above {self.low:g} and below {self.high:g}"
        return f"a number from {self.low:g} to {self.high:g}"

    def read(self, text: str) -> Reading:
        """See `ValueReader.read`."""
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
    taken: Acceptance = Acceptance.REFUSED

    def words(self) -> str:
        """See `ValueReader.words`."""
        return self.description

    def read(self, text: str) -> Reading:
        """See `ValueReader.read`."""
        if re.fullmatch(self.regex, text):
            return Reading.fine()
        return _bad(self.taken, self.description, text, self.consequence)


@dataclass(frozen=True, slots=True)
class CustomReader:
    """A reader with rules of its own, as a function."""

    description: str
    reader: Callable[[str], Reading]

    def words(self) -> str:
        """See `ValueReader.words`."""
        return self.description

    def read(self, text: str) -> Reading:
        """See `ValueReader.read`."""
        return self.reader(text)


# ASCII: C knows no other blanks and digits
_WHOLE = re.compile(r"\s*[+-]?\d+", re.ASCII)
_DECIMAL = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


def _is(words: str, text: str, consequence: str, taken: Acceptance) -> Reading:
    shown = text if len(text) <= 40 else f"{text[:37]}..."
    return Reading(taken, f"it must be {words}, but is {shown!r}: {consequence}")


@dataclass(frozen=True, slots=True)
class Option:
    """An option read with strtol: one of some whole numbers; text without digits is 0.

    ``others`` says what becomes of another number.
    """

    choices: tuple[int, ...]
    others: str
    taken: Acceptance = Acceptance.REFUSED

    def words(self) -> str:
        """See `ValueReader.words`."""
        return " or ".join(map(str, self.choices))

    def read(self, text: str) -> Reading:
        """See `ValueReader.read`."""
        digits = _WHOLE.match(text)
        number = int(digits[0][:18]) if digits else 0
        if number not in self.choices:
            return _is(self.words(), text, self.others, self.taken)
        if digits is None:
            return _is(self.words(), text, "it is silently read as 0", Acceptance.MISREAD)
        if text[digits.end() :].strip():
            return _is(self.words(), text, f"it is silently read as {number}", Acceptance.MISREAD)
        return Reading.fine()


@dataclass(frozen=True, slots=True)
class Size:
    """A size read with stoull: a whole number of a unit, at least ``low``, at most ``high``."""

    low: int
    high: int | None
    unit: str
    consequence: str

    def words(self) -> str:
        """See `ValueReader.words`."""
        span = (
            f"of at least {self.low}" if self.high is None else f"from {self.low} to {self.high}"
        )
        return f"a whole number {span} {self.unit}"

    def read(self, text: str) -> Reading:
        """See `ValueReader.read`."""
        digits = _WHOLE.match(text)
        if digits is None:
            return _is(self.words(), text, self.consequence, Acceptance.REFUSED)
        number = int(digits[0][:18])
        if number < 0 and self.high is None:
            return _is(self.words(), text, "it wraps around to a huge size", Acceptance.MISREAD)
        if number < self.low or (self.high is not None and number > self.high):
            return _is(self.words(), text, self.consequence, Acceptance.REFUSED)
        if text[digits.end() :].strip():
            return _is(self.words(), text, f"it is silently read as {number}", Acceptance.MISREAD)
        return Reading.fine()


@dataclass(frozen=True, slots=True)
class Share:
    """A share read with stod: above 0, and below 1 or at most 1."""

    includes_one: bool
    consequence: str

    def words(self) -> str:
        """See `ValueReader.words`."""
        return f"a number above 0 and {'at most' if self.includes_one else 'below'} 1"

    def read(self, text: str) -> Reading:
        """See `ValueReader.read`."""
        digits = _DECIMAL.match(text)
        number = float(digits[0]) if digits else 0.0
        if digits is None or not (0 < number < 1 or (number == 1 and self.includes_one)):
            return _is(self.words(), text, self.consequence, Acceptance.REFUSED)
        if text[digits.end() :].strip():
            return _is(
                self.words(), text, f"it is silently read as {number:g}", Acceptance.MISREAD
            )
        return Reading.fine()


SWITCH = Option((0, 1), "any number but 0 counts as 1", Acceptance.MISREAD)


def is_switched_on(text: str | None) -> bool:
    """Return whether strtol reads a variable as a number other than 0."""
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
            return _is(words, text, "torch_npu raises an exception", Acceptance.REFUSED)
        return Reading.fine()
    digits = _WHOLE.match(text)
    if digits is None or not _power_of_two(number := int(digits[0][:18])):
        return _is(words, text, "torch_npu raises an exception", Acceptance.REFUSED)
    if text[digits.end() :].strip():
        return _is(words, text, f"it is silently read as {number}", Acceptance.MISREAD)
    return Reading.fine()


def _power_of_two(number: int) -> bool:
    return number > 0 and number & (number - 1) == 0


_STAND_IN: Final = re.compile(
    r"(?i)(x{2,}|x(?:\.x){1,3}(?::\w+)?|\*{3,}|\?{2,}|_{3,}|n/a|tbd|todo|fixme|placeholder"
    r"|\d+(?:\.\d+)*(?:\.x+)+(?::\w+)?|(?:[\w-]+[_\- ])?ip(?:[_\- ][\w-]+)?"
    r"|(?:local|node|host|server|master|head|nic|my|target)[-_](?:ip|name|addr|address|host|ifname|nic))"
)
_PARTS: Final = re.compile(
    r"""(?ix)
    <[a-z_][^<>]*> | \{\{.*\}\} | \{\{\s*(?:[\w.]|$) | \{[a-z_][\w\ .-]*\} | \$\{?[a-z_]
    | \$\$\w+\$\$ | %[a-z_]\w*%
    | @[a-z_]\w*@ | __[a-z]\w*__ | \[(?:your|insert|the)\b
    | (?:^|[^a-z])your[-_ ]\w+ | \byour\w*(?:ip|token|key|host|model|path|name)\b
    | (?:^|[^a-z])x{2,}(?:[^a-z]|$) | \.\.\. | … | \bpath/to\b
    | (?:change|replace|fill|insert|edit)[-_ ]?(?:me|this|it|here|with|in)(?:[^a-z]|$)
    | \b(?:todo|tbd|fixme|placeholder)\b
    """
)

_ALTERNATIVES: Final = re.compile(
    r"\[[\w.-]{1,30}(?:\|[\w.-]{1,30})+\]|\{[\w.-]{1,30}(?:\s*[,|]\s*[\w.-]{1,30})+\}"
    r"|[A-Za-z][\w.-]{0,30}(?:\|[A-Za-z][\w.-]{0,30})+"
)
"""Values of which the reader is to choose one: ``[1|2|4]``, ``{1,2,4}``, ``auto|fp8``."""

_WORDS: Final = frozenset(
    {"TRUE", "FALSE", "YES", "NO", "ON", "OFF", "NONE", "NULL", "NAN", "INF", "AUTO", "ALL", "MAX"}
)
"""Words in capitals that are values, though no reader of numbers takes them."""


def is_placeholder(text: str) -> bool:
    """Return whether a text waits for the user to fill it in.

    Examples: ``xxx``, ``192.xx.xx.1``, ``{local_ip}``, ``<NIC_NAME>``, ``your_ip_here``,
    ``$$IP$$``, ``${IP:?}``, ``__IP__``, ``{{ ip }}``, ``CHANGEME``, ``TODO``, and alternatives.
    """
    whole = text.strip()
    match = _STAND_IN.fullmatch(whole) or _ALTERNATIVES.fullmatch(whole) or _PARTS.search(text)
    return bool(match)


def is_name_of_number(text: str) -> bool:
    """Return whether a text names a number: N, TP_SIZE and NUM_GPUS do, TRUE does not."""
    return re.fullmatch(r"[A-Z]+(?:_[A-Z]+)*", text) is not None and text not in _WORDS


def unfilled(made: Setting) -> bool:
    """Return whether a setting waits for its value; ``NAME=<value>`` is a redirection, too."""
    at = made.value_place
    before = at.text[: at.column - 1].rstrip("\"'") if at is not None else ""
    numbers = re.fullmatch(r"\d{1,9}(\|\d{1,9})+", made.value) is not None  # lists of CPUs aside
    chosen = numbers and made.name != "VLLM_CPU_OMP_THREADS_BIND"
    return chosen or is_placeholder(made.value) or before.endswith(("=<", " <"))
