"""The diagnosis of a machine, a captured one, an image or a server; and the capture itself."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trimtab.diagnosis import live_process, machine, records, table
from trimtab.diagnosis.records import DiagnosisView, TuningDiagnosis
from trimtab.errors import HostError, UsageError
from trimtab.facts import container
from trimtab.families import families
from trimtab.host import LIMIT, Host, LocalHost, ReadOnlyHost, command_slug, open_snapshot
from trimtab.linter.images import image_situation
from trimtab.linter.scenes import merge_situations
from trimtab.linter.serving_variables import is_serving_variable
from trimtab.model.finding import Finding
from trimtab.model.situation import Situation
from trimtab.processes import procfs
from trimtab.server.live_server import LiveServer, observer_of
from trimtab.storage import atomic_files

_MARK = "meta.yaml"


class RecordingHost(ReadOnlyHost):
    """A host that passes everything on, and lays down what it was told under a folder.

    Raises:
        UsageError: the folder is there already and is not empty.
    """

    def __init__(self, host: Host, folder: Path) -> None:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UsageError(f"{folder} must be a new or empty folder to capture into")
        self._host, self._folder = host, folder
        (folder / "root").mkdir(parents=True)
        (folder / "commands").mkdir()
        cpus = ", ".join(map(str, host.affinity()))
        (folder / _MARK).write_text(f"affinity: [{cpus}]\neuid: {host.euid()}\n")

    def _place(self, path: str) -> Path:
        place = self._folder / "root" / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        return place

    def _lay(self, path: str, data: bytes) -> None:
        place = self._place(path)
        if not place.is_dir():
            place.write_bytes(data)

    def read(self, path: str, limit: int = LIMIT) -> str:
        """See `Host.read`."""
        text = self._host.read(path, limit)
        self._lay(path, text.encode())
        return text

    def head(self, path: str, size: int) -> bytes:
        """See `Host.head`. Of a program only what tells how it is linked is kept."""
        data = self._host.head(path, size)
        kept = data[:2] if data.startswith(b"#!") else b"\x7fELF"
        at = data.find(b"libpython3.")
        self._lay(path, kept + (b"\0" + data[at : at + 24] if at >= 0 else b""))
        return data

    def exists(self, path: str) -> bool:
        """See `Host.exists`."""
        there = self._host.exists(path)
        place = self._place(path)
        if there and not place.exists():
            place.touch()
        return there

    def glob(self, pattern: str) -> tuple[str, ...]:
        """See `Host.glob`."""
        found = self._host.glob(pattern)
        for path in found:
            place = self._place(path)
            if not place.exists():
                place.touch()
        return found

    def listdir(self, path: str) -> tuple[str, ...]:
        """See `Host.listdir`."""
        names = self._host.listdir(path)
        for name in names:
            place = self._place(f"{path}/{name}")
            if not place.exists():
                place.touch()
        return names

    def readlink(self, path: str) -> str:
        """See `Host.readlink`."""
        text = self._host.readlink(path)
        place = self._place(path)
        if not place.is_symlink() and not place.exists():
            place.symlink_to(text)
        return text

    def resolve(self, path: str) -> str:
        """See `Host.resolve`. The link is laid down relative, as snapshots need it."""
        target = self._host.resolve(path)
        place = self._place(path)
        if target != path and not place.exists() and not place.is_symlink():
            place.symlink_to(os.path.relpath(self._place(target), place.parent))
        return target

    def write(self, path: str, text: str) -> None:
        """Refuse: a capture only reads."""
        raise HostError(f"cannot write {path}: a capture only reads")

    def run(self, argv: Sequence[str], timeout: float = 10.0) -> str:
        """See `Host.run`."""
        text = self._host.run(argv, timeout)
        (self._folder / "commands" / f"{command_slug(argv)}.txt").write_text(text)
        return text

    def affinity(self) -> tuple[int, ...]:
        """See `Host.affinity`."""
        return self._host.affinity()

    def euid(self) -> int:
        """See `Host.euid`."""
        return self._host.euid()


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
        return records.as_data(self.view, self.rows, self.findings, self.differences)


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
        UsageError: there is no such process, program or snapshot, or it is no server of an engine.
    """
    host: Host = LocalHost() if snapshot is None else open_snapshot(snapshot)
    if capture is not None:
        host = RecordingHost(host, capture)
    local = snapshot is None
    if python is not None and local:
        atomic_files.require_program("--python", python)
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
    fact = container.read_image(host, name)
    if fact.value is None:
        raise UsageError(f"--image {name} must be an image that docker has: {fact.reason}")
    known = merge_situations(situation, image_situation(name))
    nowhere = machine.PythonEnvironment("", {})
    return machine.view(host, fact.value.env, nowhere, local=False, told=known)


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


def _titles() -> str:
    return " or ".join(family.title for family in families())


def _live(seen: DiagnosisView, pid: int, log: Path | None) -> DiagnosisView:
    server = LiveServer(pid, observer_of(pid), log)
    tree = server.processes()
    if not any(process.role in live_process.SERVING for process in tree):
        raise UsageError(f"--pid {pid} is no {_titles()} server, and has none below it")
    found = live_process.view(seen, LocalHost(), tree, server.reported_config, server.url or "")
    return replace(found, unread=(*found.unread, *server.unread))
