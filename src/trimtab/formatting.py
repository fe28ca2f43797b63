"""How numbers, values and instants are written for people, the same everywhere."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterable
from datetime import UTC, datetime

from trimtab.model import Candidate, Comparison, Effect, Factor, Value

_QUOTED = re.compile(r"(?<!\w)'[^']+'(?!\w)")
"""A command or a value in quotes; an apostrophe stands behind a letter."""

_PERCENT_BELOW = 2.0
"""From a doubling on, and below a half, a factor is easier to read than a percentage."""

_HUNDREDFOLD = 100.0

_COLOURS = r"(\x1b\[[0-9;]*m)"
_COLOUR = re.compile(_COLOURS)

NO_INTERVAL = "no interval: fewer than 3 degrees of freedom"
"""Why an effect has none."""


def plain_text(text: str) -> str:
    """Return text without what would steer a terminal: servers choose their own names."""
    return "".join(one if one.isprintable() or one in "\n\t" else "?" for one in text)


def styled_text(text: str) -> str:
    """Return text that may have colours, and nothing else that would steer a terminal."""
    return "".join(
        part if _COLOUR.fullmatch(part) else plain_text(part) for part in re.split(_COLOURS, text)
    )


def value(setting: Value) -> str:
    """Return a tuning's value: ``on``/``off`` for booleans, ``unset`` for ``None``."""
    if setting is None:
        return "unset"
    if isinstance(setting, bool):
        return "on" if setting else "off"
    return str(setting)


def setting(tuning: str, chosen: Value) -> str:
    """Return a tuning with its value, which the name of a further one holds: ``dtype=float32``."""
    return tuning if "=" in tuning else f"{tuning}={value(chosen)}"


def settings(chosen: Candidate) -> str:
    """Return what a candidate sets: ``dtype=float32, block-size=32``."""
    return ", ".join(setting(*each) for each in chosen)


def factors(chosen: Iterable[Factor]) -> str:
    """Return factors with their values: ``dtype=float32, block-size=32``."""
    return ", ".join(setting(factor.tuning, factor.value) for factor in chosen)


def ratio(effect: Effect) -> str | None:
    """Return the estimated change, ``+12.3 %`` or ``3.95x``; ``None`` if there is no estimate."""
    if effect.ratio is None:
        return None
    if _as_factor(effect):
        return f"{effect.ratio:.2f}x"
    return f"{(effect.ratio - 1) * 100:+.1f} %"


def interval(effect: Effect) -> str | None:
    """Return the 95 % interval in the unit of :func:`ratio`; ``None`` if there is none."""
    if effect.ratio is None or effect.low is None or effect.high is None:
        return None
    if _as_factor(effect):
        return f"[{effect.low:.2f}, {effect.high:.2f}]"
    return f"[{(effect.low - 1) * 100:+.1f}, {(effect.high - 1) * 100:+.1f}]"


def effect(one: Effect) -> str:
    """Return the change with its interval, or a sentence that there is no estimate."""
    change = ratio(one)
    if change is None:
        return "no estimate"
    between = interval(one)
    return f"{change} ({NO_INTERVAL})" if between is None else f"{change} {between}"


def comparison(one: Comparison) -> str:
    """Return one arm against the baseline as a sentence."""
    return (
        f"{one.metric} {number(one.baseline)} -> {number(one.value)}: {effect(one.effect)}, "
        f"{count(one.effect.starts, 'start')}"
    )


def number(quantity: float) -> str:
    """Return a quantity with three to four digits that count, never in exponent form."""
    size = abs(quantity)
    if size >= 100:
        return f"{quantity:,.0f}"
    if size >= 10:
        return f"{quantity:.1f}"
    if size >= 1:
        return f"{quantity:.2f}"
    if size == 0:
        return "0"
    decimals = min(12, 2 - math.floor(math.log10(size)))
    return f"{quantity:.{decimals}f}"


def count(many: int, noun: str) -> str:
    """Return ``1 start``, ``2 starts``."""
    return f"{many} {noun}" if many == 1 else f"{many} {noun}s"


def duration(seconds: float) -> str:
    """Return a duration as ``42 s``, ``12 min 05 s`` or ``1 h 05 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def span(low: float, high: float) -> str:
    """Return a range of durations, rounded to what is worth reading: ``20 to 35 min``."""
    unit, size = ("s", 1.0) if high < 90 else ("min", 60.0) if high < 5400 else ("h", 3600.0)
    step = 10.0 if unit == "s" else 1.0 if unit == "min" and high < 1800 else 5.0
    if unit == "h":
        one, other = (f"{value / size:.1f}" for value in (low, high))
    else:
        one, other = (f"{step * round(value / size / step):.0f}" for value in (low, high))
    return f"about {other} {unit}" if one == other else f"{one} to {other} {unit}"


def percent(gain: float | None) -> str:
    """Return a gain (0.05) as ``5.0 %``; ``unknown`` if it is not known.

    A detectable gain on one degree of freedom can be any size: above a hundredfold it is only
    said to be that.
    """
    if gain is None:
        return "unknown"
    return f"{gain * 100:.1f} %" if gain < _HUNDREDFOLD else f"over {_HUNDREDFOLD * 100:,.0f} %"


def instant(when: datetime) -> str:
    """Return an instant as ``2026-11-22 21:34 UTC``."""
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def line(text: str) -> str:
    """Return ``text`` as one line without control characters, safe inside any comment."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def wrap_lines(text: str, width: int, first: str = "", rest: str = "") -> list[str]:
    """Return ``text`` as lines of at most ``width`` columns; a longer word stands alone.

    ``first`` and ``rest`` begin the first line and the others. A percent sign stays beside its
    number, and a command in quotes whole if it fits a line.
    """
    room = width - len(rest)
    if first.strip() and len(first) + len(line(text).partition(" ")[0]) > width:
        return [first.rstrip(), *wrap_lines(text, width, rest, rest)]

    def kept(quoted: re.Match[str]) -> str:
        return quoted[0].replace(" ", "\u00a0") if len(quoted[0]) <= room else quoted[0]

    lines = textwrap.wrap(
        _QUOTED.sub(kept, line(text).replace(" %", "\u00a0%")),
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [one.replace("\u00a0", " ") for one in lines]


def _as_factor(one: Effect) -> bool:
    return one.ratio is not None and not 1 / _PERCENT_BELOW < one.ratio < _PERCENT_BELOW
