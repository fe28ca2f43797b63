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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trimtab.errors import EngineError
from trimtab.oracle.model import CheckFailure, CheckRun, Handling


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
        known = number in {Signal.value for Signal in signal.Signals}
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
