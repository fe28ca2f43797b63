"""The only spawner and killer of servers: launch, readiness, log, end of the tree.

A folder for what servers compile, which no start that was cut short leaves half written.

A linker that is killed leaves a truncated library at its final path, and every later start that
loads it fails ("file too short"). So a study has a folder of its own, never the user's, and a mark
in it from launch to readiness: whoever finds the mark finds leftovers, and begins anew.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psutil

from trimtab.engines import Engine
from trimtab.errors import ClientLimitError, EngineError, StartFailedError
from trimtab.http_client import loopback
from trimtab.knobs.protocol import PRELOAD, preload_libraries
from trimtab.model import Plan, Process, Settings, Value
from trimtab.processes import procfs
from trimtab.processes.recovery import reap_leftovers
from trimtab.processes.supervised_process import GRACE, SupervisedProcess
from trimtab.redaction import mask_file, secret_values
from trimtab.server.live_server import assign_roles, read_ends
from trimtab.storage import atomic_files

__all__ = ["LOG", "Server", "child_environment", "launch", "reap_leftovers"]


LIMIT = 5
"""Lines that a reader is shown."""

_WIDTH = 300
_PREFIX = re.compile(
    r"^(?:\([^)]*\)\s*)?(?:(?:ERROR|WARNING|INFO|CRITICAL)\s+\d\d-\d\d [\d:]+ \[[^\]]*\]\s?)?"
)
_EXCEPTION = re.compile(r"^[A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt)\b(?::|$)")
_VALIDATION = re.compile(r"\d+ validation errors? for \w+$")  # pydantic's first line
_MARKED = re.compile(r"\b(?:ERROR|CRITICAL|FATAL)\b|\berror:|Error:|Killed|Segmentation fault")
_PORT_TAKEN = re.compile(r"Address already in use|\[Errno 98\]")


def is_port_taken(log: str) -> bool:
    """Whether the server found its port in use (EADDRINUSE is 98 on Linux)."""
    return _PORT_TAKEN.search(log) is not None


_COMPILED = re.compile(
    r"torch\.compile(?: and initial profiling/warmup run together)? took ([\d.]+) s in total"
)
_STAMPED = re.compile(
    r"\d\d-\d\d (\d\d):(\d\d):(\d\d) \[[^\]]*\] "
    r"(?:(Warming up model for the compilation)|.*?(saved AOT compiled function|Warming up done))"
)
_DAY = 86_400


def compile_seconds(log: str) -> float | None:
    """Return how long vLLM compiled while it started, ``None`` if the log does not tell.

    It says so itself where it compiles piecewise. On CPU two lines bracket it, whose times have a
    resolution of a second; a short warm-up after the compiler is part of it.
    """
    stated = [float(one) for one in _COMPILED.findall(log)]
    if stated:
        return sum(stated)
    begun: int | None = None
    for match in _STAMPED.finditer(log):
        hours, minutes, seconds, begins, _ = match.groups()
        now = int(hours) * 3600 + int(minutes) * 60 + int(seconds)
        if begins:
            begun = now
        elif begun is not None:
            return float((now - begun) % _DAY)
    return None


def last_line(log: str) -> str:
    """Return the last line that says something, without its prefix; "(nothing)" if none does."""
    for line in reversed(log.splitlines()):
        if text := _bare(line):
            return text
    return "(nothing)"


def relevant_lines(log: str, limit: int = LIMIT) -> list[str]:
    """Return at most ``limit`` lines: exceptions first, then marked errors, else the last ones.

    The order is the log's own; of equal lines the first is kept, so that the cause is not
    pushed out by what repeats it.
    """
    lines = [text for line in log.splitlines() if (text := _bare(line))]
    for chosen in (
        _exceptions(lines),
        [line for line, raw in _pairs(log) if _MARKED.search(raw)],
        lines,
    ):
        distinct = list(dict.fromkeys(chosen))
        if distinct:
            return distinct[-limit:]
    return []


def _exceptions(lines: list[str]) -> list[str]:
    """Return the lines that name an exception, each with what a validation error says below."""
    found = []
    for line, below in itertools.pairwise([*lines, ""]):
        if _EXCEPTION.match(line):
            found.append(_short(f"{line}: {below}") if _VALIDATION.search(line) else line)
    return found


def _pairs(log: str) -> list[tuple[str, str]]:
    return [(text, line) for line in log.splitlines() if (text := _bare(line))]


def _bare(line: str) -> str:
    """Drop vLLM's prefix ("(APIServer pid=1) ERROR 11-22 21:19:20 [async_llm.py:906] ")."""
    return _short(_PREFIX.sub("", line).strip())


def _short(text: str) -> str:
    return text if len(text) <= _WIDTH else text[: _WIDTH - 3] + "..."


_MARK: Final = ".starting"


def begin(folder: Path) -> None:
    """Make the folder, without anything in it if the last start never became ready."""
    if (folder / _MARK).exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MARK).touch()


def mark_complete(folder: Path) -> None:
    """Say that what lies in the folder is complete: the server is ready."""
    (folder / _MARK).unlink(missing_ok=True)


LOG = "engine.log"
"""Name of the engine's log in a start's folder."""

POLL = 0.25
"""Seconds between looks at a server that is starting."""

LOOKS_A_RECORD = 8
"""So many looks apart the growing tree is put on record."""

PORT_ATTEMPTS = 3
"""A free port is only free until somebody takes it: so often another one is tried."""

_WATCHED = ("api", "engine", "worker")


class Server:
    """A running server: what a load, a verifier and a report need of it.

    ``startup`` is the time from the launch to readiness in seconds. Made by :func:`launch`.
    """

    def __init__(self, kept: SupervisedProcess, engine: Engine, port: int, log: Path) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.log = log
        self.startup = 0.0
        self._kept = kept
        self._engine = engine
        self._config: Mapping[str, Value] | None = None
        self._whole: dict[tuple[int, int], str] = {}

    @property
    def pid(self) -> int:
        """Process id of the command itself."""
        return self._kept.pid

    def processes(self) -> tuple[Process, ...]:
        """Return the living tree with the engine's roles, parents first. Read anew each time."""
        return assign_roles(self._kept.tree(), self._engine)

    def cpu_seconds(self) -> float:
        """Return the CPU seconds the tree has used since its launch."""
        return self._kept.cpu_seconds()

    def reported_config(self) -> Mapping[str, Value]:
        """Return the configuration in effect, as far as the server or its log reports it."""
        if self._config is None:
            self._config = self._engine.reported_config(self.url, self.log_text())
        return self._config

    def log_text(self) -> str:
        """Return the engine's log so far: of a long one the beginning and the end."""
        return read_ends(self.log)

    def peak_memory(self) -> int | None:
        """Return the sum of the processes' peak resident memory in bytes; ``None`` if unknown."""
        return procfs.peak_memory(process.pid for process in self.processes())

    def alive(self) -> str | None:
        """Return ``None`` while the tree is whole, else one sentence that says what is gone."""
        if ended := self._kept.ended:
            return f"the server is gone: {ended}"
        for (pid, start), role in self._whole.items():
            stat = procfs.read(pid)
            if stat is None or not stat.alive or stat.identity != (pid, start):
                return f"the server's {role} process {pid} is gone"
        return None

    def owns_port(self) -> bool:
        """Whether a process of the tree listens on the port, and no stranger."""
        return any(_listens(stat.pid, self.port) for stat in self._kept.tree())

    def settle(self, startup: float) -> None:
        """Take the tree as it is now for whole; called once, at readiness."""
        self.startup = startup
        starts = {stat.pid: stat.start for stat in self._kept.tree()}
        self._whole = {
            (process.pid, starts[process.pid]): process.role
            for process in self.processes()
            if process.role in _WATCHED and process.pid in starts
        }
        self._kept.remember()


@contextmanager
def launch(
    plan: Plan,
    engine: Engine,
    folder: Path,
    *,
    deadline: float,
    stop: threading.Event | None = None,
    compiled: Path | None = None,
) -> Iterator[Server]:
    """Start ``plan``, yield the server once it is ready, and leave nothing of it behind.

    ``deadline`` is in seconds from now to readiness; a set ``stop`` ends the wait. The engine's
    log lies in ``folder``. What the engine compiles is kept in the folder ``compiled``, if one is
    given and the environment names no other (see `trimtab.server.launcher`). On any exit, normal
    or not, every process of the tree has ended, and its log holds no secret that the engine
    printed.

    Raises:
        StartFailedError: the server ended, or was not ready in time. The message is one line
            with the likely cause; the relevant lines of the log are the exception's notes.
        EngineError: a process of the server could not be ended.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stop = stop or threading.Event()
    begun = time.monotonic()
    environment = child_environment(plan.settings, os.environ)
    compiled = _use_cache(engine, environment, compiled)
    for attempt in range(1, PORT_ATTEMPTS + 1):
        launched = time.monotonic()
        port = _free_port()
        log = folder / LOG
        atomic_files.write(log, b"")
        argv = (*plan.settings.argv, *engine.listen(port))
        try:
            kept = SupervisedProcess(
                argv,
                environment,
                log,
                folder,
                affinity=plan.settings.affinity,
                grace=GRACE,
            )
        except EngineError as error:
            raise StartFailedError(str(error)) from error
        try:
            server = Server(kept, engine, port, log)
            if _ready(server, kept, engine, begun + deadline, stop):
                server.settle(time.monotonic() - launched)
                if compiled is not None:
                    mark_complete(compiled)
                yield server
                return
            taken = is_port_taken(server.log_text())
        finally:
            kept.stop()
            mask_file(log, secret_values(plan.settings, os.environ))
        if not taken or attempt == PORT_ATTEMPTS:
            raise _early_end(server, kept, engine, time.monotonic() - begun)


def _use_cache(engine: Engine, environment: dict[str, str], folder: Path | None) -> Path | None:
    """Point the environment at the compile cache in ``folder``; return ``None`` if it has its own.

    An engine without such a cache gets none either.
    """
    if folder is None:
        return None
    cache = engine.cache_environment(folder.absolute())
    if not cache or not cache.keys().isdisjoint(environment):
        return None
    environment |= cache
    begin(folder)
    return folder


def child_environment(settings: Settings, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the whole environment of a launch: ``inherited``, changed by ``settings``.

    An inherited LD_PRELOAD never reaches it beside the settings': a plan has taken in what it
    keeps of it, and what it has removed must not come back. PYTHONDONTWRITEBYTECODE never reaches
    an engine either: its first start would compile every module again, each time.
    """
    gone = {*settings.unset, PRELOAD, "PYTHONDONTWRITEBYTECODE"}
    env = {name: value for name, value in inherited.items() if name not in gone}
    env.update(settings.env)
    if settings.preload:
        env[PRELOAD] = ":".join(preload_libraries(settings))
    return env


def _ready(
    server: Server,
    kept: SupervisedProcess,
    engine: Engine,
    until: float,
    stop: threading.Event,
) -> bool:
    """Wait for readiness until an instant; ``False`` when the server ended before it.

    Raises:
        StartFailedError: the deadline passed, a stop was asked for, or a stranger answers.
    """
    for look in itertools.count():
        if kept.ended:
            return False
        if look % LOOKS_A_RECORD == 0:
            kept.remember()
        if engine.ready(server.url):
            if server.owns_port():
                return True
            if not kept.ended:
                raise StartFailedError(
                    f"port {server.port} must be served by the server that was started, but "
                    "another process answers on it: start again"
                )
        if time.monotonic() >= until:
            raise _noted(
                "the server must be ready before its deadline, but is not: give it more with "
                "--start-deadline; "
                f"its last line: {last_line(server.log_text())}; log: {server.log}",
                server.log_text(),
            )
        if stop.wait(POLL):
            raise StartFailedError("the server was stopped while it was starting")
    raise AssertionError("unreachable")


def _early_end(
    server: Server, kept: SupervisedProcess, engine: Engine, seconds: float
) -> StartFailedError:
    text = server.log_text()
    cause = engine.explain(text)
    lines = relevant_lines(text)
    said = f": {lines[-1]}" if lines else ", without a word"
    return _noted(
        f"the server did not start: after {seconds:.0f} s {kept.ended}{said}"
        + (f" — {cause}" if cause else "")
        + f"; log: {server.log}",
        text,
    )


def _noted(message: str, log: str) -> StartFailedError:
    error = StartFailedError(message)
    for line in relevant_lines(log):
        error.add_note(line)
    return error


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("127.0.0.1", 0))
        except OSError as error:  # every local port is taken
            raise ClientLimitError(loopback.client_limit(error)) from error
        port = probe.getsockname()[1]
    return int(port)


def _listens(pid: int, port: int) -> bool:
    try:
        connections = psutil.Process(pid).net_connections("tcp")
    except psutil.Error:
        return False
    return any(
        connection.laddr.port == port
        for connection in connections
        if connection.status == psutil.CONN_LISTEN
    )
