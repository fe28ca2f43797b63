"""A thing that no launch sets: an image's content, a container's flag, a step of an installation.

Such an entry is known to doctor, lint and docs; what sets it is a person, or the preparation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trimtab.errors import UsageError
from trimtab.facts import Facts
from trimtab.knobs.protocol import Draft
from trimtab.model import HostWrite, Settings, Value


@dataclass(frozen=True, slots=True)
class ManualSetting:
    """``where`` it is set, as people write it; ``setting`` is its name in findings."""

    where: str
    setting: str

    @property
    def place(self) -> str:
        """Where it is set."""
        return self.where

    def contribute(self, draft: Draft, value: Value, facts: Facts) -> None:
        """Add nothing for stock.

        Raises:
            UsageError: there is a value, and no launch can set it.
        """
        if value is not None:
            raise UsageError(f"{self.where} cannot be set by a launch: set it where it is made")

    def parse(self, settings: Settings, writes: Sequence[HostWrite] = ()) -> Value:
        """Return ``None``: a launch's settings never hold it."""
        return None
