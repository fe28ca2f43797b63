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
    """One request to send."""

    index: int
    """Position in the load, from 0."""
    prompt: tuple[int, ...]
    """Token ids of the prompt."""
    output_tokens: int
    """Exact number of tokens to generate."""
    at: float | None = None
    """Arrival in seconds after the load's start; ``None`` in closed loop: sent when a stream is
    free.
    """


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """What happened to one request. Instants are seconds after the load's start."""

    index: int
    """Position of the request in the load."""
    intended: float
    """When it should have been sent: its arrival in open loop, ``sent`` in closed loop. Latencies
    count from here, so a stalled server or client cannot hide queueing (coordinated omission).
    """
    sent: float
    """When the client sent it."""
    chunks: tuple[float, ...]
    """Arrival of each streamed chunk that stands for tokens (docs/metrics.md defines it). One
    chunk may hold several tokens, so counts come from the server's usage report.
    """
    done: float
    """When the answer ended."""
    prompt_tokens: int
    """Prompt tokens, as the server reports them."""
    output_tokens: int
    """Output tokens, as the server reports them."""
    error: str = ""
    """Why the request failed; "" if it succeeded."""


@dataclass(frozen=True, slots=True)
class Window:
    """One measured interval of load inside a start."""

    index: int
    """Position in the start."""
    begin: float
    """Begin, in seconds after the load's start."""
    end: float
    """End, in seconds after the load's start."""
    requests: int
    """Number of requests that the window measures."""
    metrics: Mapping[str, float]
    """Metric → value. A metric that does not exist for these records is absent, never 0."""
    void: tuple[str, ...] = ()
    """Reasons why the window must not be used; empty for a valid window."""
    readings: Mapping[str, float] = field(default_factory=dict)
    """Reading → share of the machine that other processes used during the window."""
    on: str = ""
    """Tuning that was switched on in this window, in a start that alternates one; else ""."""
    bins: tuple[float, ...] = ()
    """Output tokens/s in equal parts of the window."""
    spread: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Latency → its values in ms, as `trimtab.metrics.aggregate.histogram` writes them."""


@dataclass(frozen=True, slots=True)
class Factor:
    """One tuning with the alternative value that a study tests against the baseline's."""

    tuning: str
    """Name of the tuning."""
    value: Value
    """Value to test."""
    lead: str = ""
    """Why the catalogue expects a large effect on this hardware; "" otherwise. Leads are settled
    first.
    """
    prior: float = 0.0
    """Expected gain on the log scale. It orders the proposals and never enters a test."""
    metric: str = ""
    """Metric that the tuning is about, if not the study's objective ("startup")."""
    dummy: bool = False
    """An inert tuning, which must never win."""
    scope: Scope = Scope.PROCESS
    """What the tuning changes: a process tree, the host, a container or an image."""
    levels: tuple[int, ...] = ()
    """Further values of an integer tuning, tried once it has proved worth turning."""
    restart: RestartCost = RestartCost.PROCESS
    """What it takes for the value to act."""

    @property
    def of_host(self) -> bool:
        """Whether the tuning changes the whole host, not only the server under test."""
        return self.scope is Scope.HOST

    @property
    def live(self) -> bool:
        """Whether the tuning can be switched while a server runs."""
        return self.of_host and self.restart is RestartCost.LIVE


@dataclass(frozen=True, slots=True)
class Budget:
    """What a study may cost. Exactly one of the two is set."""

    starts: int | None = None
    """Number of starts."""
    seconds: float | None = None
    """Wall-clock seconds."""


@dataclass(frozen=True, slots=True)
class Space:
    """Everything that the search needs to know of the question."""

    factors: tuple[Factor, ...]
    """Factors in the order of proposals."""
    conflicts: frozenset[frozenset[str]] = frozenset()
    """Pairs of tunings that must not both be off stock."""
    guide: Candidate | None = None
    """Candidate of the preset on this machine; ``None`` if the preset sets nothing here."""
    preset: str = "guide"
    """Name of that preset and of its arm; the vllm-ascend guide by default."""
    objective: str = "output_throughput"
    """Metric that alone decides verdicts and profiles."""
    higher_is_better: bool = True
    """Direction of the objective."""
    budget: Budget = Budget(starts=24)
    """What the study may cost."""
    seed: int = 0
    """Seed of every random choice."""
    margin: float = 0.02
    """Relative difference below which an effect does not matter (0.02 = 2 %)."""
    seconds: tuple[float, float] = (80.0, 35.0)
    """Expected wall seconds of a start: at the baseline, and once the leads have won."""
    limits: tuple[tuple[str, float], ...] = ()
    """Latencies that a profile must keep: metric, and the highest value in its unit."""
    objectives: tuple[str, ...] = ()
    """Further metrics, which make a Pareto set together with ``objective``."""

    @property
    def all_objectives(self) -> tuple[str, ...]:
        """Every objective, the one that decides first."""
        return (self.objective, *self.objectives)


@dataclass(frozen=True, slots=True)
class Design:
    """What a study intends, printed before the first start."""

    lead_starts: int
    """Starts of the lead phase."""
    screen_starts: int
    """Starts of the screen."""
    confirm_starts: int
    """Starts of the confirmation."""
    blocks: int
    """Blocks of all phases."""
    minutes: float
    """Expected wall time in minutes."""
    screened: tuple[str, ...]
    """Tunings that are tested, except those that are tested alone."""
    not_screened: tuple[str, ...]
    """Tunings that the budget has no room for."""
    sd: float
    """Assumed standard deviation between starts, log scale."""
    detectable: float | None
    """Smallest gain (0.05 = 5 %) that the screen finds with 80 % power at ``sd``; ``None``
    without an estimate.
    """
    follow_starts: int = 0
    """Starts of the follow-up."""
    host_starts: int = 0
    """Starts for host settings."""
    objectives: tuple[str, ...] = ()
    """Further objectives of the question."""
    trial_starts: int = 0
    """Starts that try the profiles where there is no confirmation."""
    seconds: tuple[tuple[str, int, float], ...] = ()
    """For each phase: its name, its starts, and their expected seconds in all."""

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
    """One start that the strategy asks for."""

    phase: Phase
    """Phase that asks."""
    block: int
    """Number of the block."""
    arm: str
    """What the start stands for in the comparison; "#2" marks a second attempt."""
    candidate: Candidate
    """Tunings and values to launch."""
    seed: int
    """Seed of the requests, shared by all starts of a block."""
    live: str = ""
    """Tuning of the candidate that is on in half of the windows only; else ""."""

    @property
    def steady(self) -> Candidate:
        """The part of the candidate that holds from launch to end."""
        return tuple((name, value) for name, value in self.candidate if name != self.live)

    @property
    def stem(self) -> str:
        """The arm without the mark of an attempt: ``guide#2`` is a start of ``guide``."""
        return self.arm.removesuffix(_AGAIN)

    def again(self) -> StartRequest:
        """Return the request of a second attempt in the same block."""
        return replace(self, arm=self.arm + _AGAIN)


@dataclass(frozen=True, slots=True)
class Start:
    """One launch of one plan as the ledger stores it: the unit of replication."""

    number: int
    """Position in the study, from 1."""
    request: StartRequest
    """What the strategy asked for."""
    plan: str
    """Digest of the plan."""
    outcome: Outcome
    """How the start ended."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Metric → value of the start. Means over the valid windows (of logs, for positive metrics);
    percentiles are those of all their requests. Holds the start's own metrics too (``startup``).
    """
    windows: tuple[Window, ...] = ()
    """Measured windows, void ones included."""
    evidence: tuple[Evidence, ...] = ()
    """Outcome of each check."""
    gate: Mapping[str, float] = field(default_factory=dict)
    """Reading → value of the probe before the start."""
    seconds: float = 0.0
    """Wall time of the start in seconds."""
    began: float = 0.0
    """Unix time of its begin."""
    detail: str = ""
    """Why the start ended as it did; "" if it was measured."""
    answers: tuple[tuple[int, ...], ...] = ()
    """Token ids of the greedy answers to the fixed prompts; empty if not taken."""
    marks: Mapping[str, str] = field(default_factory=dict)
    """Kind → remark on the load (``no-steady-state``, ``over-saturated``, ``prompts-left-out``).
    A start with a remark counts.
    """
    times: Mapping[str, float] = field(default_factory=dict)
    """Part → wall seconds (`trimtab.metrics.wall_time`); ``startup`` includes ``compile``."""

    @property
    def valid(self) -> bool:
        """Whether the start yields metrics."""
        return self.outcome is Outcome.MEASURED


@dataclass(frozen=True, slots=True)
class Header:
    """What is measured."""

    engine: str
    """Name of the engine."""
    version: str
    """Version of the engine."""
    platform: str
    """What its build computes on."""
    path: str
    """Program that is started; "" if none is."""
    model: str
    """Model as a reader knows it."""
    workload: str
    """Workload in words."""
    machine: str
    """Devices and CPUs in words."""

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
        """Return the header for JSON."""
        return asdict(self)
