"""Observers of what no launch sets: the interpreter, limits, devices, packages.

Each looks at the view and says the state of one entry; an entry without an observer is one that
only a text can show (``trimtab lint``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from trimtab.diagnosis.row import State, View

Sight = tuple[State, str, str, str]
"""State, what was observed, where, what to do."""

_ENOUGH_FILES = 4096


def _python(view: View) -> Sight:
    build = view.build
    if not build.path:
        what = "name the server's interpreter with --python, or its process with --pid"
        return State.UNKNOWN, "no vLLM is on PATH, so no interpreter is known", "PATH", what
    where = build.source or build.path
    if build.reason:
        return State.UNKNOWN, build.reason, where, ""
    told = ", ".join(
        f"{name} {'yes' if has else 'no'}"
        for name, has in (("PGO", build.pgo), ("LTO", build.lto), ("BOLT", build.bolt))
    )
    said = f"Python {build.version} {build.level}, {told}"
    if build.pgo and build.lto:
        return State.ACTIVE, said, where, ""
    return State.STOCK, said, where, ""


def _files(view: View) -> Sight:
    limits = [one.nofile for one in view.processes if one.nofile is not None]
    known = min(limits) if limits else view.facts.limits.nofile.value
    where = "/proc/PID/limits" if limits else view.facts.limits.nofile.source
    if known is None:
        return State.UNKNOWN, "", where, ""
    said = "unlimited" if math.isinf(known) else f"{known:.0f} open files"
    if known < _ENOUGH_FILES:
        return State.WRONG_VALUE, said, where, f"raise it to {_ENOUGH_FILES} or more: ulimit -n"
    return State.ACTIVE, said, where, ""


def _swap(view: View) -> Sight:
    total, where = view.facts.memory.swap_total.value, view.facts.memory.swap_total.source
    used = sum(one.swapped or 0 for one in view.processes)
    if used:
        return (
            State.WRONG_VALUE,
            f"{used // 2**20} MiB of the server are swapped out",
            "VmSwap of /proc/PID/status",
            "give the host more memory, or switch swap off",
        )
    if total is None:
        return State.UNKNOWN, "", where, ""
    said = f"{total // 2**20} MiB of swap" if total else "no swap"
    return State.STOCK, said, where, ""


def _devices(view: View) -> Sight:
    ascend = view.facts.ascend
    managers, devices = ascend.managers.value or (), ascend.devices.value or ()
    if not devices:
        return State.NOT_APPLICABLE, "no /dev/davinciN", "/dev", ""
    said = f"{len(devices)} NPUs, {len(managers)} of 3 of the driver's nodes"
    if len(managers) < 3:
        return State.WRONG_VALUE, said, "/dev", "give the container the driver's nodes too"
    return State.ACTIVE, said, "/dev", ""


def _mounts(view: View) -> Sight:
    driver = view.facts.ascend.driver
    if view.situation.platform != "ascend":
        return State.NOT_APPLICABLE, "no NPU", "/dev", ""
    if driver.value is None:
        return (
            State.WRONG_VALUE,
            driver.reason,
            driver.source,
            "mount the driver's folder of the host, read-only",
        )
    return State.ACTIVE, f"driver {driver.value}", driver.source, ""


def _turbo(view: View) -> Sight:
    version = view.packages.get("mindie-turbo")
    if version is None:
        return State.STOCK, "absent", view.interpreter, ""
    return (
        State.SUPERSEDED,
        f"mindie-turbo {version}",
        view.interpreter,
        "uninstall it: it pins torch 2.5.1",
    )


def _bound(view: View) -> Sight:
    masks = {one.label: one.allowed for one in view.processes if one.allowed is not None}
    online = view.facts.cpu.online.value
    allowed = view.facts.limits.allowed.value
    if not masks and allowed is not None:
        masks = {"this process": allowed}
    if online is None or not masks:
        return State.UNKNOWN, "", "sched_getaffinity", ""
    few = {name: len(mask) for name, mask in masks.items() if len(mask) < len(online)}
    if not few:
        return State.STOCK, f"all {len(online)} CPUs", "sched_getaffinity", ""
    said = ", ".join(f"{count} of {len(online)} CPUs in {name}" for name, count in few.items())
    return State.ACTIVE, said, "sched_getaffinity", ""


def _interrupts(view: View) -> Sight:
    if view.situation.platform != "ascend":
        return State.NOT_APPLICABLE, "no NPU", "/proc/interrupts", ""
    return State.UNKNOWN, "only the log (plog) of vllm-ascend shows it", "/proc/irq", ""


def _privileged(view: View) -> Sight:
    inside = view.situation.container
    if not inside:
        return State.NOT_APPLICABLE, "not in a container", "", ""
    return (
        State.UNKNOWN,
        "only the launch file shows it",
        "",
        "check that file: trimtab lint FILE",
    )


OBSERVERS: Mapping[str, Callable[[View], Sight]] = {
    "optimized-python": _python,
    "file-limit": _files,
    "swap": _swap,
    "container-devices": _devices,
    "container-mounts": _mounts,
    "mindie-turbo": _turbo,
    "cpu-binding-wrapper": _bound,
    "irq-affinity": _interrupts,
    "container-privileged": _privileged,
}
