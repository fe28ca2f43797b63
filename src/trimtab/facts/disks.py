"""Block devices that hold files, and how far ahead the kernel reads on them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from trimtab.errors import HostError
from trimtab.host import Host
from trimtab.model import Fact

_FILES = "/sys/block/*/queue/read_ahead_kb"
_NO_DISK = re.compile(r"(loop|ram|zram|sr|fd|nbd)\d+")


@dataclass(frozen=True, slots=True)
class DiskFacts:
    """``read_ahead``: device (``nvme0n1``, ``md0``, ``dm-0``) to KiB."""

    read_ahead: Fact[Mapping[str, int]]


def read(host: Host) -> DiskFacts:
    """Read the facts of the disks; devices without a medium of their own are none."""
    found: dict[str, int] = {}
    for path in host.glob(_FILES):
        name = path.split("/")[3]
        if _NO_DISK.fullmatch(name):
            continue
        try:
            found[name] = int(host.read(path))
        except (HostError, ValueError) as error:
            return DiskFacts(Fact.unknown(path, f"cannot be read: {error}"))
    if not found:
        return DiskFacts(Fact.unknown(_FILES, "no disk shows it"))
    return DiskFacts(Fact(MappingProxyType(found), _FILES))
