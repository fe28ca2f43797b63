"""The verdict for a tuning, effects with their intervals, and comparisons of arms.

What several objectives give: the arms of the confirmation, and which of them stand.

What a study found: verdicts, profiles, how they compare, and how noisy it was.

The first line of an answer: what a reader may do with the study as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from trimtab.model.terms import Candidate, Value


class Verdict(StrEnum):
    """The verdict for one tuning: what a reader may do (docs/verdicts.md)."""

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

    Ratios are better-is-greater: where less is better they are inverted, so 1.10 is always 10 %
    better. All fields but ``starts`` are ``None`` if the design gives no estimate.
    """

    ratio: float | None
    """Estimated ratio."""
    low: float | None
    """Lower end of the 95 % interval."""
    high: float | None
    """Upper end of the 95 % interval."""
    p: float | None
    """One-sided p-value for "better"."""
    starts: int
    """Number of starts behind the estimate."""


@dataclass(frozen=True, slots=True)
class TuningVerdict:
    """The verdict for one tuning, with its effect and its reason."""

    tuning: str
    """Name of the tuning."""
    value: Value
    """Tested value."""
    verdict: Verdict
    """What a reader may do with it."""
    effect: Effect
    """Estimated effect of the value."""
    metric: str
    """Metric of the effect."""
    reason: str
    """Sentence that explains the verdict."""
    phase: str = ""
    """Phase that decided; "" if none did."""
    removal: Effect | None = None
    """Gain of the proven profile over itself without this tuning; ``None`` if not measured."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One profile or arm against the baseline on one metric, from paired starts."""

    arm: str
    """Name of the profile or arm."""
    metric: str
    """Name of the metric."""
    baseline: float
    """The baseline's value, in the metric's unit."""
    value: float
    """The arm's value, in the metric's unit."""
    effect: Effect
    """Change from the baseline to the arm."""


@dataclass(frozen=True, slots=True)
class Advantage:
    """Arms of the Pareto set that one arm of the set beats on one objective."""

    metric: str
    """Name of the objective."""
    shown: tuple[str, ...]
    """Arms that it is shown to be better than."""
    open: tuple[str, ...]
    """Arms that only its estimate is better than."""


@dataclass(frozen=True, slots=True)
class ParetoArm:
    """One arm of the confirmation, seen by all objectives of the study."""

    arm: str
    """Name of the arm."""
    candidate: Candidate
    """What the arm sets."""
    comparisons: tuple[Comparison, ...]
    """Comparisons with the baseline, one for each objective that has an estimate. The intervals
    hold one at a time. The baseline is compared with itself.
    """
    dominated_by: tuple[str, ...]
    """Arms shown to dominate it; all such claims of a study hold together at 95 %."""
    advantages: tuple[Advantage, ...] = ()
    """Why it is in the Pareto set: one entry for each objective on which it is ahead."""

    @property
    def member(self) -> bool:
        """Whether the arm is in the Pareto set."""
        return not self.dominated_by


@dataclass(frozen=True, slots=True)
class Fidelity:
    """Agreement of a profile's greedy answers with the baseline's."""

    arm: str
    """Name of the profile."""
    agreement: float
    """Share (0 to 1) of tokens before the first that differs, over all prompts and pairs of
    starts.
    """
    floor: float | None
    """The same share between the baseline's own starts; ``None`` if fewer than two."""
    diverges_at: int | None
    """Earliest token (from 1) that differs; ``None`` if none does."""
    prompts: int
    """Number of prompts."""
    pairs: int
    """Number of pairs of starts."""

    @property
    def kept(self) -> bool:
        """Whether the answers differ no more than the baseline's own do."""
        return self.agreement >= (1.0 if self.floor is None else self.floor)


@dataclass(frozen=True, slots=True)
class VarianceComponents:
    """Variance components of the objective by the method of moments.

    Standard deviations are on the log scale (0.02 = 2 %).
    """

    between: float
    """Standard deviation between starts (s_r)."""
    within: float
    """Standard deviation between the windows of a start (s_w)."""
    start_df: int
    """Degrees of freedom of ``between``."""
    window_df: int
    """Degrees of freedom of ``within``."""
    windows: float
    """Windows of a start."""
    start_seconds: float
    """Cost of a start without its windows, in seconds."""
    window_seconds: float
    """Cost of a window, in seconds."""
    best: int
    """Number of windows that gives the most precision for the time."""


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What follows from a ledger: verdicts, profiles, and how the profiles compare."""

    answers: tuple[TuningVerdict, ...]
    """Verdict for each tuning."""
    proven: Candidate
    """Candidate of the profile that holds only proven tunings."""
    best: Candidate
    """Candidate of the profile with the highest expected gain, written as ``max``."""
    confirmed: tuple[Comparison, ...]
    """The confirmation's comparisons of these two profiles with the baseline, for each metric.
    The arm "max" is absent if it equals "proven". Rejected profiles are notes.
    """
    guide: Comparison | None
    """Comparison of the preset with the baseline, from the first phase."""
    sd: float | None
    """Standard deviation between starts, log scale."""
    detectable: float | None
    """Smallest gain that the study could find."""
    notes: tuple[str, ...] = ()
    """Sentences for the reader."""
    fidelity: tuple[Fidelity, ...] = ()
    """Agreement of answers, for each profile."""
    pareto: tuple[ParetoArm, ...] = ()
    """Arms of the confirmation, if the study has several objectives."""
    spread: VarianceComponents | None = None
    """Variance components, if they can be estimated."""
    within_slo: tuple[str, ...] = ()
    """Profiles that are shown to keep the SLO."""


class StudyStatus(StrEnum):
    """What a study comes to (docs/verdicts.md)."""

    RECOMMENDED = "recommended"
    PROMISING = "promising, not confirmed"
    NO_GAIN = "no gain found"


@dataclass(frozen=True, slots=True)
class Headline:
    """The first line of terminal, report and JSON."""

    status: StudyStatus
    """What the study comes to."""
    text: str
    """The whole sentence."""
    metric: str
    """Metric of the effect."""
    next: str
    """Command that can be pasted."""
    detail: str = ""
    """Evidence behind the sentence."""
    arm: str = ""
    """Profile or preset of the sentence; "" if no gain was found."""
    tuning: str = ""
    """Tuning of the sentence, if it is about one alone."""
    effect: Effect | None = None
    """Effect of the arm or tuning; ``None`` if no gain was found."""
    baseline: float | None = None
    """The baseline's value in the metric's unit; ``None`` if no total was measured."""
    value: float | None = None
    """The arm's value in the metric's unit; ``None`` if no total was measured."""
    needs: str = ""
    """What a confirmation takes; "" if there is nothing to confirm."""


@dataclass(frozen=True, slots=True)
class Advice:
    """Commands for the reader of a result, and their cost."""

    show: str = "trimtab show STUDY"
    """Prints the evidence; add a tuning after ``--why``."""
    use: str = ""
    """Starts the proven profile; "" if no server can be started by hand."""
    confirm: tuple[tuple[str, str], ...] = ()
    """Profile and the command that compares it with the baseline; empty if nothing can be
    confirmed.
    """
    confirm_cost: str = ""
    """Cost of a confirmation in words."""
    larger: str = ""
    """Asks the question again with a larger budget."""
    larger_cost: str = ""
    """Cost of that budget in words."""
