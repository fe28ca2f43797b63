"""What can be read back of a process that has gone through its stages."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_STREAMS = 70
"""More than any pool of streams holds: so many are asked for to count the distinct ones."""


_SETTLED_AFTER = 2.0
_MOMENT = 0.01
"""Seconds to wait for threads at most, and between two looks at them."""


@dataclass(frozen=True)
class Look:
    """How something is read, and whether that needs a device that was used."""

    read: Callable[[dict[str, Any]], Any]
    needs_device: bool = True


def _tasks() -> dict[str, list[str]]:
    """Return the name of a thread → the CPUs of each thread of that name.

    A thread names itself, and only then binds itself. So they are read once all others wait, and
    look as they did a moment before; those that never wait are not waited for long.
    """
    until = time.monotonic() + _SETTLED_AFTER
    before: dict[str, list[str]] | None = None
    while True:
        found, busy = _tasks_now()
        if (found == before and not busy) or time.monotonic() > until:
            return found
        before = found
        time.sleep(_MOMENT)


def _tasks_now() -> tuple[dict[str, list[str]], bool]:
    """Return what :func:`_tasks` does as it is now, and whether another thread is at work."""
    found: dict[str, list[str]] = {}
    busy = False
    for task in sorted(os.listdir("/proc/self/task"), key=int):  # noqa: PTH208  no pathlib here
        try:
            with open(f"/proc/self/task/{task}/status", encoding="utf-8") as file:  # noqa: PTH123
                fields = dict(line.split(":\t", 1) for line in file if ":\t" in line)
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended
        found.setdefault(fields["Name"].strip(), []).append(fields["Cpus_allowed_list"].strip())
        busy = busy or (int(task) != threading.get_native_id() and fields["State"][0] in "RD")
    return found, busy


def _distinct_streams(left: dict[str, Any]) -> int:
    torch = left["torch"]
    return len({torch.npu.Stream().npu_stream for _ in range(_STREAMS)})


def _memory(left: dict[str, Any]) -> dict[str, Any]:
    npu = left["torch"].npu
    segments = npu.memory_snapshot()
    return {
        "reserved": npu.memory_stats().get("reserved_bytes.all.current", 0),
        "segments": [(one["total_size"], one["is_expandable"]) for one in segments],
    }


def _configuration(left: dict[str, Any]) -> dict[str, Any] | None:
    """Return what vllm-ascend's configuration holds in the end; "as_read" is before its checks."""
    config = left.get("ascend_config")
    return None if config is None else plain(config)


def plain(config: Any, above: str = "") -> dict[str, Any]:
    """Return the attributes of an object that are plain values; those of its parts with dots."""
    found: dict[str, Any] = {}
    for name, value in vars(config).items():
        key = f"{above}{name}"
        if value is None or isinstance(value, bool | int | float | str):
            found[key] = value
        elif not above and type(value).__module__.startswith("vllm_ascend"):
            found.update(plain(value, f"{name}."))
    return found


LOOKS: dict[str, Look] = {
    "threads": Look(lambda left: _tasks(), needs_device=False),
    "as_read": Look(lambda left: left.get("as_read"), needs_device=False),
    "configuration": Look(_configuration, needs_device=False),
    "variables": Look(lambda left: left.get("variables"), needs_device=False),
    "keys": Look(lambda left: left.get("keys"), needs_device=False),
    "binding": Look(lambda left: left.get("binding"), needs_device=False),
    "rewritten": Look(lambda left: left.get("rewritten"), needs_device=False),
    "streams": Look(_distinct_streams),
    "memory": Look(_memory),
}
