"""What is known: facts of the machine, and the terms the catalogue speaks in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeAlias, TypeVar

T = TypeVar("T")

Value: TypeAlias = bool | int | float | str | None
"""What a tuning can be set to. ``None`` means: not set at all."""

Candidate: TypeAlias = tuple[tuple[str, Value], ...]
"""Tuning → value, as sorted pairs (hashable). The empty candidate is the baseline."""

BASELINE: Candidate = ()


def candidate(values: Mapping[str, Value]) -> Candidate:
    """Return the canonical (sorted, hashable) form of a mapping tuning → value."""
    return tuple(sorted(values.items()))


@dataclass(frozen=True, slots=True)
class Fact(Generic[T]):
    """Something read from the machine, with where it came from.

    ``value`` is ``None`` exactly when it is unknown, and then ``reason`` says why: an unknown
    is never 0 or "".
    """

    value: T | None
    source: str
    reason: str = ""

    def __post_init__(self) -> None:
        if (self.value is None) != bool(self.reason):
            raise ValueError(
                f"a fact has a value or a reason for having none, but got {self.value!r} "
                f"with reason {self.reason!r} from {self.source}"
            )

    @classmethod
    def unknown(cls, source: str, reason: str) -> Fact[T]:
        """Return a fact that could not be read, with the reason."""
        return cls(None, source, reason)


class Scope(StrEnum):
    """What a tuning changes: one process tree, the whole host, a container, or its image."""

    PROCESS = "process"
    HOST = "host"
    CONTAINER = "container"
    IMAGE = "image"


class RestartCost(StrEnum):
    """What it takes for a new value to act."""

    LIVE = "live"
    PROCESS = "process"
    REINSTALL = "reinstall"
    REBOOT = "reboot"


class RiskLevel(StrEnum):
    """How much a tuning can cost besides time. Ordered by ``rank``."""

    NONE = "none"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"

    @property
    def rank(self) -> int:
        """Position in the order none < low < medium < high."""
        return list(RiskLevel).index(self)


@dataclass(frozen=True, slots=True)
class Risk:
    """What a tuning can cost: its level and one sentence."""

    level: RiskLevel
    sentence: str
