"""A study: its question, its starts, and its answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from trimtab.model.knowledge import Candidate, Scope, Value
from trimtab.model.load import Window
from trimtab.model.plan import Evidence


@dataclass(frozen=True, slots=True)
class Factor:
    """One tuning with the one alternative value that this study tests against the baseline's.

    ``lead`` holds the sentence of the catalogue's rule that expects a large effect on this
    hardware ("" for all others); leads are settled first. ``prior`` is the expected gain on the
    log scale: it orders the proposals and never enters a test. ``metric`` is the metric that
    the tuning is about when that is not the study's objective ("startup"), else "".
    ``dummy`` marks the inert one that must never win. ``levels`` are further values of an integer
    tuning, by which it is refined once it has proved worth turning.
    """

    tuning: str
    value: Value
    lead: str = ""
    prior: float = 0.0
    metric: str = ""
    dummy: bool = False
    scope: Scope = Scope.PROCESS
    levels: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Budget:
    """What a study may cost: a number of starts, or wall-clock seconds. Exactly one is set."""

    starts: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Space:
    """Everything the search needs to know of the question.

    ``conflicts`` are pairs of tunings that must not both be off stock. ``guide`` is the
    vllm-ascend guide's candidate on this machine (``None`` when it has nothing here).
    ``seconds`` are the expected wall seconds of a start: at the baseline, and once the leads
    have won. ``limits`` are latencies that a profile must keep: metric, and the most it may be
    in the metric's unit.
    """

    factors: tuple[Factor, ...]
    conflicts: frozenset[frozenset[str]] = frozenset()
    guide: Candidate | None = None
    objective: str = "output_throughput"
    higher_is_better: bool = True
    budget: Budget = Budget(starts=24)
    seed: int = 0
    margin: float = 0.02
    seconds: tuple[float, float] = (80.0, 35.0)
    limits: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Design:
    """What a study intends, printed before the first start.

    ``detectable`` is the smallest gain (0.05 = 5 %) that the screen finds with 80 % power at
    the assumed noise ``sd`` (standard deviation between starts, log scale).
    """

    lead_starts: int
    screen_starts: int
    confirm_starts: int
    blocks: int
    minutes: float
    screened: tuple[str, ...]
    not_screened: tuple[str, ...]
    sd: float
    detectable: float | None

    @property
    def starts(self) -> int:
        """All starts of the study."""
        return self.lead_starts + self.screen_starts + self.confirm_starts


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
class Conclusion:
    """What a study found: verdicts, profiles and how they compare, from the ledger alone.

    ``proven`` and ``best`` are the candidates of the two profiles (``best`` is written as
    ``max``). ``confirmed`` holds the confirmation's comparisons of exactly these two with the
    baseline (arms "proven" and "max", the latter only where it is another candidate), one for
    each metric; what was tested and rejected is a note. ``guide`` is the guide's comparison,
    from the first phase.
    """

    answers: tuple[Answer, ...]
    proven: Candidate
    best: Candidate
    confirmed: tuple[Comparison, ...]
    guide: Comparison | None
    sd: float | None
    detectable: float | None
    notes: tuple[str, ...] = ()
    fidelity: tuple[Fidelity, ...] = ()


class Phase(StrEnum):
    """The parts of a study, in order."""

    LEAD = "lead"  # large effects that the hardware decides, each alone
    SCREEN = "screen"  # the rest, around the centre
    REFINE = "refine"  # integer tunings worth turning, at more of their levels
    CONFIRM = "confirm"  # the final profiles against the baseline, fresh


class Outcome(StrEnum):
    """How a start ended."""

    MEASURED = "measured"
    VOID = "void"  # every window was voided by a guard
    INEFFECTIVE = "ineffective"  # evidence refuted the plan; no load was run
    START_FAILED = "start-failed"
    LOAD_FAILED = "load-failed"  # the server died or failed requests under load


_AGAIN = "#2"
"""Marks the arm of a second attempt: a void start is repeated once at most."""


@dataclass(frozen=True, slots=True)
class StartRequest:
    """One start that the strategy asks for. ``seed`` is shared by all starts of a block."""

    phase: Phase
    block: int
    arm: str
    candidate: Candidate
    seed: int

    @property
    def stem(self) -> str:
        """The arm, whichever attempt this is: ``guide#2`` is a start of ``guide``."""
        return self.arm.removesuffix(_AGAIN)

    def again(self) -> StartRequest:
        """Return the request of a second attempt in the same block."""
        return replace(self, arm=self.arm + _AGAIN)


@dataclass(frozen=True, slots=True)
class Start:
    """One launch of one plan as the ledger keeps it: the unit of replication.

    ``metrics`` are the means over the start's valid windows (of logs, for positive metrics), for
    percentiles those of all their requests, plus the start's own (``startup`` seconds).
    ``seconds`` is the wall time it cost.
    ``began`` is the Unix time. ``answers`` are the token ids of its greedy answers to the fixed
    prompts, where they were taken. ``marks`` say what a reader must know of its load, by kind
    (``no-steady-state``, ``over-saturated``, ``prompts-left-out``): it counts all the same.
    """

    number: int
    request: StartRequest
    plan: str
    outcome: Outcome
    metrics: Mapping[str, float] = field(default_factory=dict)
    windows: tuple[Window, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    gate: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    began: float = 0.0
    detail: str = ""
    answers: tuple[tuple[int, ...], ...] = ()
    marks: Mapping[str, str] = field(default_factory=dict)

    @property
    def valid(self) -> bool:
        """Whether the start yields metrics."""
        return self.outcome is Outcome.MEASURED


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
