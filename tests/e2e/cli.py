"""How the end-to-end tests run trimtab: as a user does, in a process of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

TRIMTAB = (sys.executable, str(Path(__file__).with_name("plain.py")))


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def trimtab(*words: str, cwd: Path, timeout: float = 280, **env: str) -> Ran:
    """Run trimtab to its end."""
    done = subprocess.run(
        [*TRIMTAB, *words],
        cwd=cwd,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def _heed_signals() -> None:
    """Undo what a test run in the background inherits: trimtab leaves ignored signals ignored."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class Running:
    """trimtab in the background; the end of the block ends it."""

    def __init__(self, *words: str, cwd: Path, **env: str) -> None:
        self.process = subprocess.Popen(
            [*TRIMTAB, *words],
            cwd=cwd,
            env={**os.environ, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_heed_signals,
        )
        self.family: set[psutil.Process] = set()

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def look(self) -> Sequence[psutil.Process]:
        """Return the live descendants, remembering every one ever seen."""
        found = psutil.Process(self.process.pid).children(recursive=True)
        self.family.update(found)
        return found

    def ports(self) -> set[int]:
        """Return the ports that the tree listens on now."""
        found: set[int] = set()
        for process in self.look():
            with suppress(psutil.NoSuchProcess):  # helpers come and go
                sockets = process.net_connections("tcp")
                found |= {one.laddr.port for one in sockets if one.status == psutil.CONN_LISTEN}
        return found

    def survivors(self) -> list[psutil.Process]:
        return [one for one in self.family if _alive(one)]

    def kill(self, number: int = signal.SIGKILL) -> None:
        self.process.send_signal(number)


def free(port: int) -> bool:
    """Whether a server could be started on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait for ``condition``; fail, naming it, when it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"never happened within {seconds:.0f} s: {what}"
        time.sleep(0.1)
