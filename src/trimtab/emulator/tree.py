"""What lies on a machine with NPUs beside the libraries: npu-smi, CANN's folder, device nodes.

All of it is written into a folder of ours; nothing goes to /usr/local, /etc or /dev.
"""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from trimtab.emulator.machine import EmulatedMachine, chip

DRIVER_MB = 256
"""In use on every device from the start; the same number stands in runtime/account.c."""

_NODES = Path("/sys/devices/system/node")
_FRAME = "+---------------------------+---------------+" + "-" * 52 + "+"
_DOUBLE = "+===========================+===============+" + "=" * 52 + "+"


@dataclass(frozen=True)
class SmiMachine:
    """What is told of a machine; ``state`` is the folder with a file for each process's device."""

    name: str
    per_card: int
    devices: int
    memory_mb: int
    near: list[str]
    state: str
    version: str


@dataclass(frozen=True)
class DeviceProcess:
    """A process that has opened a device, and the bytes that it has taken of it."""

    device: int
    pid: int
    name: str
    taken: int


def processes(state: Path) -> list[DeviceProcess]:
    """Return the processes that live and use a device, by device and pid."""
    found = []
    for file in state.glob("*.*"):
        device, _, pid = file.name.partition(".")
        if not (device.isdigit() and pid.isdigit()):
            continue
        try:
            name = Path("/proc", pid, "comm").read_text(encoding="utf-8").strip()
            taken = _taken(file)
        except OSError:  # the process has ended
            continue
        if taken is not None:
            found.append(DeviceProcess(int(device), int(pid), name, taken))
    return sorted(found, key=lambda process: (process.device, process.pid))


def _taken(file: Path) -> int | None:
    """Return the bytes a process has taken, ``None`` if it has ended: then its lock is free."""
    with file.open("rb") as counter:
        try:
            fcntl.flock(counter, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int.from_bytes(counter.read(8), sys.byteorder)
        return None


def listing(machine: SmiMachine, running: list[DeviceProcess]) -> str:
    """Return ``npu-smi info``."""
    first, last = f" npu-smi {machine.version}", f"Version: {machine.version}"
    lines = ["+" + "-" * 96 + "+", f"|{first:<25} {last:<70}|", _FRAME]
    lines += [
        _row("NPU   Name", "Health", "Power(W)    Temp(C)           Hugepages-Usage(page)"),
        _row("Chip", "Bus-Id", "AICore(%)   Memory-Usage(MB)  HBM-Usage(MB)"),
        _DOUBLE,
    ]
    for device in range(machine.devices):
        card, chip = divmod(device, machine.per_card)
        used = (
            DRIVER_MB
            + sum(process.taken for process in running if process.device == device) // 2**20
        )
        lines += [
            _row(f"{card:<5} {machine.name}", "OK", "0.0         0                 0    / 0"),
            _row(
                f"{chip}",
                bus(device),
                f"0           0    / 0          {used} / {machine.memory_mb}",
            ),
            _DOUBLE,
        ]
    lines += ["", _FRAME, _process_row("NPU     Chip", "Process id", "Process name", "memory")]
    lines += [_DOUBLE, *_process_rows(machine, running)]
    return "\n".join(lines) + "\n"


def _row(*cells: str) -> str:
    return f"| {cells[0]:<25} | {cells[1]:<13} | {cells[2]:<50} |"


def _process_row(*cells: str) -> str:
    last = "Process memory(MB)" if cells[3] == "memory" else cells[3]
    return f"| {cells[0]:<25} | {cells[1]:<13} | {cells[2]:<24} | {last:<23} |"


def _process_rows(machine: SmiMachine, running: list[DeviceProcess]) -> list[str]:
    rows = []
    for device in range(machine.devices):
        card, chip = divmod(device, machine.per_card)
        here = [process for process in running if process.device == device]
        rows += [
            _process_row(
                f"{card:<7} {chip}", str(process.pid), process.name, str(process.taken // 2**20)
            )
            for process in here
        ]
        if not here and chip == 0:
            rows.append(f"| {f'No running processes found in NPU {card}':<94} |")
    return rows


def mapping(machine: SmiMachine) -> str:
    """Return ``npu-smi info -m``: the logical number of each chip of each card."""
    rows = [("NPU ID", "Chip ID", "Chip Logic ID", "Chip Name")]
    for device in range(machine.devices):
        card, chip = divmod(device, machine.per_card)
        rows.append((str(card), str(chip), str(device), f"Ascend {machine.name}"))
        if chip == machine.per_card - 1:
            rows.append((str(card), str(chip + 1), "-", "Mcu"))
    return "".join("\t" + "".join(f"{cell:<31}" for cell in row).rstrip() + "\n" for row in rows)


def topology(machine: SmiMachine, near: list[str]) -> str:
    """Return ``npu-smi info -t topo``: the links of devices, and the CPUs near each."""
    names = [f"NPU{device}" for device in range(machine.devices)]
    lines = ["\t" + "".join(f"{name:>10} " for name in names) + "      CPU Affinity"]
    for device, name in enumerate(names):
        links = ["X" if other == name else "HCCS" for other in names]
        lines.append(
            f"{name}" + "".join(f"{link:>10} " for link in links) + f"      {near[device]}"
        )
    legend = ["", "Legend:", "", "  X    = Self", "  HCCS = Path traversing HCCS"]
    return "\n".join([*lines, *legend]) + "\n"


def near_cpus(machine: SmiMachine, nodes: Path = _NODES) -> list[str]:
    """Return the CPU list of each device: what was given, else this machine's nodes in turn."""
    if machine.near:
        return machine.near
    lists = [
        text
        for node in sorted(nodes.glob("node[0-9]*"), key=lambda path: int(path.name[4:]))
        if (text := (node / "cpulist").read_text(encoding="utf-8").strip())
    ] or [f"0-{(os.cpu_count() or 1) - 1}"]
    return [lists[device * len(lists) // machine.devices] for device in range(machine.devices)]


def bus(device: int) -> str:
    """Return an address on the PCI bus that is told for a device."""
    return f"0000:{0xC1 + device:02X}:00.0"


def command_output(machine: SmiMachine, words: list[str]) -> str | None:
    """Return what npu-smi prints to ``words``; ``None`` for words that are unknown here."""
    if words == ["info"]:
        return listing(machine, processes(Path(machine.state)))
    if words in (["info", "-m"], ["info", "-l"]):
        return mapping(machine)
    if words == ["info", "-t", "topo"]:
        return topology(machine, near_cpus(machine))
    if words[:3] == ["info", "-t", "board"] and len(words) in (5, 7) and words[4].isdigit():
        chip = int(words[6]) if len(words) == 7 and words[6].isdigit() else 0
        device = int(words[4]) * machine.per_card + chip
        return f"\t{'NPU ID':<31}: {words[4]}\n\t{'PCIe Bus Info':<31}: {bus(device)}\n"
    return None


def main(arguments: list[str]) -> int:
    """Print npu-smi's answer; return the exit status."""
    machine = SmiMachine(**json.loads(Path(arguments[0]).read_text(encoding="utf-8")))
    text = command_output(machine, arguments[1:])
    if text is None:
        sys.stderr.write(f"the stand-in's npu-smi does not know '{' '.join(arguments[1:])}'\n")
        return 1
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))


DRIVER = "stand-in"
"""The version of the driver and of npu-smi: none, and nobody shall take it for one."""

_INSTALL = "Driver_Install_Type=stand-in\nDriver_Install_Path_Param=/usr/local/Ascend\n"
_MANAGERS = ("davinci_manager", "devmm_svm", "hisi_hdc")


def write_tree(machine: EmulatedMachine, folder: Path, path: str) -> dict[str, str]:
    """Write the tree of ``machine`` into ``folder``; return the variables that name it.

    The folder then holds ``bin/npu-smi``, ``state`` (which process uses which device) and ``root``
    with a machine's files under their usual paths, for
    :class:`trimtab.emulator.machine.EmulatedHost`. ``path`` is the PATH to keep behind npu-smi.
    Laying a tree again over itself is allowed.
    """
    root, state = folder / "root", folder / "state"
    state.mkdir(parents=True, exist_ok=True)
    files = _files(machine)
    for relative, text in files.items():
        _write(root / relative, text)
    for node in root.glob("dev/davinci*"):  # of a machine with more devices, laid before
        if f"dev/{node.name}" not in files:
            node.unlink(missing_ok=True)
    described = folder / "machine.json"
    _write(described, json.dumps(_described(machine, state)))
    program = folder / "bin" / "npu-smi"
    words = [sys.executable, "-I", str(Path(__file__)), str(described)]
    _write(program, f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', 0o755)
    toolkit = root / "usr/local/Ascend/ascend-toolkit/latest"
    return {
        "PATH": f"{program.parent}:{path}",
        "ASCEND_HOME_PATH": str(toolkit),
        "ASCEND_TOOLKIT_HOME": str(toolkit),
        "ASCEND_OPP_PATH": str(toolkit / "opp"),
        "TRIMTAB_STANDIN_STATE": str(state),
    }


def _files(machine: EmulatedMachine) -> dict[str, str]:
    version = machine.cann or DRIVER
    toolkit = "usr/local/Ascend/ascend-toolkit/latest"
    nodes = [f"davinci{number}" for number in range(machine.devices)]
    return {
        "etc/ascend_install.info": _INSTALL,
        "usr/local/Ascend/driver/version.info": f"Version={DRIVER}\npackage_version={DRIVER}\n",
        **{  # torch_npu refuses a folder of CANN that lacks one of these
            f"{toolkit}/{part}/version.info": f"Version={version}\nversion_dir={version}\n"
            for part in ("opp", "runtime", "compiler")
        },
        **{f"dev/{name}": "" for name in (*nodes, *_MANAGERS)},
    }


def _described(machine: EmulatedMachine, state: Path) -> dict[str, object]:
    played = chip(machine.chip)
    return {
        "name": played.shown,
        "per_card": played.per_card,
        "devices": machine.devices,
        "memory_mb": machine.memory_gib * 1024,
        "near": list(machine.near),
        "state": str(state),
        "version": DRIVER,
    }


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file at once: a reader, or another server that lays its tree, sees it whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    Path(draft).chmod(mode)
    Path(draft).replace(path)
