"""From what a check left behind to a `Run`. Pure and total: a check can end in mid-line."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Mapping
from typing import Any

from trimtab.oracle.model import Failure, Run, Verdict


def run_of(kind: str, events: str, output: str, ended: Mapping[str, Any]) -> Run:
    """Return what a check showed.

    ``events`` are the child's lines; ``ended`` says how it ended: ``exit``, ``signal`` or
    ``hung``. A stage that was announced and not closed is the one in which it ended.
    """
    stages: list[str] = []
    asked: dict[str, str] = {}
    seen: dict[str, Any] = {}
    failure: Failure | None = None
    done = False
    for event in _events(events):
        stage = str(event.get("stage", stages[-1] if stages else ""))
        if "asked" in event:
            for name in _names(event["asked"]):
                asked.setdefault(name, stage)
        elif "error" in event:
            said = f"{event['error']}: {event.get('message', '')}"
            failure = failure or Failure(Verdict.REJECTED, stage, said)
        elif "seen" in event:
            seen[str(event["seen"])] = event.get("value")
        elif "stage" in event:
            stages.append(stage)
        done = done or event.get("done") is True
    if failure is None and not done:
        failure = _ended(stages[-1] if stages else "import", ended)
    return Run(kind, tuple(stages), asked, seen, failure, output)


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


def _ended(stage: str, ended: Mapping[str, Any]) -> Failure:
    if ended.get("hung"):
        return Failure(Verdict.HUNG, stage, "it did not come to an end before the deadline")
    number = ended.get("signal")
    if isinstance(number, int):
        known = number in {one.value for one in signal.Signals}
        name = signal.Signals(number).name if known else f"signal {number}"
        return Failure(Verdict.CRASHED, stage, f"the process was ended by {name}")
    return Failure(Verdict.CRASHED, stage, f"the process ended with code {ended.get('exit')}")
