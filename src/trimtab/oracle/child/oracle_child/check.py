"""One check, in a process of its own: stages, each announced before it runs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

from . import binding, plugin, seen, stages
from .asked import Asked

Stage = Callable[["Check"], None]

STAGES: dict[str, Stage] = {**stages.STAGES, **plugin.STAGES, **binding.STAGES}


class Check:
    """What the stages of one check share: the request, and what they leave for later ones."""

    def __init__(self, request: dict[str, Any], events: int) -> None:
        self.argv: list[str] = request["argv"]
        self.env: dict[str, str] = request["env"]
        self.left: dict[str, Any] = {}
        self._events = events

    def tell(self, **event: Any) -> None:
        """Write an event at once: the next stage may end the process."""
        os.write(self._events, (json.dumps(event, default=str) + "\n").encode())


def run(request: dict[str, Any]) -> None:
    """Run the stages of a request, and then look at what came of it."""
    folder = request["folder"]
    output = os.open(f"{folder}/output", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for number in (1, 2):
        os.dup2(output, number)
    events = os.open(f"{folder}/events", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.environ.update(request["env"])
    asked = Asked()
    check = Check(request, events)
    whole, failed = True, False
    for name in request["stages"]:
        check.tell(stage=name)
        try:
            STAGES[name](check)
        except (Exception, SystemExit) as error:  # noqa: BLE001  the vendor's refusal is the answer
            check.tell(stage=name, error=type(error).__name__, message=str(error))
            whole = name == "graph"  # a refused capture leaves the device as it was
            failed = True
        check.tell(stage=name, asked=asked.news())
        if failed:
            break
    check.tell(stage="look")
    for name, look in seen.LOOKS.items():
        _look(check, name, look, whole=whole)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    check.tell(done=True)


def _look(check: Check, name: str, look: seen.Look, *, whole: bool) -> None:
    if look.needs_device and not (whole and "device" in check.left):
        return
    try:
        check.tell(seen=name, value=look.read(check.left))
    except Exception as error:  # noqa: BLE001  what cannot be read stays unread, with the reason
        check.tell(unseen=name, why=f"{type(error).__name__}: {error}")
