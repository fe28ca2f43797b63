"""The parent's side of the keeper: start a command under it, hear of its end, end its tree."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path

from trimtab.errors import EngineError
from trimtab.processes import procfs, recovery
from trimtab.processes.recovery import ServerRecord

GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL. An idle vLLM 0.32 takes 1.4 to 4 s to end."""

_SLACK = 6.0
"""Seconds beyond the grace until the keeper itself is taken for stuck."""

_KEEPER = Path(__file__).with_name("keeper.py")


class SupervisedProcess:
    """A command that runs below a keeper, with everything it starts.

    Both ends are safe: whatever ends this process ends the tree, and a keeper that is killed is
    noticed at once and its tree ended from here. Use :meth:`stop` in a ``finally``.

    ``folder`` receives the record that a later run finds leftovers by; ``None``: none is kept.
    """

    def __init__(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        log: Path | None,
        folder: Path | None,
        *,
        affinity: Sequence[int] | None = None,
        grace: float = GRACE,
        streams: Sequence[int] = (),
    ) -> None:
        """Start ``argv`` with exactly the environment ``env``, its output appended to ``log``.

        Without a ``log`` the descriptors ``streams`` become its standard input, output and error.
        They are above 2, and the caller's to close.

        Raises:
            EngineError: the command could not be executed.
        """
        self.pid = 0
        self.exit_code: int | None = None
        self.left: tuple[int, ...] = ()
        self._folder = folder
        self._grace = grace
        self._error = ""
        self._record: ServerRecord | None = None
        self._started, self._ended, self._orderly = (threading.Event() for _ in range(3))
        with nullcontext() if log is None else log.open("ab") as output:
            self._keeper = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_KEEPER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                start_new_session=True,
                pass_fds=streams,
            )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        try:
            self._record = self._put_on_record()
            self._listener.start()
            own = {**env, recovery.COOKIE: self._record.cookie}
            self._ask(
                {
                    "argv": [*argv],
                    "env": own,
                    "affinity": affinity,
                    "grace": grace,
                    "streams": [*streams] or None,
                }
            )
        except BaseException:
            self.stop()
            raise

    @property
    def keeper(self) -> int:
        """Process id of the keeper, which is the number of the tree's session too."""
        return self._keeper.pid

    @property
    def ended(self) -> str:
        """Why the command runs no more, in one sentence; "" while it does."""
        if self.exit_code is not None:
            return f"it {describe_exit(self.exit_code)}"
        if self._ended.is_set() and not self._orderly.is_set():
            return "its keeper was killed"
        return "it was stopped" if self._ended.is_set() else ""

    def tree(self) -> list[procfs.Stat]:
        """Return the living processes below the keeper, parents first."""
        return [stat for stat in procfs.descendants(self.keeper, procfs.snapshot()) if stat.alive]

    def cpu_seconds(self) -> float:
        """Return the CPU seconds the tree has used so far, those of its ended processes too."""
        processes = procfs.snapshot()
        ticks = procfs.cpu_ticks(procfs.descendants(self.keeper, processes))
        if self.keeper in processes:
            ticks += processes[self.keeper].reaped
        return ticks / procfs.TICKS_PER_SECOND

    def remember(self) -> None:
        """Put the processes of the tree on record, for a run that has to look for leftovers."""
        if self._record is not None:
            members = tuple(stat.identity for stat in self.tree())
            if members != self._record.members:
                self._record = replace(self._record, members=members)
                self._write(self._record)

    def signal(self, number: int, *, group: bool = False) -> None:
        """Send the command a signal, or all of its process group; nothing once it has ended."""
        order = json.dumps({"signal": number, "group": group}).encode() + b"\n"
        assert self._keeper.stdin is not None
        with suppress(BrokenPipeError, ValueError):  # the keeper is gone, or was told to stop
            self._keeper.stdin.write(order)
            self._keeper.stdin.flush()

    def wait(self, seconds: float) -> bool:
        """Wait until the tree is gone, at most ``seconds``; return whether it is."""
        return self._ended.wait(seconds)

    def stop(self) -> None:
        """End the tree and wait until nothing of it is left. Safe to repeat.

        Raises:
            EngineError: a process could not be ended; it is named.
        """
        if self._keeper.stdin is not None and not self._keeper.stdin.closed:
            with suppress(BrokenPipeError):  # the keeper is gone already
                self._keeper.stdin.close()
        try:
            self._keeper.wait(self._grace + _SLACK)
        except subprocess.TimeoutExpired:
            self._keeper.kill()
            self._keeper.wait()
        if self._listener.ident is not None:
            self._listener.join()
        if self._keeper.stdout is not None:
            self._keeper.stdout.close()
        if self._record is not None:
            self._make_sure(self._record)

    def _make_sure(self, record: ServerRecord) -> None:
        if not self._orderly.is_set():
            recovery.end(record, patience=0.0)
        left = recovery.survivors(record)
        if left:
            names = ", ".join(f"{stat.pid} ({stat.comm})" for stat in left)
            raise EngineError(f"every process of the server must end, but {names} did not")
        if self._folder is not None:
            recovery.erase(self._folder)

    def _put_on_record(self) -> ServerRecord:
        running = ServerRecord(
            boot=recovery.boot_id(),
            cookie=secrets.token_hex(16),
            owner=_identity(os.getpid()),
            keeper=_identity(self._keeper.pid),
        )
        self._write(running)
        return running

    def _write(self, running: ServerRecord) -> None:
        if self._folder is not None:
            recovery.record(self._folder, running)

    def _ask(self, spec: Mapping[str, object]) -> None:
        assert self._keeper.stdin is not None
        try:
            self._keeper.stdin.write(json.dumps(spec).encode() + b"\n")
            self._keeper.stdin.flush()
        except BrokenPipeError:
            self._error = "the keeper ended before it started the command"
        else:
            self._started.wait()
        if self._error:
            raise EngineError(f"{_program(spec)} could not be started: {self._error}")

    def _listen(self) -> None:
        """Follow the keeper's status; its end without "gone" means that it was killed."""
        assert self._keeper.stdout is not None
        for line in self._keeper.stdout:
            message = json.loads(line)
            if message["event"] == "started":
                self.pid = message["pid"]
                self._started.set()
            elif message["event"] == "exit":
                self.exit_code = message["code"]
            elif message["event"] == "failed":
                self._error = message["error"]
                self._orderly.set()
            elif message["event"] == "gone":
                self.left = tuple(message["left"])
                self._orderly.set()
        if not self._orderly.is_set():
            self._error = self._error or "its keeper was killed"
            if self._record is not None:
                recovery.end(self._record, patience=0.0)
        self._ended.set()
        self._started.set()


def describe_exit(code: int) -> str:
    """Say how a process ended, from its exit code (negative: the signal that ended it)."""
    return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"


def _program(spec: Mapping[str, object]) -> str:
    argv = spec["argv"]
    return str(argv[0]) if isinstance(argv, list) and argv else "the command"


def _identity(pid: int) -> tuple[int, int]:
    stat = procfs.read(pid)
    if stat is None:
        raise EngineError(f"process {pid} ended as it was started")
    return stat.identity
