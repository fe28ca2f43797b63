"""Interrupts: whose they are, and which CPUs are on their device's NUMA node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trimtab.errors import HostError
from trimtab.host import Host
from trimtab.model import Fact

_INTERRUPTS = "/proc/interrupts"
_DEVICES = "/sys/bus/pci/devices"


@dataclass(frozen=True, slots=True)
class Interrupt:
    """One interrupt. ``label`` is its line's text after the counts: controller and handlers.

    ``device`` is a PCI address and ``local`` the CPUs of its node as a list, "" where unknown.
    ``network``: the device is a network card.
    """

    number: int
    label: str
    device: str = ""
    local: str = ""
    network: bool = False


@dataclass(frozen=True, slots=True)
class InterruptFacts:
    """``all``: the numbered interrupts in order."""

    all: Fact[tuple[Interrupt, ...]]


def parse_interrupts(text: str) -> dict[int, str]:
    """Return the label of each numbered line of ``/proc/interrupts``."""
    lines = text.splitlines()
    cpus = len(lines[0].split()) if lines else 0
    found = {}
    for line in lines[1:]:
        number, colon, rest = line.partition(":")
        if colon and number.strip().isdigit():
            found[int(number)] = " ".join(rest.split()[cpus:])
    return found


def read(host: Host) -> InterruptFacts:
    """Read the facts of the interrupts."""
    try:
        labels = parse_interrupts(host.read(_INTERRUPTS))
    except HostError as error:
        return InterruptFacts(Fact.unknown(_INTERRUPTS, str(error)))
    devices = {
        int(path.rpartition("/")[2]): path.split("/")[5]
        for path in host.glob(f"{_DEVICES}/*/msi_irqs/*")
        if path.rpartition("/")[2].isdigit()
    }
    cards = {
        path.split("/")[5]
        for pattern in (f"{_DEVICES}/*/net/*", f"{_DEVICES}/*/virtio*/net/*")
        for path in host.glob(pattern)
    }
    local = {device: _local(host, device) for device in sorted(set(devices.values()))}
    return InterruptFacts(
        Fact(
            tuple(
                _interrupt(number, label, devices.get(number, ""), local, cards)
                for number, label in sorted(labels.items())
            ),
            _INTERRUPTS,
        )
    )


def _interrupt(
    number: int, label: str, device: str, local: Mapping[str, str], cards: set[str]
) -> Interrupt:
    return Interrupt(number, label, device, local.get(device, ""), device in cards)


def _local(host: Host, device: str) -> str:
    try:
        return host.read(f"{_DEVICES}/{device}/local_cpulist").strip()
    except HostError:
        return ""
