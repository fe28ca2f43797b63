"""From the facts of a machine to the situation that rules judge settings in."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from trimtab.facts import Facts
from trimtab.model.situation import Situation


def platform(facts: Facts, packages: Collection[str] = ()) -> str:
    """Return what computes here: "ascend" or "cuda" where a device shows, else "cpu".

    The plugin for NPUs decides even where none shows (in a container without the driver's nodes,
    or over a stand-in): its settings are what a server of that environment reads.
    """
    if facts.ascend.present or "vllm-ascend" in packages:
        return "ascend"
    return "cuda" if facts.cuda.present else "cpu"


def of(facts: Facts, packages: Mapping[str, str] | None = None) -> Situation:
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
    npus = facts.ascend.npus.value
    name = facts.kernel.os_id.value
    return Situation(
        platform=platform(facts, versions),
        chip=facts.ascend.chip.value,
        arch=facts.cpu.arch.value,
        distribution=None if name is None else name.lower(),
        release=facts.kernel.os_version.value,
        kernel=facts.kernel.release.value,
        container=None if kind is None else kind != "none",
        root=facts.privileges.root.value,
        page_size=facts.memory.page_size.value,
        cpus=None if allowed is None else len(allowed),
        numa_nodes=None if nodes is None else len(nodes),
        npus=None if npus is None else len(npus),
        swap=None if swap is None else swap > 0,
        versions=versions,
    )
