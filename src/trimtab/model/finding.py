"""What a rule finds, and what would mend it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from trimtab.model.document import Place


class Severity(StrEnum):
    """How bad: ERROR fails a start or is refused, WARNING acts otherwise than meant, INFO tells.

    An exit code of 1 takes a WARNING at least.
    """

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"

    @property
    def rank(self) -> int:
        """Position in the order info < warning < error."""
        return ("info", "warning", "error").index(self.value)


class Problem(StrEnum):
    """What kind of trouble a finding is; it becomes the state of the tuning in ``doctor``."""

    WRONG_VALUE = "wrong value"
    CONFLICT = "conflicting"
    NO_EFFECT = "no effect"
    SUPERSEDED = "superseded"
    HAZARD = "hazard"  # in effect, and dangerous
    ADVICE = "advice"  # in effect, and could be better


class Action(StrEnum):
    """A mechanical remedy: something ``lint --fix`` can write."""

    SET_VALUE = "set-value"  # replace the value's text by ``text``
    RENAME = "rename"  # replace the name by ``text``
    REMOVE = "remove"  # take the assignment away
    EXPORT = "export"  # put ``export`` before the assignment
    REPLACE = "replace"  # replace the span of the finding's place by ``text``


@dataclass(frozen=True, slots=True)
class Remedy:
    """A remedy that changes no meaning but the one the finding is about."""

    action: Action
    text: str = ""


@dataclass(frozen=True, slots=True)
class Hit:
    """What a rule says about one setting.

    ``setting`` is its name as in `Setting.name`. ``message`` is one sentence with the reason,
    ``fix`` one with what to do. ``given`` is the condition under which it holds when the situation
    does not tell ("the chip is A2"); such a hit is at most an INFO unless ``severity`` says else.
    ``place`` is only needed where it is not that of the setting.
    """

    setting: str
    message: str
    fix: str = ""
    given: str = ""
    severity: Severity | None = None
    place: Place | None = None
    remedy: Remedy | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """A hit with its rule and its place: what ``lint`` and ``doctor`` print.

    ``tuning`` is the catalogue entry whose rule it is, "" for a rule about the making of a text.
    """

    rule: str
    severity: Severity
    problem: Problem
    setting: str
    message: str
    fix: str
    place: Place | None
    tuning: str = ""
    remedy: Remedy | None = None
