"""A server that somebody else started, seen from outside: what verification needs of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from trimtab.engines import Observer, family_observers
from trimtab.errors import UsageError
from trimtab.model import Process, Value
from trimtab.processes import procfs
from trimtab.server import listeners

LOG_LIMIT = 4_000_000
"""Bytes of a log that are read at its beginning, where a fresh log tells the configuration, and
again at its end, where one that is appended to tells the latest start's."""

LINE_LIMIT = 100_000
"""Bytes of a line that are read. vLLM's longest, its configuration, has some 10,000."""


class LiveServer:
    """The process tree under one process id, with the configuration it reports.

    ``log`` is where the engine writes its log; when ``None``, the file that its standard output
    or error goes to is taken, if it is one. Only what processes of this tree wrote there counts:
    the file may hold earlier starts. ``url`` is found from the listening socket; ``unread`` says
    what of its configuration could not be asked or read, and why.

    Raises:
        UsageError: no such process.
    """

    def __init__(self, pid: int, engine: Observer, log: Path | None = None) -> None:
        if procfs.read(pid) is None:
            raise UsageError(f"--pid must name a running process, but there is none with id {pid}")
        self.pid = pid
        self._engine = engine
        self.log = log or _output_file(pid)
        self.unread: tuple[str, ...] = ()
        self.url = self._find_url()
        if self.log is None:
            self.unread += (
                "no log was read, because the server's output goes to no file: name it with --log",
            )

    def processes(self) -> tuple[Process, ...]:
        """Return the tree with the engine's roles, the named process first."""
        everything = procfs.snapshot()
        root = everything.get(self.pid)
        tree = [*([root] if root else []), *procfs.descendants(self.pid, everything)]
        return assign_roles((stat for stat in tree if stat.alive), self._engine)

    def reported_config(self) -> Mapping[str, Value]:
        """Return the configuration in effect, as far as the server or its log reports it."""
        pids = _own_ids(process.pid for process in self.processes())
        return self._engine.reported_config(self.url or "", self._log_text(), pids=pids)

    def _log_text(self) -> str:
        if self.log is None:
            return ""
        try:
            return read_ends(self.log)
        except OSError as error:
            raise UsageError(f"the log {self.log} cannot be read: {error.strerror}") from error

    def _find_url(self) -> str | None:
        """Return where it answers; where it only listens, if it does not answer."""
        tree = self.processes()
        argv = [word for process in tree for word in process.cmdline]
        candidates = listeners.urls((process.pid for process in tree), argv)
        if (found := listeners.serving_url(candidates)) is not None:
            return found
        where = next(iter(candidates), None)
        if listeners.is_headless(argv):
            why = "a server with --headless has no API"
        elif where is None:
            why = "no address was found at which the server listens"
        else:
            why = f"{where} does not answer"
        self.unread = (f"the server was not asked for its configuration, because {why}",)
        return where


def observer_of(pid: int) -> Observer:
    """Return what observes the server under a process id, by the roles that its tree shows.

    Where no family knows the tree, that of the first one is returned.
    """
    everything = procfs.snapshot()
    root = everything.get(pid)
    tree = [*([root] if root else []), *procfs.descendants(pid, everything)]
    living = [stat for stat in tree if stat.alive]
    observers = family_observers()
    for observer in observers:
        if any(one.role != "helper" for one in assign_roles(living, observer)):
            return observer
    return observers[0]


def assign_roles(tree: Iterable[procfs.Stat], engine: Observer) -> tuple[Process, ...]:
    """Return living processes with the roles that the engine gives them, in the same order."""
    bare = [Process(stat.pid, stat.ppid, "", stat.comm, procfs.cmdline(stat.pid)) for stat in tree]
    roles = engine.roles(bare)
    return tuple(replace(process, role=roles.get(process.pid, "helper")) for process in bare)


def read_ends(path: Path, limit: int = LOG_LIMIT) -> str:
    """Return a file's text; of a long one whole lines of the first and last ``limit`` bytes.

    A line is cut after :data:`LINE_LIMIT` bytes: what reads a log by patterns would take minutes
    over one of megabytes.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(limit)
        size = file.seek(0, 2)
        begin = max(len(head), size - limit)
        file.seek(begin)
        tail = file.read(limit)
    if begin > len(head):  # something is left out between them: drop the lines it cuts
        head = head[: head.rfind(b"\n") + 1]
        tail = tail[tail.find(b"\n") + 1 :]
    lines = (head + tail).split(b"\n")
    return b"\n".join(line[:LINE_LIMIT] for line in lines).decode(errors="replace")


def _own_ids(pids: Iterable[int]) -> frozenset[int]:
    """Return the ids that these processes may call themselves by in a log.

    Inside a container a process has another id: "NSpid" of its status lists them all (proc(5)).
    """
    found: set[int] = set()
    for pid in pids:
        found.add(pid)
        try:
            status = (procfs.PROC / str(pid) / "status").read_text(errors="replace")
        except OSError:
            continue
        for line in status.splitlines():
            if line.startswith("NSpid:"):
                found.update(int(word) for word in line.split()[1:])
    return frozenset(found)


def _output_file(pid: int) -> Path | None:
    for descriptor in (1, 2):
        try:
            target = (procfs.PROC / str(pid) / "fd" / str(descriptor)).readlink()
        except OSError:
            continue
        if target.is_file():
            return target
    return None
