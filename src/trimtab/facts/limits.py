"""What this process may use: CPUs, cgroup quotas, and resource limits."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from trimtab.errors import HostError
from trimtab.facts.parsing import read_fact
from trimtab.host import Host
from trimtab.model import Fact

_ROOT = "/sys/fs/cgroup"
_NO_FILE = "no limit file in the cgroup or above it"
_UNLIMITED_V1 = 1 << 60
"""cgroup v1 writes "no limit" as the largest page-aligned 63-bit number."""


@dataclass(frozen=True, slots=True)
class LimitFacts:
    """Limits of this process; infinity is a known absence of a limit.

    ``allowed`` are the logical CPUs it may run on. ``cpu_quota`` is in CPUs, ``memory_limit``
    and ``memlock`` in bytes, ``nofile`` the soft limit of open files.
    """

    allowed: Fact[tuple[int, ...]]
    cpu_quota: Fact[float]
    memory_limit: Fact[float]
    nofile: Fact[float]
    memlock: Fact[float]


def parse_limit(text: str, name: str) -> float | None:
    """Return the soft limit of a line of ``/proc/self/limits``."""
    for line in text.splitlines():
        if line.startswith(name):
            word = line[len(name) :].split()[0]
            return math.inf if word == "unlimited" else float(word)
    return None


def parse_cgroups(text: str) -> dict[str, str]:
    """Return controller → path of ``/proc/self/cgroup``; the key "" is the v2 hierarchy."""
    paths: dict[str, str] = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            paths[controller] = path
    return paths


def parse_cpu_max(text: str) -> float:
    """Return the CPUs that ``cpu.max`` of cgroup v2 allows ("200000 100000" is 2)."""
    quota, period = text.split()
    return math.inf if quota == "max" else int(quota) / int(period)


def parse_bytes(text: str) -> float:
    """Return a cgroup's memory limit in bytes; "max" (v2) and huge numbers (v1) are infinite."""
    word = text.strip()
    if word == "max":
        return math.inf
    return math.inf if int(word) >= _UNLIMITED_V1 else float(int(word))


def _ancestors(root: str, path: str) -> Iterator[str]:
    """Yield the folder of a cgroup and of all above it, down to the mount point.

    In a container the path may name a folder that only the host can see; the mount point then
    is the container's own cgroup, and is always tried.
    """
    parts = [part for part in path.split("/") if part]
    for length in range(len(parts), -1, -1):
        yield "/".join((root, *parts[:length]))


def _tightest(host: Host, root: str, path: str, read: Callable[[str], float]) -> Fact[float]:
    found: list[tuple[float, str]] = []
    reason = _NO_FILE
    for folder in _ancestors(root, path):
        try:
            found.append((read(folder), folder))
        except HostError:
            continue
        except ValueError as error:
            reason = f"{folder} cannot be parsed: {error}"
    if not found:
        return Fact.unknown(root, reason)
    value, folder = min(found)
    return Fact(value, folder)


def _quota(host: Host, paths: dict[str, str]) -> Fact[float]:
    def v1(folder: str) -> float:
        quota = int(host.read(f"{folder}/cpu.cfs_quota_us"))
        return math.inf if quota < 0 else quota / int(host.read(f"{folder}/cpu.cfs_period_us"))

    def v2(folder: str) -> float:
        return parse_cpu_max(host.read(f"{folder}/cpu.max"))

    if "cpu" in paths:
        return _tightest(host, f"{_ROOT}/cpu", paths["cpu"], v1)
    if "" not in paths:
        return Fact.unknown("/proc/self/cgroup", "names no cpu controller")
    return _v2(host, paths[""], v2, "cpu")


def _memory(host: Host, paths: dict[str, str]) -> Fact[float]:
    def v1(folder: str) -> float:
        return parse_bytes(host.read(f"{folder}/memory.limit_in_bytes"))

    def v2(folder: str) -> float:
        return parse_bytes(host.read(f"{folder}/memory.max"))

    if "memory" in paths:
        return _tightest(host, f"{_ROOT}/memory", paths["memory"], v1)
    if "" not in paths:
        return Fact.unknown("/proc/self/cgroup", "names no memory controller")
    return _v2(host, paths[""], v2, "memory")


def _v2(host: Host, path: str, read: Callable[[str], float], controller: str) -> Fact[float]:
    tightest = _tightest(host, _ROOT, path, read)
    if tightest.reason == _NO_FILE and host.exists(f"{_ROOT}/cgroup.controllers"):
        # A cgroup for which the controller is off has no limit file, nor has the root of v2.
        return Fact(math.inf, f"{_ROOT} (no {controller} limit from {path} up)")
    return tightest


def read(host: Host) -> LimitFacts:
    """Read the limits of this process."""
    allowed = host.affinity()
    cgroups = read_fact(host, "/proc/self/cgroup", parse_cgroups)
    unknown: Fact[float] = Fact.unknown("/proc/self/cgroup", cgroups.reason or "empty")
    paths = cgroups.value
    return LimitFacts(
        allowed=Fact(allowed, "sched_getaffinity"),
        cpu_quota=unknown if paths is None else _quota(host, paths),
        memory_limit=unknown if paths is None else _memory(host, paths),
        nofile=read_fact(host, "/proc/self/limits", lambda t: parse_limit(t, "Max open files")),
        memlock=read_fact(
            host, "/proc/self/limits", lambda t: parse_limit(t, "Max locked memory")
        ),
    )


@dataclass(frozen=True, slots=True)
class PrivilegeFacts:
    """``root``: the effective user is 0. In a container that is necessary, not sufficient."""

    root: Fact[bool]


def read_privileges(host: Host) -> PrivilegeFacts:
    """Read the privileges of this process."""
    return PrivilegeFacts(root=Fact(host.euid() == 0, "geteuid"))
