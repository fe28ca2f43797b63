"""The keeper: a tiny separate process that owns a server's tree and ends it, whatever happens.

Run as ``python -I -S keeper.py`` (standard library only, imports nothing of ours) in a session of
its own. Standard input carries one line of JSON (:func:`main` reads it) and is then the life
line: its end, which the kernel brings when the parent dies of anything, even of SIGKILL, means
stop, and so does a further line, unless it is ``{"signal": N, "group": false}``: then the server
gets that signal, with ``true`` its process group. Standard output carries status, one JSON object
a line:

* ``{"event": "started", "pid": N}``: the server was executed;
* ``{"event": "failed", "error": "..."}``: it could not be;
* ``{"event": "exit", "pid": N, "code": N}``: the server ended, negative for a signal;
* ``{"event": "gone", "killed": [...], "left": [...]}``: the tree was ended; ``killed`` needed
  SIGKILL, ``left`` could not be ended.

Standard error is the engine's log and becomes the server's standard output and error, unless the
specification names other descriptors.

The keeper is a child subreaper (prctl(2), PR_SET_CHILD_SUBREAPER): a process of the tree whose
parent ends, or that leaves its process group or session, becomes the keeper's child, so the tree
is always the keeper's descendants and nothing can slip out of it. Should the keeper itself be
killed, the server gets SIGKILL (PR_SET_PDEATHSIG) and the rest is for the parent to end.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
TICK = 0.1
"""Seconds between looks at a tree that is being ended."""

WATCH = 0.5
"""Seconds between looks at the parent and the log. All else wakes the keeper by itself."""

LOG_MOST = 64 * 1024 * 1024
"""Bytes from which on the log is shortened: its beginning and its end stay. vLLM writes some
100 kB an hour, so that only a server that floods its log meets this."""

LOG_HEAD = 8 * 1024 * 1024
LOG_TAIL = 8 * 1024 * 1024

KILL_SECONDS = 3.0
"""Seconds to insist on SIGKILL; what is left then is stuck in the kernel."""


class Keeper:
    """Owns the tree of one command; see the module's text."""

    def __init__(self, spec: dict[str, object]) -> None:
        self._spec = spec
        self._parent = os.getppid()
        self._stop = False
        self._server = 0
        self._orders = b""
        self._wake, written = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(written, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._on_stop)
        signal.signal(signal.SIGCHLD, _ignore)
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            # A handler, not SIG_IGN: execve resets handlers, but would pass SIG_IGN on.
            signal.signal(number, _ignore)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())  # the parent may wait for signals blocked

    def run(self) -> int:
        """Start the command, watch it until it ends or a stop comes, end the tree."""
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            _say(event="failed", error=f"no child subreaper: errno {ctypes.get_errno()}")
            return 1
        try:
            self._start(libc.prctl)
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            _say(event="failed", error=str(error))
            return 1
        _say(event="started", pid=self._server)
        while not self._stop and self._server:
            self._reap()
            self._watch()
        self._end()
        return 0

    def _start(self, prctl: Callable[..., int]) -> None:
        affinity = self._spec.get("affinity")
        if affinity is not None:
            # The keeper only sleeps, so it may keep the mask that the server inherits from it.
            os.sched_setaffinity(0, affinity)  # type: ignore[arg-type]
        keeper = os.getpid()

        def prepare() -> None:
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != keeper:  # it died before the line above
                os._exit(127)

        streams = self._spec.get("streams") or [subprocess.DEVNULL, 2, 2]
        # Held: a forgotten Popen reaps its child by itself, and the exit code would be lost.
        self._process = subprocess.Popen(
            self._spec["argv"],  # type: ignore[call-overload]
            env=self._spec["env"],
            stdin=streams[0],  # type: ignore[index]
            stdout=streams[1],  # type: ignore[index]
            stderr=streams[2],  # type: ignore[index]
            process_group=0,
            preexec_fn=prepare,  # safe: this process has one thread
        )
        self._server = self._process.pid
        for handle in {*streams} - {subprocess.DEVNULL, 2}:  # type: ignore[misc]
            os.close(handle)  # the reader must see their end when the tree ends

    def _on_stop(self, number: int, frame: object) -> None:
        self._stop = True

    def _watch(self) -> None:
        ready, _, _ = select.select([0, self._wake], [], [], WATCH)
        if self._wake in ready:
            os.read(self._wake, 4096)
        if 0 in ready:
            self._obey(os.read(0, 65536))
        shorten(2)
        # A forked copy of the parent could hold the pipe open, so its death is looked for too.
        if os.getppid() != self._parent:
            self._stop = True

    def _obey(self, data: bytes) -> None:
        *orders, self._orders = (self._orders + data).split(b"\n")
        for order in orders:
            try:
                asked = json.loads(order)
                number, group = int(asked["signal"]), bool(asked["group"])
            except (ValueError, TypeError, KeyError):
                self._stop = True
                return
            self._reap()  # its id is its own until it is reaped
            if self._server:
                _signal({-self._server if group else self._server}, number)
        self._stop = self._stop or not data

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                self._server = 0
                return
            if pid == 0:
                return
            if pid == self._server:
                self._server = 0
                self._process.returncode = os.waitstatus_to_exitcode(status)
                _say(event="exit", pid=pid, code=self._process.returncode)

    def _end(self) -> None:
        """SIGTERM to the whole tree, then SIGKILL to all that is left, until none is left."""
        _signal(descendants(), signal.SIGTERM)
        self._wait(time.monotonic() + float(self._spec.get("grace", 5.0)))  # type: ignore[arg-type]
        killed: set[int] = set()
        until = time.monotonic() + KILL_SECONDS
        while (left := descendants()) and time.monotonic() < until:
            killed |= left
            _signal(left, signal.SIGKILL)
            self._wait(time.monotonic() + TICK)
        _say(event="gone", killed=sorted(killed), left=sorted(left))

    def _wait(self, until: float) -> None:
        self._reap()
        while descendants() and time.monotonic() < until:
            time.sleep(TICK / 4)
            shorten(2)
            self._reap()


def shorten(log: int, most: int = LOG_MOST, head: int = LOG_HEAD, tail: int = LOG_TAIL) -> None:
    """Take the middle out of a log that has grown beyond ``most`` bytes; whole lines stay.

    ``log`` is a descriptor in append mode, so that the server goes on at the new end and is never
    held up. What it writes meanwhile may be lost with the middle. Anything but a file is left.
    """
    try:
        size = os.fstat(log).st_size
        if size <= most or not os.path.isfile(f"/proc/self/fd/{log}"):  # noqa: PTH113
            return
        with open(f"/proc/self/fd/{log}", "rb") as file:  # noqa: PTH123 - no pathlib: start fast
            begin = max(0, head - 4096)
            file.seek(begin)
            begin += file.read(head - begin).rfind(b"\n") + 1
            file.seek(size - tail)
            end = file.read(tail)
        left = size - begin - len(end)
        os.ftruncate(log, begin)
        os.write(log, b"[trimtab: %d bytes left out]\n" % left + end[end.find(b"\n") + 1 :])
    except OSError:
        return  # the log is a courtesy: a full disk must not end the server


def descendants() -> set[int]:
    """Return the process ids below this process, zombies included, from ``/proc/PID/stat``."""
    parents: dict[int, int] = {}
    with os.scandir("/proc") as entries:
        pids = [int(entry.name) for entry in entries if entry.name.isdigit()]
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat", "rb") as stat:  # noqa: PTH123 - no pathlib: start fast
                # The name, in parentheses, may itself hold spaces and parentheses.
                parents[pid] = int(stat.read().rpartition(b")")[2].split()[1])
        except (OSError, IndexError):
            continue  # it ended meanwhile
    found: set[int] = set()
    level = {os.getpid()}
    while level:
        level = {pid for pid, parent in parents.items() if parent in level} - found
        found |= level
    return found


def _signal(pids: set[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
        except PermissionError as error:  # a set-user-id program; it stays in "left"
            print(f"trimtab keeper: cannot signal {pid}: {error}", file=sys.stderr)


def _ignore(number: int, frame: object) -> None:
    pass


def _say(**message: object) -> None:
    try:
        os.write(1, json.dumps(message).encode() + b"\n")
    except OSError:
        return  # the parent is gone: there is nobody to tell


def main() -> int:
    """Read the specification and keep its command.

    Keys: ``argv``; ``env``, the whole environment; ``affinity``, CPU numbers or null; ``grace``,
    seconds between SIGTERM and SIGKILL; ``streams``, inherited descriptors that become the
    command's standard input, output and error, or null.
    """
    line = bytearray()
    while b"\n" not in line:  # unbuffered: the rest of the pipe is the life line
        piece = os.read(0, 65536)
        if not piece:
            return 0  # the parent ended before it asked for anything
        line += piece
    spec, _, more = bytes(line).partition(b"\n")
    return 0 if more else Keeper(json.loads(spec)).run()


if __name__ == "__main__":
    sys.exit(main())
