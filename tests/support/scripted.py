"""The scripted server as a real process, for tests of what talks to it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trimtab.engines

SCRIPT = Path(trimtab.engines.__file__).parent.joinpath("scripted", "server.py")


@dataclass(frozen=True, slots=True)
class Running:
    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return str(answer.read().decode())

    def metric(self, name: str) -> float:
        for line in self.get("/metrics").splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        raise AssertionError(f"no metric {name}")


def command(*words: str) -> list[str]:
    return [sys.executable, "-I", "-S", str(SCRIPT), *words]


def environment(
    folder: Path, behaviour: Mapping[str, Any] | None, env: Mapping[str, str] | None
) -> dict[str, str]:
    base = {key: value for key, value in os.environ.items() if not key.startswith("VLLM_")}
    if behaviour is not None:
        path = folder / "behaviour.json"
        path.write_text(json.dumps(behaviour))
        base["TRIMTAB_SCRIPTED"] = str(path)
    return {**base, **(env or {})}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def scripted(
    folder: Path,
    behaviour: Mapping[str, Any] | None = None,
    *words: str,
    env: Mapping[str, str] | None = None,
) -> Iterator[Running]:
    """Run the server in a session of its own; the session is gone afterwards."""
    log = folder / "server.log"
    for _ in range(5):  # another process may take the port before the server does
        port = free_port()
        with log.open("wb") as file:
            process = subprocess.Popen(
                command("serve", "scripted-model", "--port", str(port), *words),
                env=environment(folder, behaviour, env),
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        running = Running(process, f"http://127.0.0.1:{port}", log)
        try:
            if _ready(running):
                yield running
                return
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    raise AssertionError(log.read_text())


def _ready(running: Running) -> bool:
    for _ in range(3000):
        if running.process.poll() is not None:
            return False
        with contextlib.suppress(OSError):
            running.get("/health")
            return True
        time.sleep(0.01)
    raise AssertionError("the scripted server did not become ready")
