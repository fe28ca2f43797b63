"""What lies on a machine with NPUs beside the libraries: npu-smi, CANN's folder, device nodes.

All of it is written into a folder of ours; nothing goes to /usr/local, /etc or /dev.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
import tempfile
from pathlib import Path

from trimtab.emulator import smi
from trimtab.emulator.chips import chip
from trimtab.emulator.machine import EmulatedMachine

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
    words = [sys.executable, "-I", str(Path(smi.__file__)), str(described)]
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
