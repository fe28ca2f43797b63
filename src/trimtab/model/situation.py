"""The situation: what decides whether a setting is right, each part known or not.

Rules get nothing else about a machine. ``None`` is "not known", and a rule then says under which
condition its finding holds, rather than guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """A machine and software stack as far as known.

    ``platform`` is one of ``platforms.PLATFORMS``; ``chip`` "A2", "A3", "310P", "950" or "910"
    (the older training series); ``graphs`` whether graph capture is on; ``hosts`` the number of
    machines that serve together; ``npus`` the devices this service sees; ``distribution`` and
    ``release`` as in os-release ("openeuler", "24.03"); ``versions`` maps a component (vllm,
    vllm-ascend, torch, torch-npu, cann, driver, python) to its version. ``page_size`` in bytes.
    ``cpus`` are those that the service may run on; ``cpu_quota`` how many CPUs' time it gets.
    """

    platform: str | None = None
    chip: str | None = None
    graphs: bool | None = None
    sleep_mode: bool | None = None
    arch: str | None = None
    distribution: str | None = None
    release: str | None = None
    kernel: str | None = None
    container: bool | None = None
    root: bool | None = None
    page_size: int | None = None
    cpus: int | None = None
    cpu_quota: float | None = None
    numa_nodes: int | None = None
    npus: int | None = None
    hosts: int | None = None
    swap: bool | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
