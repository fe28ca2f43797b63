"""A study: its question and its starts.

What is measured, in three lines: engine, model, and workload with machine.

Load: requests, what happened to them, and the windows measured over them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum

from trimtab.model.plan import Evidence
from trimtab.model.platforms import UNKNOWN
from trimtab.model.terms import Candidate, RestartCost, Scope, Value


@dataclass(frozen=True, slots=True)
class Request:
    """One request to send: exact lengths, and when (seconds after the load's start).

    ``at`` is ``None`` in closed loop: the request is sent as soon as a stream is free.
    """

    index: int
    prompt: tuple[int, ...]
    output_tokens: int
    at: float | None = None


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """What happened to one request. Instants are seconds after the load's start.

    ``intended`` is when it should have been sent (its arrival in open loop; in closed loop, which
    has no schedule, when it was sent); latencies count from there, so a stalled server or client
    cannot hide queueing (coordinated omission). ``chunks`` holds the arrival of each streamed
    chunk that stands for tokens (docs/metrics.md defines it); one chunk may hold several, so
    counts come from the server's usage report.
    """

    index: int
    intended: float
    sent: float
    chunks: tuple[float, ...]
    done: float
    prompt_tokens: int
    output_tokens: int
    error: str = ""


@dataclass(frozen=True, slots=True)
class Window:
    """One measured interval of load inside a start.

    ``metrics`` maps a metric's name to its value; a metric that does not exist for these
    records is absent, never 0. ``void`` holds the reasons why the window must not be used.
    ``readings`` are the shares of the machine that others than the server used in it. ``on``
    names the tuning that was on in it, in a start in which one alternates.
    ``bins`` are its output tokens/s in equal parts of its time. ``spread`` holds, for each
    latency, the values of its requests in milliseconds as `trimtab.metrics.aggregate.histogram`
    writes them.
    """

    index: int
    begin: float
    end: float
    requests: int
    metrics: Mapping[str, float]
    void: tuple[str, ...] = ()
    readings: Mapping[str, float] = field(default_factory=dict)
    on: str = ""
    bins: tuple[float, ...] = ()
    spread: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Factor:
    """One tuning with the one alternative value that this study tests against the baseline's.

    ``lead`` holds the sentence of the catalogue's rule that expects a large effect on this
    hardware ("" for all others); leads are settled first. ``prior`` is the expected gain on the
    log scale: it orders the proposals and never enters a test. ``metric`` is the metric that
    the tuning is about when that is not the study's objective ("startup"), else "".
    ``dummy`` marks the inert one that must never win. ``levels`` are further values of an integer
    tuning, by which it is refined once it has proved worth turning. ``restart`` is what it takes
    for the value to act.
    """

    tuning: str
    value: Value
    lead: str = ""
    prior: float = 0.0
    metric: str = ""
    dummy: bool = False
    scope: Scope = Scope.PROCESS
    levels: tuple[int, ...] = ()
    restart: RestartCost = RestartCost.PROCESS

    @property
    def of_host(self) -> bool:
        """Whether it changes the whole host, and not only the server that it is tested on."""
        return self.scope is Scope.HOST

    @property
    def live(self) -> bool:
        """Whether it can be switched on the host while a server runs."""
        return self.of_host and self.restart is RestartCost.LIVE


@dataclass(frozen=True, slots=True)
class Budget:
    """What a study may cost: a number of starts, or wall-clock seconds. Exactly one is set."""

    starts: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Space:
    """Everything the search needs to know of the question.

    ``conflicts`` are pairs of tunings that must not both be off stock. ``guide`` is the
    candidate of a preset on this machine (``None`` when it has nothing here), by default of the
    vllm-ascend guide; ``preset`` is that preset's name, and the arm's.
    ``seconds`` are the expected wall seconds of a start: at the baseline, and once the leads
    have won. ``limits`` are latencies that a profile must keep: metric, and the most it may be
    in the metric's unit. ``objectives`` are further metrics, which make a Pareto set together
    with ``objective``; that alone decides on verdicts and profiles.
    """

    factors: tuple[Factor, ...]
    conflicts: frozenset[frozenset[str]] = frozenset()
    guide: Candidate | None = None
    preset: str = "guide"
    objective: str = "output_throughput"
    higher_is_better: bool = True
    budget: Budget = Budget(starts=24)
    seed: int = 0
    margin: float = 0.02
    seconds: tuple[float, float] = (80.0, 35.0)
    limits: tuple[tuple[str, float], ...] = ()
    objectives: tuple[str, ...] = ()

    @property
    def all_objectives(self) -> tuple[str, ...]:
        """Every objective, the one that decides first."""
        return (self.objective, *self.objectives)


@dataclass(frozen=True, slots=True)
class Design:
    """What a study intends, printed before the first start.

    ``detectable`` is the smallest gain (0.05 = 5 %) that the screen finds with 80 % power at
    the assumed noise ``sd`` (standard deviation between starts, log scale). ``screened`` are all
    that are tested other than alone, ``objectives`` the question's further ones. ``trial_starts``
    are those set aside to start the profiles where there is no confirmation. ``seconds`` holds
    for each phase its name, its starts, and the seconds that they are expected to take in all.
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
    follow_starts: int = 0
    host_starts: int = 0
    objectives: tuple[str, ...] = ()
    trial_starts: int = 0
    seconds: tuple[tuple[str, int, float], ...] = ()

    @property
    def starts(self) -> int:
        """All starts of the study."""
        tested = self.lead_starts + self.screen_starts + self.follow_starts + self.host_starts
        return tested + self.confirm_starts + self.trial_starts


class Phase(StrEnum):
    """The parts of a study, in order."""

    LEAD = "lead"  # large effects that the hardware decides, each alone
    SCREEN = "screen"  # the rest, around the centre
    FOLLOW = "follow"  # what the screen left undecided, around the best so far
    REFINE = "refine"  # integer tunings worth turning, at more of their levels
    HOST = "host"  # settings of the whole host, each around the best profile so far
    CONFIRM = "confirm"  # the final profiles against the baseline, fresh
    ANSWERS = "answers"  # profiles that were not confirmed: that they start, and their answers


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
    """One start that the strategy asks for. ``seed`` is shared by all starts of a block.

    ``live`` names the tuning of the candidate that is on in half of the windows only.
    """

    phase: Phase
    block: int
    arm: str
    candidate: Candidate
    seed: int
    live: str = ""

    @property
    def steady(self) -> Candidate:
        """What of the candidate holds from the launch to the end."""
        return tuple((name, value) for name, value in self.candidate if name != self.live)

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
    ``times`` are the wall seconds of its parts (:mod:`trimtab.metrics.wall_time`), ``compile``
    within ``startup``.
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
    times: Mapping[str, float] = field(default_factory=dict)

    @property
    def valid(self) -> bool:
        """Whether the start yields metrics."""
        return self.outcome is Outcome.MEASURED


@dataclass(frozen=True, slots=True)
class Header:
    """What is measured. ``path`` is the program that is started; "" where none is."""

    engine: str
    version: str
    platform: str
    path: str
    model: str
    workload: str
    machine: str

    def lines(self) -> tuple[str, str, str]:
        """Return the three lines that every command prints before it measures."""
        where = f", {self.path}" if self.path else ""
        platform = "an unknown platform" if self.platform == UNKNOWN else self.platform
        return (
            f"engine    {self.engine} {self.version} on {platform}{where}",
            f"model     {self.model}",
            f"workload  {self.workload}; on {self.machine}",
        )

    def rows(self) -> tuple[tuple[str, str], ...]:
        """Return the lines as pairs of a name and its text."""
        return tuple((line[:10].rstrip(), line[10:]) for line in self.lines())

    def as_data(self) -> dict[str, str]:
        """Return it for JSON."""
        return asdict(self)
