"""Kill a process that applies or takes back host settings at each of its steps, and look.

Run as ``python -m tests.support.killing FOLDER OPERATION``: for each step a copy of the tree is
made, a child does the operation and is killed (SIGKILL) at that step, and what it left is taken
back by another process. Prints the number of steps; any difference to the tree before ends it.
With more words, each PATH=VALUE, it is done to these files of the real machine instead.

A step is the time before, within and after each call that changes a file or waits for the disk.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from tests.trees import WRITES, WritableHost, tree
from trimtab.host import Host, LocalHost
from trimtab.host_settings import applied_settings
from trimtab.model import HostWrite

CALLS = ("fsync", "ftruncate", "replace", "unlink", "rmdir", "mkdir", "symlink", "fchmod")
OTHER = (
    HostWrite("/proc/sys/vm/swappiness", "0"),
    HostWrite("/proc/sys/kernel/numa_balancing", "0"),
)


class Killer:
    """Counts steps, and kills this process at one of them."""

    def __init__(self, at: int) -> None:
        self.at, self.step = at, 0

    def __call__(self) -> None:
        self.step += 1
        if self.step == self.at:
            os.kill(os.getpid(), signal.SIGKILL)

    def arm(self) -> None:
        """Make every call of the system that changes something a step."""
        for name in CALLS:
            setattr(os, name, self._around(getattr(os, name)))
        write = os.write

        def torn(handle: int, data: bytes) -> int:
            self()
            half = write(handle, data[: len(data) // 2])
            self()
            return half + write(handle, data[half:])

        os.write = torn  # type: ignore[assignment]

    def _around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def stepped(*args: Any, **options: Any) -> Any:
            self()
            result = call(*args, **options)
            self()
            return result

        return stepped


class RealHost(LocalHost):
    """This machine, whose kernel files take a value whole: before it, and after it."""

    def __init__(self, tick: Callable[[], None]) -> None:
        self._tick = tick

    def write(self, path: str, text: str) -> None:
        self._tick()
        Path(path).write_text(text)  # not by os.write, which is torn below
        self._tick()


def operate(
    operation: str, host: Host, folder: Path, writes: Sequence[HostWrite] = WRITES
) -> None:
    """Do what is to be interrupted."""
    state, lock = folder / "state", folder / "lock"
    if operation == "rollback":
        assert applied_settings.rollback(host, folder=state, lock=lock) == ()
    else:
        chosen = OTHER if operation == "replace" else writes
        applied_settings.apply(chosen, host, label=operation, folder=state, lock=lock)


def in_child(
    make: Callable[[Callable[[], None]], Host],
    at: int,
    operation: str,
    folder: Path,
    writes: Sequence[HostWrite] = WRITES,
) -> bool:
    """Do an operation in a child that is killed at a step; return whether it lived to its end."""
    pid = os.fork()
    if pid == 0:
        killer = Killer(at)
        host = make(killer)
        killer.arm()
        operate(operation, host, folder, writes)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return False
    assert os.WEXITSTATUS(status) == 0, f"{operation} failed by itself"
    return True


def main(root: Path, operation: str) -> int:
    """Return the number of steps after each of which nothing was lost."""
    for step in count(1):
        folder = root / str(step)
        host = tree(folder / "host")
        before = host.image()
        if operation != "apply":
            operate("apply", host, folder)
        lived = in_child(partial(WritableHost, folder / "host"), step, operation, folder)
        applied_settings.status(host, folder=folder / "state")
        if step % 2 and operation == "apply":  # to apply again is a way out, too
            operate("apply", host, folder)
            assert applied_settings.status(host, folder=folder / "state").stands
        said = applied_settings.rollback(host, folder=folder / "state", lock=folder / "lock")
        assert said == (), f"step {step}: {said}"
        after = host.image()
        assert after == before, f"step {step}: {set(after.items()) ^ set(before.items())}"
        assert not (folder / "state" / applied_settings.JOURNAL).exists()
        shutil.rmtree(folder)
        if lived:
            return step - 1
    raise AssertionError("unreachable")


def really(root: Path, operation: str, writes: Sequence[HostWrite]) -> int:
    """Do the same to the real machine."""
    host = LocalHost()
    before = {one.path: host.read(one.path) for one in writes}
    for step in count(1):
        if operation == "rollback":
            operate("apply", host, root, writes)
        lived = in_child(RealHost, step, operation, root, writes)
        said = applied_settings.rollback(host, folder=root / "state", lock=root / "lock")
        after = {path: host.read(path) for path in before}
        assert said == (), f"step {step}: {said}"
        assert after == before, f"step {step}: {after}"
        if lived:
            return step - 1
    raise AssertionError("unreachable")


if __name__ == "__main__":
    folder, operation, *words = sys.argv[1:]
    real = [HostWrite(*word.split("=")) for word in words]
    print(really(Path(folder), operation, real) if real else main(Path(folder), operation))
