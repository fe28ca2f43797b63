"""A follower of several hosts (``--headless``): it has engines, and no API that could be asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trimtab.model import Process
from trimtab.server import listeners

ROLES = ("engine", "worker")
_INITIALIZED = "init engine ("
"""What the log of an engine says once its model is loaded (vLLM 0.32 v1/engine/core.py)."""

STEADY = 20
"""Looks in a row at which the same processes stand: the workers of a follower log no end."""


def is_follower(argv: Sequence[str]) -> bool:
    """Whether a command, or the ``--config`` file in it, starts engines without an API."""
    return "--headless" in listeners.with_file(argv)


@dataclass(slots=True)
class Standing:
    """Whether the engines of a follower stand, look by look."""

    seen: frozenset[int] = frozenset()
    looks: int = 0

    def look(self, tree: Sequence[Process], log: str) -> bool:
        """Return whether they do: an engine logs that it is initialized, or no process changes."""
        found = frozenset(one.pid for one in tree if one.role in ROLES)
        self.looks = self.looks + 1 if found == self.seen else 0
        self.seen = found
        engines = sum(one.role == "engine" for one in tree)
        initialized = log.count(_INITIALIZED) >= engines > 0
        return bool(found) and (initialized or self.looks >= STEADY)
