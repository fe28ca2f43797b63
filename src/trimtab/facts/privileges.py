"""What this process may change. Whether one path is writable, only writing it can tell."""

from __future__ import annotations

from dataclasses import dataclass

from trimtab.host import Host
from trimtab.model import Fact


@dataclass(frozen=True, slots=True)
class PrivilegeFacts:
    """``root``: the effective user is 0. In a container that is necessary, not sufficient."""

    root: Fact[bool]


def read(host: Host) -> PrivilegeFacts:
    """Read the privileges of this process."""
    return PrivilegeFacts(root=Fact(host.euid() == 0, "geteuid"))
