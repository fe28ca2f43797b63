"""Beside the running server: wait until it serves, verify it, tell the evidence."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

from trimtab.errors import TrimtabError
from trimtab.model import Evidence
from trimtab.running import told
from trimtab.running.notify import Notifier
from trimtab.running.view import View
from trimtab.running.wanted import Wanted
from trimtab.verification.checks import refuted, verify

POLL = 0.5
"""Seconds between looks at a server that is starting."""

_EXTENSION = 60.0
"""Seconds that a service manager is asked for, at each look."""


@dataclass(frozen=True, slots=True)
class Telling:
    """Where the evidence goes: lines for people, a file for scripts, the service manager."""

    say: Callable[[str], None]
    file: TextIO | None
    notifier: Notifier
    strict: bool = False


class Verification(threading.Thread):
    """Waits, verifies and tells, in a thread of its own: signals are passed on meanwhile.

    ``stopping`` says that there is nothing to wait for any more. ``refuse`` is called when the
    plan is not in effect and that is reason to end (``strict``); ``refused`` then says why.
    ``remember`` is called now and then while the tree grows, ``done`` at the end.
    """

    def __init__(
        self,
        wanted: Wanted,
        view: View,
        telling: Telling,
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
        """Do it all; whatever goes wrong is told, and the server serves on."""
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
        tell(wanted, evidence, self._telling)
        if refuted(evidence):
            self._object("")
        if not self.refused:
            self._telling.notifier.ready(told.verdict(wanted.name, wanted.plan, evidence))

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


def tell(wanted: Wanted, evidence: tuple[Evidence, ...], telling: Telling) -> None:
    """Print the evidence and its sum, and write it for scripts."""
    for line in told.evidence_lines(evidence):
        telling.say(line)
    mark = "WARNING: " if refuted(evidence) else ""
    telling.say(mark + told.verdict(wanted.name, wanted.plan, evidence))
    if telling.file is None:
        return
    data = told.as_data(wanted.name, wanted.plan, wanted.differences, evidence)
    try:
        with telling.file:
            telling.file.write(json.dumps(data, indent=1) + "\n")
    except OSError as error:
        telling.say(f"WARNING: the evidence cannot be written for scripts: {error.strerror}")
