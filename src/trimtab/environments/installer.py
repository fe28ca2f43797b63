"""What every installation needs: one installer at a time, and commands that cannot outlive it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from trimtab.errors import EngineError, EngineInstallError
from trimtab.processes.supervised_process import SupervisedProcess

Say = Callable[[str], None]
Run = Callable[[Sequence[str], float], tuple[int, str]]
"""Runs a command for at most so many seconds; returns its exit code and output."""

_HEARTBEAT = 15.0
"""Seconds between lines that tell a waiting user what the command says."""


@contextmanager
def installation_lock(name: str, work: Path, say: Say, patience: float) -> Iterator[None]:
    """Hold the installation's lock in ``work``; wait ``patience`` seconds for another holder.

    Raises:
        EngineInstallError: the other installer, named by its process id, still holds it.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(work / "lock")
    owner = work / "owner"
    try:
        lock.acquire(timeout=0)
    except Timeout:
        holder = owner.read_text(encoding="ascii") if owner.exists() else "unknown"
        say(f"{name} is being installed by process {holder}: waiting for it")
        try:
            lock.acquire(timeout=patience)
        except Timeout:
            raise EngineInstallError(
                f"{name} must be installed by one process at a time, but process {holder} still "
                f"holds the lock after {patience:.0f} s: wait for it, or end it"
            ) from None
    try:
        owner.write_text(str(os.getpid()), encoding="ascii")
        yield
    finally:
        lock.release()


def runner(work: Path, say: Say) -> Run:
    """Return the real runner: below a keeper, so that nothing outlives the installer."""

    def run(argv: Sequence[str], seconds: float) -> tuple[int, str]:
        log = work / "install.log"
        begin = log.stat().st_size if log.exists() else 0
        drop = {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONHOME"}
        env = {name: value for name, value in os.environ.items() if name not in drop}
        try:
            kept = SupervisedProcess(argv, env, log, work)
        except EngineError as error:
            return 127, str(error)
        until = time.monotonic() + seconds
        try:
            while not kept.wait(_HEARTBEAT) and time.monotonic() < until:
                say(f"  … {last_line(_output(log, begin))}")
        finally:
            kept.stop()
        code = kept.exit_code
        return (124 if code is None else code), _output(log, begin)

    return run


def _output(log: Path, begin: int) -> str:
    with log.open("rb") as lines:
        lines.seek(begin)
        return lines.read().decode(errors="replace")


def last_line(output: str) -> str:
    """Return the last line of an output that says something."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1][:160] if lines else "no output yet"
