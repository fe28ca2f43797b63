"""What every kind of place can do."""

from __future__ import annotations

from typing import Protocol

from trimtab.host import Host


class Kind(Protocol):
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
