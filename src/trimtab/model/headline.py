"""The first line of an answer: what a reader may do with the study as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from trimtab.model.answer import Effect


class Status(StrEnum):
    """What a study comes to (docs/verdicts.md)."""

    RECOMMENDED = "recommended"
    PROMISING = "promising, not confirmed"
    NO_GAIN = "no gain found"


@dataclass(frozen=True, slots=True)
class Headline:
    """The first line of terminal, report and JSON.

    ``text`` is the whole sentence, ``detail`` what it rests on. ``arm`` is the profile or preset
    that it is about, ``tuning`` the tuning if it is about one alone; both are "" if no gain was
    found, and ``effect`` is ``None`` then. ``baseline`` and ``value`` are in the unit of
    ``metric``, ``None`` where no total was measured. ``needs`` says what a confirmation takes, ""
    if there is nothing to confirm. ``next`` is a command that can be pasted.
    """

    status: Status
    text: str
    metric: str
    next: str
    detail: str = ""
    arm: str = ""
    tuning: str = ""
    effect: Effect | None = None
    baseline: float | None = None
    value: float | None = None
    needs: str = ""


@dataclass(frozen=True, slots=True)
class Advice:
    """Commands for the reader of an answer, and what they cost.

    ``use`` starts the proven profile, "" where no server can be started by hand. ``confirm`` maps
    a profile to the command that compares it with the baseline; it is empty where there is none.
    ``larger`` asks the question again with a larger budget. ``show`` prints the evidence; a
    tuning's after ``--why``. ``confirm_cost`` and ``larger_cost`` are in words.
    """

    show: str = "trimtab show STUDY"
    use: str = ""
    confirm: tuple[tuple[str, str], ...] = ()
    confirm_cost: str = ""
    larger: str = ""
    larger_cost: str = ""
