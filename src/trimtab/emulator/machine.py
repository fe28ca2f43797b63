"""The machine that the emulator plays: its chip, its devices, and what goes wrong on it. Pure.

The machine that is played, as trimtab's facts read it: this one, with NPUs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from trimtab.errors import UsageError
from trimtab.host import LIMIT, LocalHost

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


SOC: Mapping[str, str] = MappingProxyType({name: one.soc for name, one in CHIPS.items()})
"""Chip → what aclrtGetSocName says."""

PLACEHOLDERS = Path(__file__).with_name("placeholders")
"""Python modules that stand for packages that are to be had nowhere; first on the path."""

DEVICES_AT_MOST = 64
MEMORY_AT_MOST = max(one.memory_gib for one in CHIPS.values())
"""GiB of a device: no product has more, and vLLM keeps a record in host memory for each block."""

CALLS = (
    "memory",
    "launch",
    "atb",
    "aclrtSetDevice",
    "aclrtMemcpy",
    "aclrtMemcpyAsync",
    "aclrtSynchronizeStream",
    "aclrtSynchronizeDevice",
    "aclrtSynchronizeEvent",
    "aclmdlRICaptureBegin",
    "aclmdlRIExecuteAsync",
    "HcclGetRootInfo",
    "HcclCommInit",
)
"""The calls that ask for a fault in the sources of the runtime; an operator's name is one too."""

FAULTS_AT_MOST = 8
FAULT_CHARACTERS = 511
"""What runtime/fault.c has room for."""

_OPERATOR = re.compile(r"aclnn[A-Za-z0-9]{1,58}")  # 63 characters are read of a call
_FAULT = re.compile(r"(\w+):(?:full|lost|slow\d{0,6}|[1-9]\d{0,8})(?::\d{1,9})?", re.ASCII)
_CLOCK = re.compile(r"chip|fixed:\d+(\.\d+)?")
_CPUS = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*")


@dataclass(frozen=True, slots=True)
class EmulatedMachine:
    """A machine with NPUs that compute nothing.

    ``memory_gib`` is the memory of one device: 8 rather than the product's own, because vLLM keeps
    a record in host memory for every block of KV cache that would fit. ``near`` holds the CPU list
    of each device ("0-23"); empty, the devices are spread over this machine's NUMA nodes.
    ``fault`` is what goes wrong, as runtime/fault.c reads it (``call:kind[:after],…``), of a call
    of :data:`CALLS` or an operator. ``clock``
    is "" (operators take no time), "chip" (a roofline of the chip) or "fixed:N" (N microseconds an
    operator). ``cann`` is the version of CANN to play, "" for none. ``arm`` lets vllm-ascend
    believe that the CPU is an ARM, without which it binds no CPUs.
    """

    chip: str = "910B3"
    devices: int = 8
    memory_gib: int = 8
    near: tuple[str, ...] = ()
    fault: str = ""
    clock: str = ""
    cann: str = ""
    arm: bool = False

    def environment(self, libraries: Path, python_path: str = "") -> dict[str, str]:
        """Return what a process needs to find the stand-in in ``libraries``.

        ``python_path`` is the PYTHONPATH to keep behind the placeholders. See also
        :func:`trimtab.emulator.tree.write_tree` for npu-smi and the folder of CANN.

        Raises:
            UsageError: a field is not what the stand-in can play.
        """
        self.check()
        paths = [str(PLACEHOLDERS), *([python_path] if python_path else [])]
        played = {
            "SOC": chip(self.chip).soc,
            "BUILD": chip(self.chip).build,
            "CORES": str(chip(self.chip).cores),
            "DEVICES": str(self.devices),
            "MEMORY": str(self.memory_gib << 30),
            "AFFINITY": ";".join(self.near),
            "FAULT": self.fault,
            "CLOCK": self.clock,
            "BANDWIDTH": f"{chip(self.chip).bandwidth:.0f}",
            "FLOPS": f"{chip(self.chip).flops:.0f}",
            "CANN": self.cann,
            "ARM": "1" if self.arm else "",
        }
        return {
            # vllm-ascend is written for torch 2.10; later ones refuse to cache what its compiler
            # gives back ("expected OutputCode, got GraphModule"), and end the start by it.
            "TORCHINDUCTOR_AUTOGRAD_CACHE": "0",
            # Where CI is set, torch makes an error of what it otherwise warns of: an operator of
            # vllm-ascend that gives back its input ("may not alias any inputs").
            "CI": "",
            "LD_LIBRARY_PATH": str(libraries),
            "PYTHONPATH": ":".join(paths),
            **{f"TRIMTAB_STANDIN_{name}": value for name, value in played.items() if value},
        }

    def check(self) -> None:
        """Make sure that the stand-in can play it.

        Raises:
            UsageError: a field is not what it can play.
        """
        chip(self.chip)
        if not 1 <= self.devices <= DEVICES_AT_MOST:
            raise UsageError(f"devices must be 1 to {DEVICES_AT_MOST}, but is {self.devices}")
        if not 1 <= self.memory_gib <= MEMORY_AT_MOST:
            raise UsageError(f"memory_gib must be 1 to {MEMORY_AT_MOST}, but is {self.memory_gib}")
        if self.near and len(self.near) != self.devices:
            raise UsageError(
                f"near must hold a CPU list for each of {self.devices} devices, joined by ';' "
                f"(0-23;24-47 for two), but holds {len(self.near)}"
            )
        for cpus in self.near:
            if not _CPUS.fullmatch(cpus):
                raise UsageError(
                    "near must hold CPU lists such as 0-23, one for each device, joined by ';', "
                    f"but holds {cpus!r}"
                )
        if self.fault:
            self._check_fault()
        if self.clock and not _CLOCK.fullmatch(self.clock):
            raise UsageError(f"clock must be chip or fixed:MICROSECONDS, but is {self.clock!r}")

    def faulty_operators(self) -> tuple[str, ...]:
        """Return the operators that ``fault`` names; which there are, the built libraries tell."""
        calls = (one.partition(":")[0] for one in self.fault.split(","))
        return tuple(call for call in calls if call not in CALLS and call)

    def _check_fault(self) -> None:
        faults = self.fault.split(",")
        if len(faults) > FAULTS_AT_MOST or len(self.fault) > FAULT_CHARACTERS:
            raise UsageError(
                f"fault must be {FAULTS_AT_MOST} faults and {FAULT_CHARACTERS} characters at "
                f"most, but is {len(faults)} and {len(self.fault)}"
            )
        for fault in faults:
            match = _FAULT.fullmatch(fault)
            if match is None:
                raise UsageError(
                    "fault must be call:kind[:after], with kind full, lost, slow[milliseconds] "
                    f"or an error's number, joined by commas, but holds {fault!r}"
                )
            if match[1] not in CALLS and not _OPERATOR.fullmatch(match[1]):
                raise UsageError(
                    f"fault must name a call that can fail ({', '.join(CALLS)}, or an operator "
                    f"such as aclnnMatmul), but names {match[1]!r}"
                )


_OURS = (
    "/usr/local/Ascend",
    "/etc/ascend_install.info",
    "/dev/davinci",
    "/dev/devmm_svm",
    "/dev/hisi_hdc",
)


class EmulatedHost(LocalHost):
    """This machine, where what belongs to NPUs is read from a tree (:func:`tree.lay`)."""

    def __init__(self, folder: Path) -> None:
        self._root = folder / "root"
        self._npu_smi = folder / "bin" / "npu-smi"

    def _place(self, path: str) -> str:
        return f"{self._root}{path}" if path.startswith(_OURS) else path

    def read(self, path: str, limit: int = LIMIT) -> str:
        """See `Host.read`."""
        return super().read(self._place(path), limit)

    def head(self, path: str, size: int) -> bytes:
        """See `Host.head`."""
        return super().head(self._place(path), size)

    def exists(self, path: str) -> bool:
        """See `Host.exists`."""
        return super().exists(self._place(path))

    def glob(self, pattern: str) -> tuple[str, ...]:
        """See `Host.glob`. The paths are those of the machine that is played."""
        found = super().glob(self._place(pattern))
        return tuple(path.removeprefix(str(self._root)) for path in found)

    def listdir(self, path: str) -> tuple[str, ...]:
        """See `Host.listdir`."""
        return super().listdir(self._place(path))

    def run(self, argv: Sequence[str], timeout: float = 10.0) -> str:
        """See `Host.run`. npu-smi is the tree's."""
        words = [str(self._npu_smi), *argv[1:]] if argv[0] == "npu-smi" else argv
        return super().run(words, timeout)
