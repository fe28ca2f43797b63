"""A server that somebody else started, seen from outside: what verification needs of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import psutil

from trimtab import proctree
from trimtab.engines import Engine
from trimtab.errors import UsageError
from trimtab.model import Process, Value

_LOG_LIMIT = 4_000_000
"""Bytes of a log that are read: the effective configuration stands near its beginning."""


class LiveServer:
    """The process tree under one process id, with the configuration it reports.

    ``log`` is where the engine writes its log; when ``None``, the file that its standard output
    or error goes to is taken, if it is one. ``url`` is found from the listening socket.

    Raises:
        UsageError: no such process.
    """

    def __init__(self, pid: int, engine: Engine, log: Path | None = None) -> None:
        if proctree.read(pid) is None:
            raise UsageError(f"--pid must name a running process, but there is none with id {pid}")
        self.pid = pid
        self._engine = engine
        self.log = log or _output_file(pid)
        self.url = self._find_url()

    def processes(self) -> tuple[Process, ...]:
        """Return the tree with the engine's roles, the named process first."""
        everything = proctree.snapshot()
        root = everything.get(self.pid)
        tree = [*([root] if root else []), *proctree.below(self.pid, everything)]
        bare = [
            Process(stat.pid, stat.ppid, "", stat.comm, proctree.cmdline(stat.pid))
            for stat in tree
            if stat.alive
        ]
        roles = self._engine.roles(bare)
        return tuple(
            Process(one.pid, one.ppid, roles.get(one.pid, "helper"), one.comm, one.cmdline)
            for one in bare
        )

    def reported_config(self) -> Mapping[str, Value]:
        """Return the configuration in effect, as far as the server or its log reports it."""
        return self._engine.reported_config(self.url or "", self._log_text())

    def _log_text(self) -> str:
        if self.log is None:
            return ""
        try:
            with self.log.open(encoding="utf-8", errors="replace") as lines:
                return lines.read(_LOG_LIMIT)
        except OSError as error:
            raise UsageError(f"the log {self.log} cannot be read: {error.strerror}") from error

    def _find_url(self) -> str | None:
        for process in self.processes():
            try:
                sockets = psutil.Process(process.pid).net_connections("tcp")
            except psutil.Error:
                continue
            ports = [one.laddr.port for one in sockets if one.status == psutil.CONN_LISTEN]
            if ports:
                return f"http://127.0.0.1:{min(ports)}"
        return None


def _output_file(pid: int) -> Path | None:
    for descriptor in (1, 2):
        try:
            target = (proctree.PROC / str(pid) / "fd" / str(descriptor)).readlink()
        except OSError:
            continue
        if target.is_file():
            return target
    return None
