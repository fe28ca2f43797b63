"""Starts the child program, hands it checks, and takes back what they left behind.

A `CheckRun` is read from what a check left behind, totally: a check can end in mid-line.
"""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trimtab.emulator.machine import EmulatedMachine
from trimtab.errors import EngineError
from trimtab.oracle import vendor
from trimtab.oracle.model import (
    SLEEP,
    TORCH_NPU,
    VLLM_ASCEND,
    CheckFailure,
    CheckRun,
    Handling,
    OracleSettings,
)


def check_run(kind: str, events: str, output: str, ended: Mapping[str, Any]) -> CheckRun:
    """Return what a check showed.

    ``events`` are the child's lines; ``ended`` says how it ended: ``exit``, ``signal`` or
    ``hung``. A stage that was announced and not closed is the one in which it ended.
    """
    stages: list[str] = []
    asked: dict[str, str] = {}
    seen: dict[str, Any] = {}
    failure: CheckFailure | None = None
    done = False
    for event in _events(events):
        stage = str(event.get("stage", stages[-1] if stages else ""))
        if "asked" in event:
            for name in _names(event["asked"]):
                asked.setdefault(name, stage)
        elif "error" in event:
            said = f"{event['error']}: {event.get('message', '')}"
            failure = failure or CheckFailure(Handling.REJECTED, stage, said)
        elif "seen" in event:
            seen[str(event["seen"])] = event.get("value")
        elif "stage" in event:
            stages.append(stage)
        done = done or event.get("done") is True
    if failure is None and not done:
        failure = _ended(stages[-1] if stages else "import", ended)
    return CheckRun(kind, tuple(stages), asked, seen, failure, output)


def _events(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            yield found


def _names(value: object) -> Iterator[str]:
    if isinstance(value, list):
        yield from (one for one in value if isinstance(one, str))


def _ended(stage: str, ended: Mapping[str, Any]) -> CheckFailure:
    if ended.get("hung"):
        return CheckFailure(Handling.HUNG, stage, "it did not come to an end before the deadline")
    number = ended.get("signal")
    if isinstance(number, int):
        known = number in {one.value for one in signal.Signals}
        name = signal.Signals(number).name if known else f"signal {number}"
        return CheckFailure(Handling.CRASHED, stage, f"the process was ended by {name}")
    return CheckFailure(
        Handling.CRASHED, stage, f"the process ended with code {ended.get('exit')}"
    )


CHILD = Path(__file__).with_name("child")

START_SECONDS = 180.0
"""How long the child may take to import the vendors' code."""
GRACE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """One check: what its environment has on top, the server's options, and its stages.

    ``deadline`` is in seconds, after which it counts as hung.
    """

    env: tuple[tuple[str, str], ...]
    argv: tuple[str, ...]
    stages: tuple[str, ...]
    deadline: float = 60.0


class Zygote:
    """A child that has imported the heavy libraries and forks for each check.

    ``scratch`` is its folder, which ends with it.
    """

    def __init__(self, python: Path, kind: str, env: Mapping[str, str], parallel: int = 2) -> None:
        self.kind = kind
        self.versions: dict[str, str] = {}
        self._parallel = parallel
        self._folder = tempfile.TemporaryDirectory(prefix="trimtab-oracle-")
        self.scratch = Path(self._folder.name)
        self._errors = (self.scratch / "errors").open("w+", encoding="utf-8")
        self._process = subprocess.Popen(
            [str(python), "-m", "oracle_child", kind],
            env={**env, "HOME": str(self.scratch)},
            cwd=self.scratch,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self._answers: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._number = 0

    def run(self, checks: Sequence[CheckRequest]) -> list[CheckRun]:
        """Run checks, some at a time, each in a process of its own; return what each showed.

        Raises:
            EngineError: the child program could not start, or ended.
        """
        self._ready()
        results: dict[int, CheckRun] = {}
        first = self._number
        waiting = list(enumerate(checks, first))
        self._number += len(checks)
        running: dict[int, CheckRequest] = {}
        while waiting or running:
            while waiting and len(running) < self._parallel:
                number, check = waiting.pop(0)
                running[number] = check
                self._send(number, check)
            longest = max(check.deadline for check in running.values())
            ended = self._next(longest + GRACE_SECONDS)
            number = ended["id"]
            del running[number]
            results[number] = self._result(number, ended)
        return [results[number] for number in range(first, first + len(checks))]

    def close(self) -> None:
        """End the child; what it still runs ends with it."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                stream.close()
        self._reader.join()
        self._folder.cleanup()

    def _read(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        try:
            for line in stream:
                self._answers.put(json.loads(line))
        except ValueError:  # closed, or no JSON: nothing more can be understood
            pass
        self._answers.put(None)

    def _ready(self) -> None:
        if self.versions:
            return
        found = self._next(START_SECONDS)
        if "failed" in found:
            raise EngineError(
                f"the oracle's environment does not import {self.kind}: {found['failed']}"
            )
        self.versions = dict(found["ready"])

    def _next(self, seconds: float) -> dict[str, Any]:
        try:
            found = self._answers.get(timeout=seconds)
        except queue.Empty:
            raise EngineError(
                f"the oracle's child program for {self.kind} gave no answer in {seconds:.0f} s"
            ) from None
        if found is None:
            raise EngineError(
                f"the oracle's child program for {self.kind} ended by itself: {self._last_error()}"
            )
        return found

    def _last_error(self) -> str:
        text = (self.scratch / "errors").read_text(encoding="utf-8", errors="replace")
        lines = text.strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def _send(self, number: int, check: CheckRequest) -> None:
        folder = self.scratch / str(number)
        folder.mkdir()
        request = {
            "id": number,
            "env": dict(check.env),
            "argv": list(check.argv),
            "stages": list(check.stages),
            "folder": str(folder),
            "deadline": check.deadline,
        }
        stream = self._process.stdin
        assert stream is not None
        try:
            stream.write(json.dumps(request) + "\n")
            stream.flush()
        except OSError as error:
            raise EngineError(
                f"the oracle's child program for {self.kind} has ended: {self._last_error()}"
            ) from error

    def _result(self, number: int, ended: Mapping[str, Any]) -> CheckRun:
        folder = self.scratch / str(number)
        events, output = (
            path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
            for path in (folder / "events", folder / "output")
        )
        return check_run(self.kind, events, output, ended)


_STAGES = {
    TORCH_NPU: ("import", "device", "operator", "streams", "copies", "collective"),
    VLLM_ASCEND: ("configuration", "variables", "device", "operator"),
}

_TOLD_BY_GRAPH = "TASK_QUEUE_ENABLE"
"""Only the capture of a graph tells its level 2 from 1."""

DEADLINE = 60.0
"""Seconds after which a check counts as hung. One takes less than a second."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What is given to every check, and whether the capture of a graph counts."""

    switches: OracleSettings = ()
    graph: bool = False


class CheckRuns:
    """The vendors' software in an environment, and what its checks have shown so far.

    ``through`` are the kinds of checks to make, all that are installed by default. ``fresh``: a
    new child for every check, to show that forking changes no answer.
    """

    def __init__(
        self,
        python: Path,
        machine: EmulatedMachine,
        *,
        through: Sequence[str] = (),
        fresh: bool = False,
        deadline: float = DEADLINE,
    ) -> None:
        self.machine = machine
        self.kinds = tuple(one for one in vendor.kinds(python) if not through or one in through)
        if not self.kinds:
            raise EngineError(
                f"{python} must have {' and '.join(through) or TORCH_NPU} installed, but has "
                "not: run 'trimtab engine install ascend-emulator'"
            )
        self._python = python
        self._env = vendor.environment(python, machine)
        self._fresh = fresh
        self._deadline = deadline
        self._zygotes: dict[str, Zygote] = {}
        self._runs: dict[tuple[str, CheckRequest], CheckRun] = {}
        self.versions: dict[str, str] = {}

    def close(self) -> None:
        """End the children."""
        for one in self._zygotes.values():
            one.close()
        self._zygotes.clear()

    def prepare(self, kinds: Iterable[str]) -> None:
        """Start children that are not there yet, all at once: they import side by side."""
        for kind in kinds:
            if kind not in self._zygotes and not self._fresh:
                self._zygotes[kind] = Zygote(self._python, kind, self._env)

    def pairs(
        self, kind: str, sets: Sequence[OracleSettings], setup: Setup
    ) -> list[tuple[CheckRun, CheckRun]]:
        """Return for each set of settings what its check showed: (without them, with them)."""
        wanted = []
        for givens in sets:
            graph = setup.graph or any(one.name == _TOLD_BY_GRAPH for one in givens)
            wanted.append(
                (
                    self._check(kind, (), setup, graph=graph),
                    self._check(kind, givens, setup, graph=graph),
                )
            )
        self._fill(kind, [check for pair in wanted for check in pair])
        return [(self._runs[kind, base], self._runs[kind, check]) for base, check in wanted]

    def pair(self, kind: str, givens: OracleSettings, setup: Setup) -> tuple[CheckRun, CheckRun]:
        """Return what the check of a set of settings showed: (without them, with them)."""
        return self.pairs(kind, [givens], setup)[0]

    def _fill(self, kind: str, checks: Sequence[CheckRequest]) -> None:
        missing = list(dict.fromkeys(one for one in checks if (kind, one) not in self._runs))
        if missing:
            for check, run in zip(missing, self._run(kind, missing), strict=True):
                self._runs[kind, check] = run

    def _run(self, kind: str, checks: Sequence[CheckRequest]) -> list[CheckRun]:
        if not self._fresh:
            self.prepare([kind])
            found = self._zygotes[kind].run(checks)
            self.versions.update(self._zygotes[kind].versions)
            return found
        found = []
        for check in checks:
            with closing(Zygote(self._python, kind, self._env)) as zygote:
                found += zygote.run([check])
                self.versions.update(zygote.versions)
        return found

    def _check(
        self, kind: str, givens: OracleSettings, setup: Setup, *, graph: bool
    ) -> CheckRequest:
        env = tuple((one.name, one.text) for one in givens if not one.is_option)
        words = tuple(
            word
            for one in (*setup.switches, *givens)
            if one.is_option
            for word in ([one.name, one.text] if one.text else [one.name])
        )
        stages = _STAGES[kind]
        if kind == TORCH_NPU:
            return CheckRequest(env, (), (*stages, "graph") if graph else stages, self._deadline)
        sleeps = any(one.name == SLEEP for one in setup.switches)
        return CheckRequest(env, words, (*stages, "sleep") if sleeps else stages, self._deadline)
