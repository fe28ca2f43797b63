"""Facts: what this machine is, read once, with where each value came from.

One module per group: pure parsers of text, and one ``read(host)``. Nothing here changes anything,
and nothing stands in for what could not be read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from types import MappingProxyType
from typing import Any

from trimtab.facts import (
    ascend,
    container,
    cpu,
    cuda,
    disks,
    interrupts,
    kernel,
    libraries,
    limits,
    memory,
    python_build,
)
from trimtab.facts.ascend import AscendFacts
from trimtab.facts.container import ContainerFacts
from trimtab.facts.cpu import CpuFacts
from trimtab.facts.cuda import CudaFacts
from trimtab.facts.disks import DiskFacts
from trimtab.facts.interrupts import InterruptFacts
from trimtab.facts.kernel import KernelFacts
from trimtab.facts.libraries import LibraryFacts
from trimtab.facts.limits import LimitFacts, PrivilegeFacts
from trimtab.facts.memory import MemoryFacts
from trimtab.facts.python_build import EngineEnvironment
from trimtab.host import Host
from trimtab.model import Fact

__all__ = [
    "AscendFacts",
    "ContainerFacts",
    "CpuFacts",
    "CudaFacts",
    "DiskFacts",
    "Facts",
    "InterruptFacts",
    "KernelFacts",
    "LibraryFacts",
    "LimitFacts",
    "MemoryFacts",
    "PrivilegeFacts",
    "as_text",
    "inspect",
    "to_dict",
]


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything read from one machine, and the engine it is read for.

    ``packages`` are distributions of the engine's environment (name → version), ``platform``
    what the engine computes on ("cpu", "cuda", "ascend"). ``environments`` are those of the engine
    on other interpreters.
    """

    cpu: CpuFacts
    memory: MemoryFacts
    kernel: KernelFacts
    limits: LimitFacts
    container: ContainerFacts
    privileges: PrivilegeFacts
    libraries: LibraryFacts
    ascend: AscendFacts
    cuda: CudaFacts
    disks: DiskFacts
    interrupts: InterruptFacts
    packages: Mapping[str, str]
    platform: str
    environments: tuple[EngineEnvironment, ...] = ()

    @property
    def allowed_cores(self) -> tuple[tuple[int, ...], ...]:
        """Physical cores as their allowed logical CPUs; empty when the topology is unknown."""
        allowed = set(self.limits.allowed.value or ())
        cores = (
            tuple(cpu for cpu in core if cpu in allowed) for core in self.cpu.cores.value or ()
        )
        return tuple(core for core in cores if core)


def inspect(
    host: Host,
    engine_packages: Mapping[str, str],
    platform: str,
    library_folders: Sequence[str] = (),
    environments: Mapping[str, str] = MappingProxyType({}),
) -> Facts:
    """Read all facts of a machine.

    ``library_folders`` are further places to look for libraries, such as ``lib`` of the engine's
    environment (where pip puts ``libiomp5.so`` of intel-openmp). ``environments`` maps names to
    folders of the engine's environments on other interpreters.
    """
    processor, system = cpu.read(host), kernel.read(host)
    return Facts(
        cpu=processor,
        memory=memory.read(host),
        kernel=system,
        limits=limits.read(host),
        container=container.read(host),
        privileges=limits.read_privileges(host),
        libraries=libraries.read(host, processor.arch.value, library_folders),
        ascend=ascend.read(host),
        cuda=cuda.read(host),
        disks=disks.read(host),
        interrupts=interrupts.read(host),
        packages=MappingProxyType(dict(engine_packages)),
        platform=platform,
        environments=python_build.environments(host, environments, system.os_id.value or ""),
    )


def to_dict(facts: Facts) -> dict[str, Any]:
    """Return the facts as plain JSON data: each fact with value, source and reason."""
    plain = _plain(facts)
    assert isinstance(plain, dict)
    return plain


def as_text(facts: Facts) -> dict[str, str]:
    """Return the facts as a profile holds them: each group as text."""
    return {key: str(value) for key, value in to_dict(facts).items() if value is not None}


def _key(key: object) -> str:
    return " ".join(map(str, key)) if isinstance(key, tuple) else str(key)


def _plain(value: object) -> Any:
    if isinstance(value, Fact):
        shown = {"value": _plain(value.value), "source": value.source}
        return {**shown, "reason": value.reason} if value.reason else shown
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {_key(key): _plain(item) for key, item in value.items()}
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and math.isinf(value):
        return "unlimited"
    return value
