"""The kernel and the distribution."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from trimtab.facts.memory import THP
from trimtab.facts.parsing import read_fact, selected_word
from trimtab.host import Host
from trimtab.model import Fact

_OS_RELEASE = "/etc/os-release"

SETTINGS = (
    "/proc/sys/vm/swappiness",
    "/proc/sys/kernel/numa_balancing",
    "/proc/sys/kernel/sched_migration_cost_ns",
    "/sys/kernel/debug/sched/migration_cost_ns",
    "/proc/sys/kernel/sched_min_granularity_ns",
    "/sys/kernel/debug/sched/base_slice_ns",
    "/proc/sys/vm/zone_reclaim_mode",
    "/proc/sys/vm/nr_hugepages",
    "/proc/sys/net/core/somaxconn",
    f"{THP}/enabled",
    f"{THP}/defrag",
    "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
    "/sys/devices/system/cpu/cpu0/cpufreq/energy_performance_preference",
)
"""Files of the kernel settings that the catalogue knows; of one per CPU, the first CPU's."""


@dataclass(frozen=True, slots=True)
class KernelFacts:
    """The kernel's release ("6.1.0-18-amd64") and the distribution ("debian", ..., "12").

    ``settings`` maps each file of `SETTINGS` to its text now (the chosen word, for a choice).
    """

    release: Fact[str]
    os_id: Fact[str]
    os_name: Fact[str]
    os_version: Fact[str]
    settings: Mapping[str, Fact[str]]


def parse_os_release(text: str, key: str) -> str | None:
    """Return one value of ``/etc/os-release`` (shell-quoted, as os-release(5) says)."""
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and name.strip() == key:
            words = shlex.split(value)
            return words[0] if words else None
    return None


def _field(key: str) -> Callable[[str], str | None]:
    return lambda text: parse_os_release(text, key)


def _stripped(text: str) -> str | None:
    return text.strip() or None


def read(host: Host) -> KernelFacts:
    """Read the facts of kernel and distribution."""
    return KernelFacts(
        release=read_fact(host, "/proc/sys/kernel/osrelease", _stripped),
        os_id=read_fact(host, _OS_RELEASE, _field("ID")),
        os_name=read_fact(host, _OS_RELEASE, _field("PRETTY_NAME")),
        os_version=read_fact(host, _OS_RELEASE, _field("VERSION_ID")),
        settings=MappingProxyType(
            {path: read_fact(host, path, lambda t: selected_word(t) or None) for path in SETTINGS}
        ),
    )
