"""The verdict for a tuning, effects with their intervals, and comparisons of arms."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from trimtab.model.knowledge import Value


class Verdict(StrEnum):
    """The answer for one tuning, in the word that says what a reader may do (docs/verdicts.md)."""

    ADOPT = "adopt"
    AVOID = "avoid"
    LIKELY = "likely"
    NO_EFFECT = "no effect"
    INCONCLUSIVE = "inconclusive"
    NOT_TESTED = "not tested"
    INEFFECTIVE = "did not take effect"
    START_FAILED = "failed to start"
    NOT_APPLICABLE = "not applicable"

    @classmethod
    def _missing_(cls, value: object) -> Verdict | None:
        """Return the verdict that a file of trimtab 0.1 calls by its former word."""
        return _FORMER.get(value) if isinstance(value, str) else None


_FORMER = {
    "WIN": Verdict.ADOPT,
    "LOSS": Verdict.AVOID,
    "PROBABLE": Verdict.LIKELY,
    "NO-EFFECT": Verdict.NO_EFFECT,
    "NOT-PROVEN": Verdict.INCONCLUSIVE,
    "NOT-IN-EFFECT": Verdict.INEFFECTIVE,
    "START-FAILED": Verdict.START_FAILED,
    "NOT-APPLICABLE": Verdict.NOT_APPLICABLE,
    "SUPERSEDED": Verdict.NOT_APPLICABLE,
}
"""The words before the first release: stored profiles hold them."""


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
