"""What every kind of place can do.

A service of systemd, as systemctl(1) shows and changes it.
"""

from __future__ import annotations

from typing import Protocol

from trimtab.host import Host


class ResourceKind(Protocol):
    """One kind of place. Failures raise `HostError` with one line."""

    def read(self, host: Host, name: str) -> str | None:
        """Return what is there now, ``None`` if nothing is."""
        ...

    def write(self, host: Host, name: str, text: str) -> None:
        """Write a wanted text."""
        ...

    def restore(self, host: Host, name: str, before: str | None) -> None:
        """Put back what ``read`` returned."""
        ...

    def tidy(self, host: Host, name: str) -> None:
        """Remove what an interrupted write may have left beside the place."""
        ...

    def canonical(self, name: str, text: str) -> str:
        """Return the one form of all texts that mean the same there."""
        ...


ACTIVE, INACTIVE = "active", "inactive"
_RUNS = ("active", "activating", "reloading", "refreshing")
_PATIENCE = 90.0
"""Seconds for a stop or start: systemd's own default."""


class Service:
    """Whether a unit runs. Whether it starts at boot is not touched."""

    def read(self, host: Host, name: str) -> str | None:
        """See `ResourceKind.read`."""
        state = host.run(["systemctl", "show", "--property=ActiveState", "--value", name])
        return ACTIVE if state.strip() in _RUNS else INACTIVE

    def write(self, host: Host, name: str, text: str) -> None:
        """See `ResourceKind.write`."""
        host.run(["systemctl", "start" if text == ACTIVE else "stop", name], _PATIENCE)

    def restore(self, host: Host, name: str, before: str | None) -> None:
        """See `ResourceKind.restore`."""
        self.write(host, name, before or INACTIVE)

    def tidy(self, host: Host, name: str) -> None:
        """See `ResourceKind.tidy`: a service has nothing beside it."""

    def canonical(self, name: str, text: str) -> str:
        """See `ResourceKind.canonical`."""
        return text
