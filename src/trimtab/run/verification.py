"""Beside the running server: wait until it serves, verify it, tell the evidence.

A server that runs already, against a profile or preset: what ``--verify-only`` looks at.

A server under ``trimtab run``, seen from outside: does it serve, and what does it report.

A follower of several hosts (``--headless``): it has engines, and no API that could be asked.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from trimtab.engines import Observer
from trimtab.errors import TrimtabError, UsageError
from trimtab.model import Evidence, Process, Value
from trimtab.processes import procfs
from trimtab.processes.supervised_process import SupervisedProcess
from trimtab.run import comparability
from trimtab.run.target import RunTarget
from trimtab.server import listeners
from trimtab.server.live_server import LiveServer, assign_roles
from trimtab.verification import refutations, verify

VARIABLE = "NOTIFY_SOCKET"


class Notifier:
    """Tells the service manager, if there is one that wants to know.

    The variable is taken out of our environment: the server must not speak for the service.
    """

    def __init__(self) -> None:
        self._address = os.environ.pop(VARIABLE, "")

    def tell(self, **state: str) -> None:
        """Send ``NAME=value`` lines; trouble is no reason to stop serving."""
        if not self._address:
            return
        lines = "\n".join(f"{name}={value}" for name, value in state.items())
        where = f"\0{self._address[1:]}" if self._address[0] == "@" else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.sendto(lines.encode(), where)

    def starting(self, seconds: float) -> None:
        """Ask for that much more time to start."""
        self.tell(EXTEND_TIMEOUT_USEC=str(int(seconds * 1e6)), STATUS="starting")

    def ready(self, status: str) -> None:
        """Say that the server serves, with one line about it."""
        self.tell(READY="1", STATUS=status)

    def stopping(self) -> None:
        """Say that the server was told to stop."""
        self.tell(STOPPING="1", STATUS="stopping")


def evidence_of(
    wanted: RunTarget, pid: int | None, log: Path | None, say: Callable[[str], None]
) -> tuple[Evidence, ...]:
    """Observe every check of a plan in the server under ``pid``, or in the only one here.

    ``say`` is told what could not be asked.

    Raises:
        UsageError: there is no such process, or not exactly one server to choose.
    """
    server = LiveServer(only_server(wanted.observer) if pid is None else pid, wanted.observer, log)
    for sentence in server.unread if wanted.plan.checks else ():
        say(sentence)
    return verify(wanted.plan, server, wanted.host)


def only_server(*observers: Observer) -> int:
    """Return the process id of the one server on this machine that one of ``observers`` knows.

    Raises:
        UsageError: there is none, or more than one.
    """
    living = [stat for stat in procfs.snapshot().values() if stat.alive]
    trees = (assign_roles(living, observer) for observer in observers)
    found = list({role.pid: None for tree in trees for role in tree if role.role == "api"})
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError("--verify-only needs a running server, but there is none: name its --pid")
    told = ", ".join(str(pid) for pid in sorted(found))
    raise UsageError(f"--verify-only needs one server, but {told} run: name one with --pid")


ROLES = ("engine", "worker")
_INITIALIZED = "init engine ("
"""What the log of an engine says once its model is loaded (vLLM 0.32 v1/engine/core.py)."""

STEADY = 20
"""Looks in a row at which the same processes stand: the workers of a follower log no end."""


def is_follower(argv: Sequence[str]) -> bool:
    """Whether a command, or the ``--config`` file in it, starts engines without an API."""
    return listeners.is_headless(argv)


@dataclass(slots=True)
class FollowerState:
    """Whether the engines of a follower stand, look by look."""

    seen: frozenset[int] = frozenset()
    looks: int = 0

    def look(self, tree: Sequence[Process], log: str) -> bool:
        """Return whether the engines are ready: each logs it, or no process changes any more."""
        found = frozenset(process.pid for process in tree if process.role in ROLES)
        self.looks = self.looks + 1 if found == self.seen else 0
        self.seen = found
        engines = sum(process.role == "engine" for process in tree)
        initialized = log.count(_INITIALIZED) >= engines > 0
        return bool(found) and (initialized or self.looks >= STEADY)


class RunServerView:
    """What readiness and verification need of the server (`verify.ServerView`).

    ``text`` returns the server's output so far, ``key`` is its API key. ``url`` is "" until it is
    known to serve, and stays so for a ``follower``.
    """

    def __init__(
        self,
        kept: SupervisedProcess,
        observer: Observer,
        argv: Sequence[str],
        text: Callable[[], str],
        key: str | None,
    ) -> None:
        self.url = ""
        self.follower = is_follower(argv)
        self._standing = FollowerState()
        self._kept = kept
        self._observer = observer
        self._argv = argv
        self._text = text
        self._key = key

    def processes(self) -> tuple[Process, ...]:
        """Return the living tree with roles, parents first."""
        return assign_roles(self._kept.tree(), self._observer)

    def reported_config(self) -> Mapping[str, Value]:
        """Return the configuration in effect, as far as server or output reports it."""
        return self._observer.reported_config(self.url, self._text(), key=self._key)

    def ready(self) -> bool:
        """Whether it serves: it answers ``GET /health`` without a server error.

        A follower answers nothing: it serves once its engines stand.
        """
        if self.follower:
            return self._standing.look(self.processes(), self._text())
        pids = (stat.pid for stat in self._kept.tree())
        found = listeners.serving_url(listeners.urls(pids, self._argv))
        self.url = found or self.url
        return found is not None


POLL = 0.5
"""Seconds between looks at a server that is starting."""

_EXTENSION = 60.0
"""Seconds that a service manager is asked for, at each look."""


@dataclass(frozen=True, slots=True)
class EvidenceSink:
    """Where the evidence goes: lines for people, a file for scripts, the service manager."""

    say: Callable[[str], None]
    file: TextIO | None
    notifier: Notifier
    strict: bool = False


class Verification(threading.Thread):
    """Waits for the server, verifies it and reports, in a thread of its own.

    The main thread passes signals on meanwhile. ``stopping`` returns whether waiting is
    pointless. ``refuse`` is called if the plan is not in effect and the sink is strict;
    ``refused`` then holds the reason. ``remember`` is called repeatedly while the tree grows,
    ``done`` at the end.
    """

    def __init__(
        self,
        wanted: RunTarget,
        view: RunServerView,
        telling: EvidenceSink,
        deadline: float,
        *,
        stopping: Callable[[], bool],
        refuse: Callable[[], None],
        remember: Callable[[], None],
        done: Callable[[], None],
    ) -> None:
        super().__init__(daemon=True)
        self.refused = ""
        self.ready = False
        self._wanted, self._view, self._telling = wanted, view, telling
        self._deadline = deadline
        self._stopping, self._refuse = stopping, refuse
        self._remember, self._done = remember, done

    def run(self) -> None:
        """Wait, verify and report. Errors are reported, and the server serves on."""
        try:
            self._verify()
        except (TrimtabError, OSError, ValueError) as error:
            self._object(f"the server could not be verified: {' '.join(str(error).split())}")
        finally:
            self._done()

    def _verify(self) -> None:
        if self._view.follower:
            self._telling.say(
                "--headless has no API: it is ready once its engines stand, and its configuration "
                "is what its log says"
            )
        if not self._wait():
            return
        self.ready = True
        wanted, say = self._wanted, self._telling.say
        say(f"ready{f' at {self._view.url}' if self._view.url else ''}: verifying")
        evidence = verify(wanted.plan, self._view, wanted.host)
        if self._stopping():
            return  # what a dying tree does not show refutes nothing
        report_evidence(wanted, evidence, self._telling)
        if refutations(evidence):
            self._object("")
        if not self.refused:
            self._telling.notifier.ready(comparability.verdict(wanted.name, wanted.plan, evidence))

    def _wait(self) -> bool:
        until = time.monotonic() + self._deadline
        while not self._stopping():
            if self._view.ready():
                return not self._stopping()
            if time.monotonic() > until:
                self._object(f"the server is not ready after {self._deadline:.0f} s: not verified")
                return False
            self._remember()
            self._telling.notifier.starting(_EXTENSION)
            time.sleep(POLL)
        return False

    def _object(self, sentence: str) -> None:
        if sentence:
            self._telling.say(f"WARNING: {sentence}")
        if self._telling.strict:
            self.refused = sentence or "the profile is not in effect"
            self._telling.say("--strict: the server is ended")
            self._refuse()
        else:
            self._telling.say("WARNING: it goes on serving (--strict would end it)")


def report_evidence(
    wanted: RunTarget, evidence: tuple[Evidence, ...], telling: EvidenceSink
) -> None:
    """Print the evidence and its sum, and write it for scripts."""
    for line in comparability.evidence_lines(evidence):
        telling.say(line)
    mark = "WARNING: " if refutations(evidence) else ""
    telling.say(mark + comparability.verdict(wanted.name, wanted.plan, evidence))
    if telling.file is None:
        return
    data = comparability.as_data(wanted.name, wanted.plan, wanted.differences, evidence)
    try:
        with telling.file:
            telling.file.write(json.dumps(data, indent=1) + "\n")
    except OSError as error:
        telling.say(f"WARNING: the evidence cannot be written for scripts: {error.strerror}")
