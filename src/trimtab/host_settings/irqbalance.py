"""irqbalance, which moves interrupts as it sees fit: it is stopped while ours are placed."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab import host_resources
from trimtab.errors import HostError
from trimtab.host import Host
from trimtab.host_resources.service import ACTIVE, INACTIVE
from trimtab.model import HostWrite

SERVICE = "service:irqbalance.service"
_INTERRUPTS = "/proc/irq/"


def is_interrupt(place: str) -> bool:
    """Whether a place is one that irqbalance writes as well."""
    return place.startswith(_INTERRUPTS)


def stopping(host: Host, settings: Sequence[HostWrite]) -> tuple[HostWrite | None, str]:
    """Return the write that stops irqbalance, where it runs and interrupts are placed.

    The text is why they cannot be placed, "" if they can.
    """
    if not any(is_interrupt(one.path) for one in settings) or not _runs(host):
        return None, ""
    try:
        state = host_resources.read(host, SERVICE)
    except HostError as error:
        return None, f"irqbalance runs and would move it back, and is not to be stopped: {error}"
    if state != ACTIVE:
        return None, "irqbalance runs and would move it back, but not as a service: stop it first"
    return HostWrite(SERVICE, INACTIVE), ""


def _runs(host: Host) -> bool:
    for path in host.glob("/proc/[0-9]*/comm"):
        try:
            if host.read(path).strip() == "irqbalance":
                return True
        except HostError:
            continue  # it has ended meanwhile
    return False
