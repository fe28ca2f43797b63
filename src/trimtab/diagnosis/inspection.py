"""The diagnosis of a machine, of a captured one, of an image, or of a running server."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trimtab import engines
from trimtab.diagnosis import data, live_process, machine, table
from trimtab.diagnosis.capture import RecordingHost
from trimtab.diagnosis.records import DiagnosisView, TuningDiagnosis
from trimtab.errors import UsageError
from trimtab.facts import container
from trimtab.host import Host, LocalHost, open_snapshot
from trimtab.linter.images import image_situation
from trimtab.linter.scenes import merge_situations
from trimtab.linter.serving_variables import is_serving_variable
from trimtab.model.finding import Finding
from trimtab.model.situation import Situation
from trimtab.processes import procfs
from trimtab.server.live_server import LiveServer
from trimtab.storage import user_files


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What every tuning is on a machine or in a running server."""

    view: DiagnosisView
    """What was read: facts, packages, processes."""
    rows: tuple[TuningDiagnosis, ...]
    """A row for each tuning."""
    findings: tuple[Finding, ...]
    """Findings that belong to no tuning."""
    differences: tuple[str, ...]
    """How the processes of a server differ, in sentences."""

    @property
    def has_trouble(self) -> bool:
        """Whether anything calls for something to be done: exit code 1 of the command."""
        return table.has_trouble(self.rows, self.findings)

    def as_data(self) -> dict[str, Any]:
        """Return the object that ``trimtab doctor --json`` prints; secrets are left out."""
        return data.as_data(self.view, self.rows, self.findings, self.differences)


def view(
    situation: Situation,
    pid: int | None = None,
    log: Path | None = None,
    python: str | None = None,
    snapshot: Path | None = None,
    capture: Path | None = None,
) -> DiagnosisView:
    """Return what can be read of this machine, of a captured one, or of a running server.

    ``pid`` is the server's first process, ``log`` its engine's log, ``python`` its interpreter.
    All that is read is saved in ``capture``, a new folder.

    Raises:
        UsageError: there is no such process, program or snapshot, or it is no vLLM server.
    """
    host: Host = LocalHost() if snapshot is None else open_snapshot(snapshot)
    if capture is not None:
        host = RecordingHost(host, capture)
    local = snapshot is None
    if python is not None and local:
        user_files.require_program("--python", python)
    if pid is not None and python is None:
        python = _interpreter_of(pid)
    environment = machine.find_environment(host, python, local=local)
    env = dict(os.environ) if local and pid is None else {}
    found = machine.view(host, env, environment, local=local, told=situation)
    return found if pid is None else _live(found, pid, log)


def view_of_image(name: str, situation: Situation) -> DiagnosisView:
    """Return the view of what a container of an image would be given on this machine.

    Raises:
        UsageError: docker has no such image, or cannot be asked.
    """
    host = LocalHost()
    found = container.read_image(host, name)
    if found.value is None:
        raise UsageError(f"--image {name} must be an image that docker has: {found.reason}")
    known = merge_situations(situation, image_situation(name))
    nowhere = machine.PythonEnvironment("", {})
    return machine.view(host, found.value.env, nowhere, local=False, told=known)


def diagnose(seen: DiagnosisView, layer: str = "") -> Diagnosis:
    """Return the diagnosis of a view: the rows of a layer ("" for all).

    Raises:
        UsageError: there is no such layer.
    """
    rows = table.rows(seen)
    layers = sorted({row.layer for row in rows})
    if layer and layer not in layers:
        raise UsageError(f"--layer must be one of {', '.join(layers)}, not {layer!r}")
    findings = () if layer else tuple(table.unowned_findings(seen))
    chosen = tuple(row for row in rows if not layer or row.layer == layer)
    differences = live_process.differences(seen.processes, is_serving_variable)
    return Diagnosis(seen, chosen, findings, tuple(differences))


def _interpreter_of(pid: int) -> str | None:
    """Return the interpreter that a process was started with: it names the environment."""
    words = procfs.cmdline(pid)
    return words[0] if words and Path(words[0]).name.startswith("python") else None


def _live(seen: DiagnosisView, pid: int, log: Path | None) -> DiagnosisView:
    server = LiveServer(pid, engines.observer("vllm"), log)
    tree = server.processes()
    if not any(one.role in live_process.SERVING for one in tree):
        raise UsageError(f"--pid {pid} is no vLLM server, and has none below it")
    found = live_process.view(seen, LocalHost(), tree, server.reported_config, server.url or "")
    return replace(found, unread=(*found.unread, *server.unread))
