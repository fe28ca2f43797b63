"""Places: what a host write addresses, as text that is read, written and compared.

A path under ``/proc`` or ``/sys`` is a kernel setting. Everything else that changes with a host's
settings has a name with a scheme, so that one journal holds it all in one order:

    file:/etc/sysctl.d/99-trimtab.conf   a configuration file, whole; absent is a state too
    link:/etc/.../multi-user.target.wants/x.service   a symbolic link and its target
    folder:/etc/tuned/trimtab            a folder that must be there
    service:irqbalance.service           "active" or "inactive"
    swap:/dev/sda2                       "on PRIORITY" or "off"
    limits:nofile                        what sessions begin with (pam_limits)
    rlimit:4242:9876:nofile              "SOFT:HARD" of the process that began at that tick
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from trimtab.errors import HostError
from trimtab.host import Host
from trimtab.host_resources.files import (
    File,
    Folder,
    KernelFile,
    Link,
    ResourceKind,
    Service,
    SwapResource,
)
from trimtab.host_resources.limits import LABELS, ProcessLimit, SessionLimit

__all__ = [
    "KINDS",
    "ResourceKind",
    "boot",
    "is_place",
    "is_same_text",
    "kind_of",
    "lasts",
    "read",
    "restore",
    "write",
]

BOOT_ID = "/proc/sys/kernel/random/boot_id"

_KERNEL = KernelFile()
KINDS: Mapping[str, ResourceKind] = MappingProxyType(
    {
        "file": File(),
        "link": Link(),
        "folder": Folder(),
        "service": Service(),
        "swap": SwapResource(),
        "limits": SessionLimit(),
        "rlimit": ProcessLimit(),
    }
)
_LASTING = ("file:", "link:", "folder:", "limits:")


def kind_of(place: str) -> tuple[ResourceKind, str]:
    """Return what kind of place it is, and its name within it.

    Raises:
        HostError: there is no such kind.
    """
    if place.startswith("/"):
        return _KERNEL, place
    scheme, _, name = place.partition(":")
    if scheme not in KINDS or not name:
        raise HostError(f"a host write must address one of {', '.join(KINDS)}, but is {place!r}")
    return KINDS[scheme], name


def is_place(place: object) -> bool:
    """Whether it is text that addresses a place, of which there need be none."""
    if not isinstance(place, str) or not place.isprintable():
        return False
    try:
        _, name = kind_of(place)
    except HostError:
        return False
    if place.startswith("rlimit:"):
        parts = name.split(":")
        return len(parts) == 3 and parts[-1] in LABELS
    return True


def read(host: Host, place: str) -> str | None:
    """Return what is there now; ``None`` if nothing is.

    Raises:
        HostError: it cannot be read.
    """
    kind, name = kind_of(place)
    return kind.read(host, name)


def write(host: Host, place: str, text: str) -> None:
    """Write a wanted text.

    Raises:
        HostError: it is refused.
    """
    kind, name = kind_of(place)
    kind.write(host, name, text)


def restore(host: Host, place: str, before: str | None) -> None:
    """Put back what `read` returned before.

    Raises:
        HostError: it is refused.
    """
    kind, name = kind_of(place)
    kind.restore(host, name, before)


def tidy(host: Host, place: str) -> None:
    """Remove what an interrupted write may have left beside the place."""
    kind, name = kind_of(place)
    kind.tidy(host, name)


def is_same_text(place: str, one: str | None, other: str | None) -> bool:
    """Whether two texts of a place mean the same."""
    if one is None or other is None:
        return one is other
    kind, name = kind_of(place)
    return kind.canonical(name, one) == kind.canonical(name, other)


def display_text(place: str, text: str | None) -> str:
    """Return a text as people read it: the chosen word, or how much a file holds."""
    if text is None:
        return "absent"
    if place.startswith("file:"):
        return f"{len(text.splitlines())} lines"
    kind, name = kind_of(place)
    return kind.canonical(name, text)


def lasts(place: str) -> bool:
    """Whether what is written there outlives a reboot."""
    return place.startswith(_LASTING)


def boot(host: Host) -> str:
    """Return the kernel's random name of this boot, "" if it cannot be read."""
    try:
        return host.read(BOOT_ID).strip()
    except HostError:
        return ""
