"""Whether the host swaps at all: every swap area, on or off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trimtab.errors import UsageError
from trimtab.facts import Facts
from trimtab.knobs.draft import Draft
from trimtab.model import HostWrite, Settings, Value

OFF = "off"


@dataclass(frozen=True, slots=True)
class SwapAreas:
    """The value is "off". What is on is listed in ``/proc/swaps``."""

    @property
    def place(self) -> str:
        """The command that people type."""
        return "swapoff -a"

    @property
    def setting(self) -> str:
        """See `Knob.setting`."""
        return "swap"

    def contribute(self, draft: Draft, value: Value, facts: Facts) -> None:
        """Draft one write for each area that is on."""
        if value is None:
            return
        if value != OFF:
            raise UsageError(f"swap must be {OFF!r} to be changed, but is {value!r}")
        for area in facts.memory.swaps.value or ():
            draft.writes[f"swap:{area.name}"] = OFF

    def parse(self, settings: Settings, writes: Sequence[HostWrite] = ()) -> Value:
        """Return "off" if the writes switch an area off."""
        return OFF if any(one.path.startswith("swap:") for one in writes) else None
