"""Reads requests from standard input, forks for each, and says on standard output how each ended.

A request is a line of JSON: ``id``, ``env`` (what the check's environment has on top), ``stages``,
``argv`` (the server's options), ``folder`` (where the check writes its events and its output) and
``deadline`` (seconds). The answer: ``id`` and one of ``exit`` (a code), ``signal`` (a number) or
``hung``.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import sys
import time
from dataclasses import dataclass
from typing import Any

from . import check, prepare

_PR_SET_PDEATHSIG = 1
_TICK = 0.01

_ANSWERS = os.dup(1)
os.dup2(2, 1)  # what libraries print must not be taken for an answer


@dataclass
class Running:
    """A check that runs: its id and the instant (monotonic seconds) after which it is hung."""

    id: int
    until: float
    hung: bool = False


def end_with_parent() -> None:
    """Ask the kernel to kill this process when its parent ends, for whatever reason."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def say(message: dict[str, Any]) -> None:
    """Write one line of JSON to whoever asked."""
    os.write(_ANSWERS, (json.dumps(message) + "\n").encode())


def start(request: dict[str, Any]) -> tuple[int, Running]:
    """Fork for a request; return the child's process id and what is known of it."""
    running = Running(request["id"], time.monotonic() + request["deadline"])
    pid = os.fork()
    if pid == 0:
        os.setsid()
        end_with_parent()
        check.run(request)
        os._exit(0)
    return pid, running


def reap(children: dict[int, Running]) -> None:
    """Report the children that ended; kill those that are over their deadline."""
    now = time.monotonic()
    for pid, running in list(children.items()):
        if now > running.until and not running.hung:
            running.hung = True
            os.kill(pid, signal.SIGKILL)  # its group may not be there yet
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended == 0:
            continue
        del children[pid]
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)  # whatever it started
        if running.hung:
            say({"id": running.id, "hung": True})
        elif os.WIFSIGNALED(status):
            say({"id": running.id, "signal": os.WTERMSIG(status)})
        else:
            say({"id": running.id, "exit": os.WEXITSTATUS(status)})


def serve() -> None:
    """Answer requests until standard input ends, and all children have."""
    children: dict[int, Running] = {}
    pending = b""
    is_open = True
    while is_open or children:
        reap(children)
        if not is_open:
            time.sleep(_TICK)
            continue
        if not select.select([0], [], [], _TICK)[0]:
            continue
        found = os.read(0, 1 << 16)
        is_open = bool(found)
        *lines, pending = (pending + found).split(b"\n")
        for line in lines:
            pid, running = start(json.loads(line))
            children[pid] = running


def main() -> None:
    """Import what is heavy, say that it is done, and serve."""
    end_with_parent()
    try:
        versions = prepare.prepare(sys.argv[1])
    except Exception as error:  # noqa: BLE001  whatever the vendors' import raises is the answer
        say({"failed": f"{type(error).__name__}: {error}"})
        return
    say({"ready": versions})
    serve()


if __name__ == "__main__":
    main()
