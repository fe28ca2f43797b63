"""The CPUs that serve some interrupts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trimtab.errors import UsageError
from trimtab.facts import Facts
from trimtab.facts.interrupts import Interrupt
from trimtab.facts.parsing import format_cpu_list, parse_cpu_list
from trimtab.knobs import host_file
from trimtab.knobs.draft import Draft
from trimtab.model import HostWrite, Settings, Value

LOCAL = "local"
"""The value for the CPUs of each device's own NUMA node."""

NPU_LABELS = ("sq_send_trigger_irq", "cq_update_irq")
"""The handlers of an NPU's submission and completion queues, as vllm-ascend looks for them."""


@dataclass(frozen=True, slots=True)
class Interrupts:
    """Of NPUs or, with ``network``, of network cards. The value is "local" or a CPU list."""

    network: bool = False

    @property
    def place(self) -> str:
        """The files as people would write them."""
        return "/proc/irq/*/smp_affinity_list"

    @property
    def setting(self) -> str:
        """See `Knob.setting`."""
        return "nic-irq-affinity" if self.network else "irq-affinity"

    def chosen(self, facts: Facts) -> tuple[Interrupt, ...]:
        """Return the interrupts that it is about here."""
        return tuple(one for one in facts.interrupts.all.value or () if self._mine(one))

    def contribute(self, draft: Draft, value: Value, facts: Facts) -> None:
        """Draft the write of every such interrupt."""
        if value is None:
            return
        for one in self.chosen(facts):
            path = f"/proc/irq/{one.number}/smp_affinity_list"
            host_file.write_host_file(draft, path, self._cpus(one, str(value), facts))

    def parse(self, settings: Settings, writes: Sequence[HostWrite] = ()) -> Value:
        """Return the CPUs that the writes give to all of them; "local" if they differ."""
        lists = {one.text for one in writes if one.path.startswith("/proc/irq/")}
        return (lists.pop() if len(lists) == 1 else LOCAL) if lists else None

    def _mine(self, one: Interrupt) -> bool:
        if self.network:
            return one.network
        return any(label in one.label for label in NPU_LABELS)

    def _cpus(self, one: Interrupt, value: str, facts: Facts) -> str:
        if value == LOCAL:
            if not one.local:
                raise UsageError(
                    f"interrupt {one.number} must belong to a PCI device to be served near it, "
                    "but its device is unknown: give a CPU list"
                )
            return one.local
        online = facts.cpu.online.value
        try:
            cpus = parse_cpu_list(value)
        except ValueError as error:
            raise UsageError(f"{self.place} must be local or a CPU list: {error}") from error
        if not cpus or (online is not None and not set(cpus) <= set(online)):
            raise UsageError(f"{self.place} must name online CPUs, but is {value!r}")
        return format_cpu_list(cpus)
