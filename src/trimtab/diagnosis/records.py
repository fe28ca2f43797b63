"""What a diagnosis consists of, as records, and as plain data without secrets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from trimtab import facts as all_facts
from trimtab.catalog import Scene
from trimtab.facts import Facts
from trimtab.facts.parsing import format_cpu_list
from trimtab.facts.python_build import PythonBuild
from trimtab.linter.serving_variables import is_serving_variable as interesting_name
from trimtab.model import Value
from trimtab.model.finding import Finding
from trimtab.model.situation import Situation
from trimtab.redaction import MASK, is_secret, looks_secret, mask_text, redact_words, secrets_in


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
        return any(process.scene.pid is not None for process in self.processes)


def concerns_serving(name: str) -> bool:
    """Whether a variable is about serving or loading; what else is there is nobody's business."""
    return interesting_name(name) or name.startswith(("LD_", "PYTHON", "HF_"))


def as_data(
    view: DiagnosisView,
    table: Sequence[TuningDiagnosis],
    findings: Sequence[Finding],
    differences: Sequence[str],
) -> dict[str, Any]:
    """Return the diagnosis as one JSON object; secrets are left out."""
    everything = [*findings, *(finding for row in table for finding in row.findings)]
    return {
        "situation": _known(asdict(view.situation)),
        "facts": all_facts.to_dict(view.facts),
        "python": _known(asdict(view.build)),
        "packages": dict(view.packages),
        "url": view.url,
        "config": {name: _reported(name, value) for name, value in view.config.items()},
        "tunings": [_row_data(row) for row in table],
        "findings": [_finding(finding) for finding in dict.fromkeys(everything)],
        "processes": [_process_data(process) for process in view.processes],
        "differences": list(differences),
        "unread": list(view.unread),
    }


def _reported(name: str, value: Value) -> Value:
    """Return a value of the server's configuration without secrets."""
    if looks_secret(name):
        return MASK
    return mask_text(value, secrets_in(value)) if isinstance(value, str) else value


def _known(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if value not in (None, "")}


def _row_data(row: TuningDiagnosis) -> dict[str, Any]:
    return {
        "tuning": row.tuning,
        "layer": row.layer,
        "state": row.state.value,
        "observed": row.observed,
        "where": row.where,
        "todo": row.todo,
        "rules": [finding.rule for finding in row.findings],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "severity": finding.severity.value,
        "tuning": finding.tuning,
        "setting": finding.setting,
        "message": finding.message,
        "fix": finding.fix,
    }


def _process_data(process: InspectedProcess) -> dict[str, Any]:
    scene, heap = process.scene, process.allocator
    return {
        "role": process.name,
        "pid": scene.pid,
        "command": list(redact_words(scene.argv)),
        "environment_whole": process.whole,
        "environment": {
            name: "..." if is_secret(name, made.value) else made.value
            for name, made in sorted(scene.env.items())
            if concerns_serving(name)
        }
        if scene.pid is not None
        else {},
        "threads": process.threads,
        "cpus": None if process.allowed is None else format_cpu_list(process.allowed),
        "open_files": _limit(process.nofile),
        "locked_memory": _limit(process.memlock),
        "resident": process.resident,
        "swapped": process.swapped,
        "huge_pages": process.huge,
        "numa_nodes": {str(node): size for node, size in process.nodes.items()},
        "allocator": {
            "preloaded": list(heap.preloaded),
            "missing": list(heap.missing),
            "mapped": None if heap.mapped is None else list(heap.mapped),
            "serving": heap.serving,
            "reason": heap.reason,
        },
    }


def _limit(value: float | None) -> float | str | None:
    return "unlimited" if value is not None and math.isinf(value) else value
