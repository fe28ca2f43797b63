"""The verdict for a tuning, effects with their intervals, and comparisons of arms."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from trimtab.model.knowledge import Value


class Verdict(StrEnum):
    """The answer for one tuning."""

    WIN = "WIN"
    LOSS = "LOSS"
    NO_EFFECT = "NO-EFFECT"
    PROBABLE = "PROBABLE"
    NOT_PROVEN = "NOT-PROVEN"
    NOT_IN_EFFECT = "NOT-IN-EFFECT"
    START_FAILED = "START-FAILED"
    NOT_APPLICABLE = "NOT-APPLICABLE"
    SUPERSEDED = "SUPERSEDED"


@dataclass(frozen=True, slots=True)
class Effect:
    """An estimated change of a metric as a ratio to its comparison, with its interval.

    ``ratio``, ``low`` and ``high`` are better-is-greater: for a metric where less is better they
    are inverted, so 1.10 always means 10 % better. ``p`` is one-sided, for "better". All but
    ``starts`` are ``None`` when the design gave no estimate.
    """

    ratio: float | None
    low: float | None
    high: float | None
    p: float | None
    starts: int


@dataclass(frozen=True, slots=True)
class Answer:
    """The verdict for one tuning, with its effect and the sentence that explains it.

    ``removal`` is what the proven profile gains by it over itself without it, where measured.
    """

    tuning: str
    value: Value
    verdict: Verdict
    effect: Effect
    metric: str
    reason: str
    phase: str = ""
    removal: Effect | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """One profile (or arm) against the baseline on one metric, from paired starts."""

    arm: str
    metric: str
    baseline: float
    value: float
    effect: Effect
