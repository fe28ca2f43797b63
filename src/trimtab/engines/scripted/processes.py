"""The scripted server's processes: vLLM's tree, names and ways of dying, without the work.

Part of a script that runs without trimtab's packages (see ``server.py``): standard
library only, no imports of ours.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
from contextlib import suppress
from types import FrameType

LIFETIME = 600  # seconds: nothing that a test forgets lives longer

_PR_SET_NAME = 15  # man 2 prctl


def set_name(name: str) -> None:
    """Set the process's name as ``ps`` shows it; the kernel keeps 15 characters."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode(), 0, 0, 0)


def say(line: str) -> None:
    """Log a line in one write, so that processes do not mix theirs."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def fork_engine(has_worker: bool, listening: socket.socket) -> int:
    """Fork the engine core, which forks its worker; both only wait. Returns the core's pid."""
    core = os.fork()
    if core:
        return core
    set_name("VLLM::EngineCore")
    listening.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.alarm(LIFETIME)
    worker = os.fork() if has_worker else None
    if worker == 0:
        set_name("VLLM::Worker")
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.alarm(LIFETIME)  # a child does not inherit the alarm
        while True:
            signal.pause()

    def leave(number: int, frame: FrameType | None) -> None:
        if worker is not None:
            _terminate(worker)
        os._exit(0)

    signal.signal(signal.SIGTERM, leave)
    while worker is None:
        signal.pause()
    os.waitpid(worker, 0)
    say(f"(EngineCore pid={os.getpid()}) ERROR Worker proc VllmWorker-0 died unexpectedly")
    os._exit(1)


def supervise_core(core: int) -> None:
    """End with the engine core, and end it when told to end: both with code 0, as vLLM does."""

    def leave(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _terminate(core)
        with suppress(ChildProcessError):
            os.waitpid(core, 0)
        os._exit(0)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM, signal.SIGCHLD):
        signal.signal(number, leave)
    signal.alarm(LIFETIME)


def _terminate(pid: int) -> None:
    """Ask a child to end; it may have ended already, when the whole group was told to."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
