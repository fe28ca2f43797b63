"""The machine that the stand-in plays: its chip, its devices, and what goes wrong on it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from trimtab.errors import UsageError

SOC: Mapping[str, str] = MappingProxyType(
    {
        "910B3": "Ascend910B3",
        "910_93": "Ascend910_9391",
        "310P": "Ascend310P3",
        "950": "Ascend950DT_9572",
    }
)
"""Chip → what aclrtGetSocName says, as torch_npu's table of SoC versions spells it."""

PLACEHOLDERS = Path(__file__).with_name("placeholders")
"""Python modules that stand for packages that are to be had nowhere; first on the path."""


@dataclass(frozen=True, slots=True)
class StandIn:
    """A machine with NPUs that do nothing.

    ``memory_gib`` is the memory of one device. ``fault`` is what goes wrong, as fault.c reads it.
    """

    chip: str = "910B3"
    devices: int = 8
    memory_gib: int = 8
    fault: str = ""

    def environment(self, libraries: Path, python_path: str = "") -> dict[str, str]:
        """Return what a process needs to find the stand-in in ``libraries``.

        ``python_path`` is the PYTHONPATH to keep behind the placeholders.

        Raises:
            UsageError: the chip is not one that the stand-in can play.
        """
        if self.chip not in SOC:
            raise UsageError(f"the chip must be one of {', '.join(SOC)}, but is {self.chip!r}")
        paths = [str(PLACEHOLDERS), *([python_path] if python_path else [])]
        return {
            "LD_LIBRARY_PATH": str(libraries),
            "PYTHONPATH": ":".join(paths),
            "TRIMTAB_STANDIN_SOC": SOC[self.chip],
            "TRIMTAB_STANDIN_DEVICES": str(self.devices),
            "TRIMTAB_STANDIN_MEMORY": str(self.memory_gib << 30),
            **({"TRIMTAB_STANDIN_FAULT": self.fault} if self.fault else {}),
        }
