"""What a diagnosis consists of: the view of a machine or a server, and one row for each tuning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from trimtab.catalog import Scene
from trimtab.facts import Facts
from trimtab.facts.python_build import PythonBuild
from trimtab.model import Value
from trimtab.model.finding import Finding
from trimtab.model.situation import Situation


class TuningState(StrEnum):
    """What a tuning is here."""

    ACTIVE = "active"
    STOCK = "stock"
    WRONG_VALUE = "wrong value"
    CONFLICTING = "conflicting"
    NO_EFFECT = "no effect"
    NOT_APPLICABLE = "not applicable"
    SUPERSEDED = "superseded"
    UNKNOWN = "unknown"


TROUBLE = frozenset(
    {
        TuningState.WRONG_VALUE,
        TuningState.CONFLICTING,
        TuningState.NO_EFFECT,
        TuningState.SUPERSEDED,
    }
)
"""States that call for something to be done."""


@dataclass(frozen=True, slots=True)
class TuningDiagnosis:
    """One tuning: its state, what was observed and where, what to do."""

    tuning: str
    layer: str
    state: TuningState
    observed: str = ""
    where: str = ""
    todo: str = ""
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Allocator:
    """The heap's allocator of one process, or of what would be started from this shell.

    ``mapped`` are libraries of allocators with code in the process; ``None`` when its maps cannot
    be read, or nothing runs. ``serving`` is the one that served malloc in a child process with
    the same environment: a SONAME's stem ("libjemalloc"), "glibc", or "" when unknown.
    """

    preloaded: tuple[str, ...] = ()
    mapped: tuple[str, ...] | None = None
    serving: str = ""
    missing: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class InspectedProcess:
    """One process: its scene, and what only a live process shows.

    ``whole`` is False where the environment's beginning is overwritten by the process's title.
    Sizes are bytes; ``nodes`` maps a NUMA node to the bytes there; ``unread`` are reasons.
    """

    scene: Scene
    name: str
    whole: bool = True
    threads: int | None = None
    allowed: tuple[int, ...] | None = None
    nofile: float | None = None
    memlock: float | None = None
    resident: int | None = None
    swapped: int | None = None
    huge: int | None = None
    nodes: Mapping[int, int] = field(default_factory=dict)
    allocator: Allocator = Allocator()
    unread: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The process as people call it: "worker 4242"; of no process, its name."""
        return self.name if self.scene.pid is None else f"{self.name} {self.scene.pid}"


@dataclass(frozen=True, slots=True)
class DiagnosisView:
    """All that a diagnosis judges: the machine, and the processes that matter on it.

    Without a server there is one process that does not run: whatever is started from this
    environment. ``config`` is what the server reports of its configuration. ``packages`` are those
    of the server's environment, found at ``interpreter``. ``unread`` says what could not be read.
    """

    facts: Facts
    situation: Situation
    processes: tuple[InspectedProcess, ...]
    build: PythonBuild
    interpreter: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Value] = field(default_factory=dict)
    url: str = ""
    unread: tuple[str, ...] = ()

    @property
    def live(self) -> bool:
        """Whether it is about a running server."""
        return any(one.scene.pid is not None for one in self.processes)
