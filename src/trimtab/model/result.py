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
class TuningVerdict:
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


@dataclass(frozen=True, slots=True)
class Advantage:
    """Where an arm of the Pareto set is ahead of others of the set, on one objective.

    ``shown`` names the arms that it is shown to be better than, ``open`` those that only its
    estimate is better than.
    """

    metric: str
    shown: tuple[str, ...]
    open: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ParetoArm:
    """One arm of the confirmation, seen by all objectives of the study.

    ``comparisons`` are with the baseline, one for each objective that has an estimate (of the
    baseline itself, with itself); their intervals hold one by one. ``dominated_by`` names the arms
    shown to dominate it, all such claims of a study together at 95 %. Without any it is a member
    of the Pareto set, and ``advantages`` say why, one for each objective on which it is ahead.
    """

    arm: str
    candidate: Candidate
    comparisons: tuple[Comparison, ...]
    dominated_by: tuple[str, ...]
    advantages: tuple[Advantage, ...] = ()

    @property
    def member(self) -> bool:
        """Whether it is in the Pareto set."""
        return not self.dominated_by


@dataclass(frozen=True, slots=True)
class Fidelity:
    """How far a profile's greedy answers are the baseline's.

    ``agreement`` is the share (0 to 1) of tokens before the first that differs, over all prompts
    and all pairs of starts; ``floor`` the same between the baseline's own starts, ``None`` from
    fewer than two. ``diverges_at`` is the earliest token (from 1) that differs.
    """

    arm: str
    agreement: float
    floor: float | None
    diverges_at: int | None
    prompts: int
    pairs: int

    @property
    def kept(self) -> bool:
        """Whether the answers differ no more than the baseline's own do."""
        return self.agreement >= (1.0 if self.floor is None else self.floor)


@dataclass(frozen=True, slots=True)
class VarianceComponents:
    """Variance components of the objective: sds on the log scale (0.02 = 2 %), method of moments.

    ``between`` is that of starts (s_r), ``within`` that of the windows of one start (s_w), each
    with its degrees of freedom. ``windows`` is how many a start had. ``best`` is how many give
    the most precision for the time, at the measured cost of a start without its windows and of
    a window, in seconds.
    """

    between: float
    within: float
    start_df: int
    window_df: int
    windows: float
    start_seconds: float
    window_seconds: float
    best: int


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What a study found: verdicts, profiles and how they compare, from the ledger alone.

    ``proven`` and ``best`` are the candidates of the two profiles (``best`` is written as
    ``max``). ``confirmed`` holds the confirmation's comparisons of exactly these two with the
    baseline (arms "proven" and "max", the latter only where it is another candidate), one for
    each metric; what was tested and rejected is a note. ``guide`` is the guide's comparison,
    from the first phase. ``pareto`` holds the confirmation's arms where a study has several
    objectives. ``within_slo`` names the profiles that are shown to keep the SLO, if one was given.
    """

    answers: tuple[TuningVerdict, ...]
    proven: Candidate
    best: Candidate
    confirmed: tuple[Comparison, ...]
    guide: Comparison | None
    sd: float | None
    detectable: float | None
    notes: tuple[str, ...] = ()
    fidelity: tuple[Fidelity, ...] = ()
    pareto: tuple[ParetoArm, ...] = ()
    spread: VarianceComponents | None = None
    within_slo: tuple[str, ...] = ()


class StudyStatus(StrEnum):
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

    status: StudyStatus
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
