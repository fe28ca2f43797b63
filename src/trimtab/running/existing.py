"""A server that runs already, against a profile or preset: what ``--verify-only`` looks at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from trimtab.engines import Observer
from trimtab.errors import UsageError
from trimtab.model import Evidence
from trimtab.processes import procfs
from trimtab.running.wanted import Wanted
from trimtab.server.attached import LiveServer, described
from trimtab.verification.checks import verify


def evidence_of(
    wanted: Wanted, pid: int | None, log: Path | None, say: Callable[[str], None]
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


def only_server(observer: Observer) -> int:
    """Return the process id of the one server of an engine on this machine.

    Raises:
        UsageError: there is none, or more than one.
    """
    living = [stat for stat in procfs.snapshot().values() if stat.alive]
    found = [one.pid for one in described(living, observer) if one.role == "api"]
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError("--verify-only needs a running server, but there is none: name its --pid")
    told = ", ".join(str(pid) for pid in sorted(found))
    raise UsageError(f"--verify-only needs one server, but {told} run: name one with --pid")
