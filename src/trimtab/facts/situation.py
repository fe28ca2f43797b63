"""From the facts of a machine to the situation that rules judge settings in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

from trimtab.facts import Facts
from trimtab.families import family_of_packages, platform_of_packages
from trimtab.model import platforms
from trimtab.model.situation import Situation


def platform(facts: Facts, packages: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return what the engine of an environment computes on, as its build tells.

    The build decides even where no device shows (in a container without the driver's nodes, or
    over an emulated device): its settings are what a server of that environment reads. Without an
    engine the devices decide; a machine without any computes on its CPUs. "unknown": there is an
    engine, and neither its build nor a device tells.
    """
    built = platform_of_packages(packages)
    if facts.ascend.present and built in (platforms.UNKNOWN, platforms.CUDA):
        return platforms.ASCEND
    if built != platforms.UNKNOWN:
        return built
    if facts.cuda.present:
        return platforms.CUDA
    return platforms.CPU if family_of_packages(packages) is None else platforms.UNKNOWN


def situation_of(facts: Facts, packages: Mapping[str, str] | None = None) -> Situation:
    """Return what the facts tell; what they do not tell stays unknown.

    ``packages`` are those of the server's environment; their versions decide about many settings.
    """
    versions = dict(packages if packages is not None else facts.packages)
    for component, fact in (("cann", facts.ascend.cann), ("driver", facts.ascend.driver)):
        if fact.value is not None:
            versions[component] = fact.value
    kind = facts.container.kind.value
    nodes, swap = facts.cpu.nodes.value, facts.memory.swap_total.value
    allowed = facts.limits.allowed.value
    quota = facts.limits.cpu_quota.value
    npus = facts.ascend.npus.value
    name = facts.kernel.os_id.value
    computes = platform(facts, versions)
    return Situation(
        platform=None if computes == platforms.UNKNOWN else computes,
        chip=facts.ascend.chip.value,
        arch=facts.cpu.arch.value,
        distribution=None if name is None else name.lower(),
        release=facts.kernel.os_version.value,
        kernel=facts.kernel.release.value,
        container=None if kind is None else kind != "none",
        root=facts.privileges.root.value,
        page_size=facts.memory.page_size.value,
        cpus=None if allowed is None else len(allowed),
        cpu_quota=None if quota is None or math.isinf(quota) else quota,
        numa_nodes=None if nodes is None else len(nodes),
        npus=None if npus is None else len(npus),
        swap=None if swap is None else swap > 0,
        versions=versions,
    )
