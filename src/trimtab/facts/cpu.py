"""The processor: architecture, instruction set, cores and NUMA nodes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from trimtab.errors import HostError
from trimtab.facts.parsing import parse_cpu_list, read_fact, run_fact
from trimtab.host import Host
from trimtab.model import Fact

_CPUINFO = "/proc/cpuinfo"
_CPU = "/sys/devices/system/cpu"
_NODE = "/sys/devices/system/node"

_ARM_VENDORS = {"0x41": "ARM", "0x48": "HiSilicon", "0x4e": "NVIDIA", "0xc0": "Ampere"}


@dataclass(frozen=True, slots=True)
class CpuFacts:
    """The processor.

    ``flags`` are the kernel's names of instruction-set features ("avx512_bf16"; on ARM, "bf16").
    ``online`` are logical CPUs. ``cores`` groups them by physical core: each entry holds the
    logical CPUs that share one. ``nodes`` maps a NUMA node to its logical CPUs.
    """

    arch: Fact[str]
    model: Fact[str]
    vendor: Fact[str]
    flags: Fact[frozenset[str]]
    online: Fact[tuple[int, ...]]
    cores: Fact[tuple[tuple[int, ...], ...]]
    nodes: Fact[tuple[tuple[int, tuple[int, ...]], ...]]


def parse_cpuinfo(text: str) -> Mapping[str, str]:
    """Return the fields of the first processor in ``/proc/cpuinfo``."""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip() and fields:
            break
        key, colon, value = line.partition(":")
        if colon:
            fields.setdefault(key.strip(), value.strip())
    return fields


def parse_model(text: str) -> str | None:
    """Return the processor's name; ARM kernels do not say one."""
    return parse_cpuinfo(text).get("model name") or None


def parse_vendor(text: str) -> str | None:
    """Return the vendor: x86 says it in words, ARM as a number ("CPU implementer")."""
    fields = parse_cpuinfo(text)
    if vendor := fields.get("vendor_id"):
        return vendor
    number = fields.get("CPU implementer")
    return None if number is None else _ARM_VENDORS.get(number, f"implementer {number}")


def parse_flags(text: str) -> frozenset[str] | None:
    """Return the feature flags ("flags" on x86, "Features" on ARM)."""
    fields = parse_cpuinfo(text)
    flags = fields.get("flags") or fields.get("Features")
    return frozenset(flags.split()) if flags else None


def _arch(text: str) -> str | None:
    return text.strip() or None


def _without_smt(host: Host) -> bool:
    try:
        return host.read(f"{_CPU}/smt/active").strip() == "0"
    except HostError:
        return False


def _cores(host: Host, online: Fact[tuple[int, ...]]) -> Fact[tuple[tuple[int, ...], ...]]:
    source = f"{_CPU}/cpu*/topology/thread_siblings_list"
    if online.value is None:
        return Fact.unknown(source, online.reason)
    if _without_smt(host):  # spares a read for each of hundreds of CPUs
        return Fact(tuple((cpu,) for cpu in online.value), f"{_CPU}/smt/active")
    cores: set[tuple[int, ...]] = set()
    for cpu in online.value:
        try:
            text = host.read(f"{_CPU}/cpu{cpu}/topology/thread_siblings_list")
            cores.add(parse_cpu_list(text))
        except (HostError, ValueError) as error:
            return Fact.unknown(source, str(error))
    return Fact(tuple(sorted(cores)), source)


def _nodes(host: Host) -> Fact[tuple[tuple[int, tuple[int, ...]], ...]]:
    source = f"{_NODE}/node*/cpulist"
    found: list[tuple[int, tuple[int, ...]]] = []
    for path in host.glob(f"{_NODE}/node*/cpulist"):
        number = re.search(r"/node(\d+)/cpulist$", path)
        if number is None:
            continue
        try:
            found.append((int(number[1]), parse_cpu_list(host.read(path))))
        except (HostError, ValueError) as error:
            return Fact.unknown(source, str(error))
    if not found:
        return Fact.unknown(source, "no such folder: a kernel without NUMA, or a hidden /sys")
    return Fact(tuple(sorted(found)), source)


def read(host: Host) -> CpuFacts:
    """Read the processor's facts."""
    online = read_fact(host, f"{_CPU}/online", parse_cpu_list)
    return CpuFacts(
        arch=run_fact(host, ("uname", "-m"), _arch),
        model=read_fact(host, _CPUINFO, parse_model),
        vendor=read_fact(host, _CPUINFO, parse_vendor),
        flags=read_fact(host, _CPUINFO, parse_flags),
        online=online,
        cores=_cores(host, online),
        nodes=_nodes(host),
    )
