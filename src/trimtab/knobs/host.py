"""A kernel setting under ``/proc/sys``, named as sysctl(8) names it.

What host knobs share: a value that is one file's text.

A file under ``/sys``, or one file of each CPU.

One file of each disk that must hold at least a number.

The CPUs that serve some interrupts.

Whether the host swaps at all: every swap area, on or off.

A resource limit that sessions begin with (pam_limits), or that one process is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trimtab.errors import UsageError
from trimtab.facts import Facts
from trimtab.facts.interrupts import Interrupt
from trimtab.facts.parsing import format_cpu_list, parse_cpu_list
from trimtab.knobs.protocol import Draft, parse_value, require_text
from trimtab.model import Check, CheckKind, HostWrite, Proof, Settings, Value


def write_host_file(draft: Draft, path: str, value: Value) -> None:
    """Draft the write of a value and its check; ``None`` leaves the file as it is.

    That the file holds the value proves delivery: what it does to the server shows elsewhere.
    """
    if value is None:
        draft.writes.pop(path, None)
        return
    text = require_text(path, value)
    draft.writes[path] = text
    draft.checks.append(Check(CheckKind.HOST_FILE, path, text, proves=Proof.DELIVERY))


def written_value(writes: Sequence[HostWrite], path: str, kind: type[str] | type[int]) -> Value:
    """Return the value that the writes give to a file, ``None`` if none."""
    for write_ in writes:
        if write_.path == path:
            return parse_value(write_.text, kind)
    return None


@dataclass(frozen=True, slots=True)
class Sysctl:
    """A setting such as ``vm.swappiness``."""

    name: str
    kind: type[str] | type[int] = int

    @property
    def place(self) -> str:
        """The setting's name."""
        return self.name

    @property
    def path(self) -> str:
        """The file behind it."""
        return f"/proc/sys/{self.name.replace('.', '/')}"

    @property
    def setting(self) -> str:
        """See `Knob.setting`."""
        return self.path

    @property
    def probe(self) -> str:
        """A file that exists where the setting does."""
        return self.path

    def contribute(self, draft: Draft, value: Value, facts: Facts) -> None:
        """Draft the write."""
        write_host_file(draft, self.path, value)

    def parse(self, settings: Settings, writes: Sequence[HostWrite] = ()) -> Value:
        """Return what the writes set; the live value is a fact, not a setting."""
        return written_value(writes, self.path, self.kind)


@dataclass(frozen=True, slots=True)
class Sysfs:
    """A file, or with ``{cpu}`` in its path the same file of every online CPU."""

    path: str
    kind: type[str] | type[int] = str

    @property
    def place(self) -> str:
        """The path as people would write it."""
        return self.path.replace("{cpu}", "*")

    @property
    def setting(self) -> str:
        """See `Knob.setting`."""
        return self.place

    @property
    def probe(self) -> str:
        """A file that exists where the setting does: the first CPU's, if each has one."""
        return self.path.replace("{cpu}", "0")

    def contribute(self, draft: Draft, value: Value, facts: Facts) -> None:
        """Draft the write of every file."""
        for path in self._paths(facts):
            write_host_file(draft, path, value)

    def parse(self, settings: Settings, writes: Sequence[HostWrite] = ()) -> Value:
        """Return what the writes set, if they set all files to the same."""
        if "{cpu}" not in self.path:
            return written_value(writes, self.path, self.kind)
        before, _, after = self.path.partition("{cpu}")
        mine = [w.path for w in writes if w.path.startswith(before) and w.path.endswith(after)]
        values = {written_value(writes, path, self.kind) for path in mine}
        return values.pop() if len(values) == 1 else None

    def _paths(self, facts: Facts) -> tuple[str, ...]:
        if "{cpu}" not in self.path:
            return (self.path,)
        online = facts.cpu.online.value or ()
        return tuple(self.path.replace("{cpu}", str(cpu)) for cpu in online)


_PATH = "/sys/block/{disk}/queue/read_ahead_kb"


@dataclass(frozen=True, slots=True)
class ReadAhead:
    """How far the kernel reads ahead, in KiB. A disk that reads further keeps what it has."""

    @property
    def place(self) -> str:
        """The files as people would write them."""
        return _PATH.replace("{disk}", "*")

    @property
    def setting(self) -> str:
        """See `Knob.setting`."""
        return self.place

    def contribute(self, draft: Draft, value: Value, facts: Facts) -> None:
        """Draft the write of every disk that has less."""
        if value is None:
            return
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise UsageError(f"{self.place} must be a number of KiB, but is {value!r}")
        for disk, now in (facts.disks.read_ahead.value or {}).items():
            if now < value:
                write_host_file(draft, _PATH.replace("{disk}", disk), value)

    def parse(self, settings: Settings, writes: Sequence[HostWrite] = ()) -> Value:
        """Return what the writes set, if they set all disks to the same."""
        before, _, after = _PATH.partition("{disk}")
        values = {
            written_value(writes, write.path, int)
            for write in writes
            if write.path.startswith(before) and write.path.endswith(after)
        }
        return values.pop() if len(values) == 1 else None


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
        return tuple(
            interrupt for interrupt in facts.interrupts.all.value or () if self._mine(interrupt)
        )

    def contribute(self, draft: Draft, value: Value, facts: Facts) -> None:
        """Draft the write of every such interrupt."""
        if value is None:
            return
        for interrupt in self.chosen(facts):
            path = f"/proc/irq/{interrupt.number}/smp_affinity_list"
            write_host_file(draft, path, self._cpus(interrupt, str(value), facts))

    def parse(self, settings: Settings, writes: Sequence[HostWrite] = ()) -> Value:
        """Return the CPUs that the writes give to all of them; "local" if they differ."""
        lists = {write.text for write in writes if write.path.startswith("/proc/irq/")}
        return (lists.pop() if len(lists) == 1 else LOCAL) if lists else None

    def _mine(self, interrupt: Interrupt) -> bool:
        if self.network:
            return interrupt.network
        return any(label in interrupt.label for label in NPU_LABELS)

    def _cpus(self, interrupt: Interrupt, value: str, facts: Facts) -> str:
        if value == LOCAL:
            if not interrupt.local:
                raise UsageError(
                    f"interrupt {interrupt.number} must belong to a PCI device to be served near "
                    "it, "
                    "but its device is unknown: give a CPU list"
                )
            return interrupt.local
        online = facts.cpu.online.value
        try:
            cpus = parse_cpu_list(value)
        except ValueError as error:
            raise UsageError(f"{self.place} must be local or a CPU list: {error}") from error
        if not cpus or (online is not None and not set(cpus) <= set(online)):
            raise UsageError(f"{self.place} must name online CPUs, but is {value!r}")
        return format_cpu_list(cpus)


OFF = "off"


@dataclass(frozen=True, slots=True)
class SwapAreas:
    """The value is "off". What is on is listed in ``/proc/swaps``."""

    @property
    def place(self) -> str:
        """The command that people type."""
        return "swapoff -a"

    @property
    def setting(self) -> str:
        """See `Knob.setting`."""
        return "swap"

    def contribute(self, draft: Draft, value: Value, facts: Facts) -> None:
        """Draft one write for each area that is on."""
        if value is None:
            return
        if value != OFF:
            raise UsageError(f"swap must be {OFF!r} to be changed, but is {value!r}")
        for area in facts.memory.swaps.value or ():
            draft.writes[f"swap:{area.name}"] = OFF

    def parse(self, settings: Settings, writes: Sequence[HostWrite] = ()) -> Value:
        """Return "off" if the writes switch an area off."""
        return OFF if any(write.path.startswith("swap:") for write in writes) else None


UNLIMITED = "unlimited"


@dataclass(frozen=True, slots=True)
class LoginLimit:
    """``nofile`` (a number) or ``memlock`` (bytes, or "unlimited"), as prlimit(1) calls them."""

    name: str
    command: str

    @property
    def place(self) -> str:
        """The command that people type."""
        return self.command

    @property
    def setting(self) -> str:
        """See `Knob.setting`."""
        return self.name

    def contribute(self, draft: Draft, value: Value, facts: Facts) -> None:
        """Draft the write."""
        if value is None:
            return
        text = str(value)
        if text != UNLIMITED and not (text.isascii() and text.isdigit()):
            raise UsageError(f"{self.name} must be a number or {UNLIMITED}, but is {value!r}")
        draft.writes[f"limits:{self.name}"] = text

    def parse(self, settings: Settings, writes: Sequence[HostWrite] = ()) -> Value:
        """Return what the writes set."""
        for write in writes:
            if write.path == f"limits:{self.name}":
                return parse_value(write.text, int)
        return None
