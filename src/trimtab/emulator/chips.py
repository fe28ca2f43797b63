"""The chips that the stand-in can play: how the vendors spell them, what they consist of. Pure.

Cores, memory and bandwidth serve npu-smi's tables and the device's clock. Peak arithmetic is
computed: a cube core multiplies 16 x 16 x 16 half-precision numbers a cycle, so that a chip does
``2 * 4096 * cores * hertz`` operations a second. For a 910B2 of 24 cores at 1.8 GHz that is
353.9 T, as the documentation of CANN's operators has it (gitcode.com/cann/ops-transformer, issue
5487; there too: 432 T, 32 cores at 1.65 GHz, 128 GB and 1.6 TB/s for a 950PR). A 910B3 has 20
cores by CANN's notes on kernels. What no source gives is the nearest kin's, and marked below.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from trimtab.errors import UsageError

_OPERATIONS_PER_CYCLE = 2 * 16 * 16 * 16


@dataclass(frozen=True, slots=True)
class Chip:
    """A chip.

    ``soc`` is what aclrtGetSocName says, as torch_npu's table of SoC versions spells it; ``build``
    the device type of the vllm-ascend build made for it; ``shown`` its name in npu-smi.
    ``memory_gib`` is the product's memory, ``bandwidth`` its bytes a second, ``hertz`` the clock
    of its ``cores`` cube cores. ``per_card`` chips make a card.
    """

    soc: str
    build: str
    shown: str
    cores: int
    hertz: float
    memory_gib: int
    bandwidth: float
    per_card: int = 1

    @property
    def flops(self) -> float:
        """Half-precision operations a second of the cube cores."""
        return _OPERATIONS_PER_CYCLE * self.cores * self.hertz


CHIPS: Mapping[str, Chip] = MappingProxyType(
    {
        "910B1": Chip("Ascend910B1", "A2", "910B1", 24, 1.8e9, 64, 1.6e12),
        "910B2": Chip("Ascend910B2", "A2", "910B2", 24, 1.8e9, 64, 1.6e12),
        "910B2C": Chip("Ascend910B2C", "A2", "910B2C", 24, 1.8e9, 64, 1.6e12),
        "910B3": Chip("Ascend910B3", "A2", "910B3", 20, 1.8e9, 64, 1.6e12),
        "910B4": Chip("Ascend910B4", "A2", "910B4", 20, 1.65e9, 32, 0.8e12),
        "910B4-1": Chip("Ascend910B4-1", "A2", "910B4-1", 20, 1.65e9, 64, 1.6e12),
        "910_93": Chip("Ascend910_9391", "A3", "Ascend910", 24, 1.8e9, 64, 1.6e12, 2),
        "910_9392": Chip("Ascend910_9392", "A3", "Ascend910", 24, 1.8e9, 64, 1.6e12, 2),
        "310P": Chip("Ascend310P3", "_310P", "310P3", 8, 1.08e9, 21, 0.2e12, 2),
        "950": Chip("Ascend950PR_9599", "A5", "Ascend950PR", 32, 1.65e9, 128, 1.6e12),
    }
)
"""Name → chip. The numbers of 910B2, 910B3 and 950 have the sources above; a die of a 910_93 is
taken for a 910B2's; those of 910B4 and 310P are usual figures, without a source."""


def chip(name: str) -> Chip:
    """Return a chip by its name.

    Raises:
        UsageError: the stand-in cannot play it.
    """
    if name not in CHIPS:
        raise UsageError(f"the chip must be one of {', '.join(CHIPS)}, but is {name!r}")
    return CHIPS[name]
