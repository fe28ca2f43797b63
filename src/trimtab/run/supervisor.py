"""Start a wanted plan, keep it, and leave nothing behind.

The supervisor: waits for signals and for the server's end, and passes both on.

Signals are blocked and waited for (sigwaitinfo(2)), in this thread and all that it starts. So
none is lost between two looks, and they arrive even as process 1 of a container, for which the
kernel drops every signal that has its default action. What was ignored at the start (nohup) stays
so.

A signal from the terminal goes to the server's whole process group, as the terminal would have
sent it; one from anywhere else goes to the server's first process, as ``kill`` would have.

The server's own output: passed on byte for byte, and read along until it is verified.

An engine tells its configuration in its log, which is its output. So the server writes into
pipes, and threads copy them; where standard output and error are the same file there is one pipe,
which keeps the order.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import threading
from collections.abc import Callable
from contextlib import suppress

from trimtab.engines import api_key, command
from trimtab.errors import RunRefusedError
from trimtab.processes.supervised_process import SupervisedProcess, describe_exit
from trimtab.run import state
from trimtab.run.target import RunTarget
from trimtab.run.verification import EvidenceSink, RunServerView, Verification

KEPT = 4_000_000
"""Bytes of output that are kept until the server is verified; its configuration comes first."""

_CHUNK = 65536


class Output:
    """The pipes of one server.

    ``streams`` are the server's descriptors: trimtab's standard input, output and error.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._text: bytearray | None = bytearray()
        self._pumps: list[threading.Thread] = []
        pairs = [(1, 2)] if _same(1, 2) else [(1,), (2,)]
        written: dict[int, int] = {}
        for targets in pairs:
            read, write = os.pipe2(os.O_CLOEXEC)
            written |= dict.fromkeys(targets, write)
            pump = threading.Thread(target=self._copy, args=(read, targets[0]), daemon=True)
            self._pumps.append(pump)
        self.streams = (_standard_input(), written[1], written[2])

    def begin(self) -> None:
        """Close trimtab's copies of the server's descriptors, and start to copy."""
        for handle in {*self.streams}:
            os.close(handle)
        for pump in self._pumps:
            pump.start()

    def text(self) -> str:
        """Return what the server has written so far, at most `KEPT` bytes of its beginning."""
        with self._lock:
            return bytes(self._text or b"").decode(errors="replace")

    def forget(self) -> None:
        """Keep the output no longer."""
        with self._lock:
            self._text = None

    def finish(self, seconds: float) -> None:
        """Wait until all output is passed on: ``seconds`` at most, for a stranger may hold it."""
        for pump in self._pumps:
            pump.join(seconds)

    def _copy(self, source: int, target: int) -> None:
        while data := os.read(source, _CHUNK):
            with self._lock:
                if self._text is not None and len(self._text) < KEPT:
                    self._text += data
            try:
                _write(target, data)
            except OSError as error:
                if error.errno in (errno.EPIPE, errno.EBADF):
                    break  # nobody reads any more: the server is told so by its own write
                # A full disk loses lines, and no server ends for it.
        os.close(source)


def _write(target: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(target, view) :]
        except BlockingIOError:  # somebody has made the terminal or pipe non-blocking
            select.select([], [target], [])


def _same(one: int, other: int) -> bool:
    with suppress(OSError):
        a, b = os.fstat(one), os.fstat(other)
        return (a.st_dev, a.st_ino, a.st_rdev) == (b.st_dev, b.st_ino, b.st_rdev)
    return False


def _standard_input() -> int:
    try:
        return os.dup(0)
    except OSError:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)


PASSED = (
    *(signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1),
    *(signal.SIGUSR2, signal.SIGWINCH, signal.SIGTSTP, signal.SIGCONT),
)
STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
PATIENCE = 3
"""The Ctrl-C of a terminal that ends the tree from here. The first two are the server's: uvicorn
waits for open requests after the first, and drops them after the second."""

LOOK = 5.0
"""Seconds between looks that no signal caused."""

_FROM_KERNEL = 0x80  # SI_KERNEL of siginfo(2): a terminal's, not kill's
_UNKNOWN = 128 + signal.SIGKILL


def block() -> set[signal.Signals]:
    """Block the awaited signals and return them. Call it before the first thread starts."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, children would vanish unseen
    heard = {signals for signals in PASSED if signal.getsignal(signals) is not signal.SIG_IGN}
    heard.add(signal.SIGCHLD)
    signal.pthread_sigmask(signal.SIG_BLOCK, heard)
    return heard


class Supervisor:
    """Keeps one server until its end.

    ``told`` is called once, when a stop signal arrives; ``was_told`` says whether one has
    arrived.
    """

    def __init__(
        self,
        kept: SupervisedProcess,
        heard: set[signal.Signals],
        say: Callable[[str], None],
        told: Callable[[], None],
    ) -> None:
        self._kept = kept
        self._heard = heard
        self._say = say
        self._told = told
        self._interrupts = 0
        self.was_told = False
        self._refused = threading.Event()

    @property
    def stopping(self) -> bool:
        """Whether a stop signal has arrived, or the server has ended."""
        return self.was_told or bool(self._kept.ended)

    def refuse(self) -> None:
        """End the tree from another thread."""
        self._refused.set()
        os.kill(os.getpid(), signal.SIGCHLD)  # wakes the wait

    def wait(self) -> int:
        """Wait for the server's end, and return its exit code as a shell tells it.

        Raises:
            EngineError: a process of the tree could not be ended.
        """
        while not self._kept.wait(0):
            info = signal.sigtimedwait(self._heard, LOOK)
            if reap(self._kept.keeper):
                self._kept.wait(LOOK)
                break
            if self._refused.is_set():
                self._kept.stop()
            elif info is not None and info.si_signo != signal.SIGCHLD:
                self._pass(signal.Signals(info.si_signo), terminal=info.si_code == _FROM_KERNEL)
        self._kept.stop()
        reap(self._kept.keeper)
        code = self._kept.exit_code
        return _UNKNOWN if code is None else code if code >= 0 else 128 - code

    def _pass(self, number: signal.Signals, *, terminal: bool) -> None:
        if number in STOPPING and not self.was_told:
            self.was_told = True
            self._told()
        self._interrupts += terminal and number is signal.SIGINT
        if self._interrupts >= PATIENCE:
            self._say("interrupted three times: the server is ended")
            self._kept.stop()
            return
        self._kept.signal(number, group=terminal or number in (signal.SIGTSTP, signal.SIGCONT))
        if number is signal.SIGTSTP:
            os.kill(os.getpid(), signal.SIGSTOP)  # as the shell that pressed Ctrl-Z expects


def reap(keeper: int) -> bool:
    """Reap the children that process 1 inherits; return whether the keeper itself has ended.

    The keeper is left for who started it. A process of the tree is never ours: it becomes the
    keeper's.
    """
    with suppress(ChildProcessError):
        look = os.WEXITED | os.WNOHANG | os.WNOWAIT
        while (ended := os.waitid(os.P_ALL, 0, look)) is not None:
            if ended.si_pid == keeper:
                return True
            os.waitpid(ended.si_pid, 0)
    return False


GRACE = 10.0
"""Seconds between SIGTERM and SIGKILL for what outlives the server's first process, or for all of
the tree when trimtab itself is killed."""

_DRAIN = 2.0
"""Seconds for the last output."""


def run(wanted: RunTarget, telling: EvidenceSink, *, deadline: float, allow_host: bool) -> int:
    """Run the plan to its end and return the exit code.

    ``deadline`` is in seconds to readiness; after it the server serves on, unverified.

    Raises:
        RunRefusedError: the plan is not in effect, and ``telling`` is strict.
        EngineError: the command could not be started, or a process of it not ended.
        HostError: a host setting could not be made or restored.
    """
    command.require_program(wanted.argv, wanted.environment)
    writes = wanted.plan.writes if allow_host else ()
    heard = block()
    with state.temporary_writes(writes, wanted.host), state.record() as folder:
        output = Output()
        kept = SupervisedProcess(
            wanted.argv,
            wanted.environment,
            None,
            folder,
            affinity=wanted.plan.settings.affinity,
            grace=GRACE,
            streams=output.streams,
        )
        try:
            output.begin()
            supervisor = Supervisor(kept, heard, telling.say, telling.notifier.stopping)
            verification = _verification(wanted, kept, output, supervisor, telling, deadline)
            verification.start()
            code = supervisor.wait()
        finally:
            kept.stop()
            output.finish(_DRAIN)
    if verification.refused:
        raise RunRefusedError(f"the server was ended: {verification.refused}")
    if not verification.ready and not supervisor.was_told:
        _explain(wanted, kept, output, telling)
    return code


def _verification(
    wanted: RunTarget,
    kept: SupervisedProcess,
    output: Output,
    supervisor: Supervisor,
    telling: EvidenceSink,
    deadline: float,
) -> Verification:
    key = api_key(wanted.plan.settings, wanted.environment)
    view = RunServerView(kept, wanted.observer, wanted.argv, output.text, key)

    def done() -> None:
        if not supervisor.stopping:
            kept.remember()
            output.forget()

    return Verification(
        wanted,
        view,
        telling,
        deadline,
        stopping=lambda: supervisor.stopping,
        refuse=supervisor.refuse,
        remember=kept.remember,
        done=done,
    )


def _explain(
    wanted: RunTarget, kept: SupervisedProcess, output: Output, telling: EvidenceSink
) -> None:
    """Say how a server ended that never served, and why if the engine's output tells."""
    ended = kept.ended if kept.exit_code is None else f"it {describe_exit(kept.exit_code)}"
    cause = "" if wanted.engine is None else wanted.engine.explain(output.text())
    telling.say(f"the server ended before it was ready: {ended}{f' — {cause}' if cause else ''}")
