"""Base image and devices: what only the host, or whoever starts the container, can give."""

from __future__ import annotations

from typing import Final

from trimtab.facts.ascend import MANAGERS
from trimtab.prepare import version_matrix
from trimtab.prepare.step import (
    Change,
    CheckState,
    EnvVariable,
    Instruction,
    MachineScene,
    Note,
    StepFinding,
)
from trimtab.prepare.system import Base
from trimtab.prepare.target import PrepareOptions

NPU_SMI: Final = "/usr/local/bin/npu-smi"
DRIVER_FILES: Final = (
    "/usr/local/Ascend/driver/lib64",
    "/usr/local/Ascend/driver/version.info",
    "/etc/ascend_install.info",
    "/usr/local/dcmi",
    NPU_SMI,
)
"""The driver's files of the host that a container needs to see."""


class Devices:
    """The driver's device nodes and files, and versions that fit together."""

    name = "devices"
    summary = "Base image and devices: device nodes, the driver's files, npu-smi or nvidia-smi."
    reason = (
        "First: a container gets its devices when it is started, and what is missing then cannot "
        "be added by any later step."
    )

    def check(self, scene: MachineScene) -> StepFinding:
        """See `Step.check`."""
        platform = scene.wish.target.platform
        if platform == "cpu":
            return StepFinding(CheckState.NOT_APPLICABLE, "a CPU needs no device")
        finding = _ascend(scene) if platform == "ascend" else _cuda(scene)
        if finding.state is not CheckState.SATISFIED:
            return finding
        wrong = version_matrix.refusals(scene.wish.target, host_versions(scene))
        return StepFinding(CheckState.MISSING, "; ".join(wrong)) if wrong else finding

    def changes(self, scene: MachineScene) -> tuple[Change, ...]:
        """Return nothing: drivers and devices are the host's."""
        return ()

    def recipe(self, wish: PrepareOptions, base: Base) -> tuple[Instruction, ...]:
        """See `Step.recipe`. Devices are given when the container starts: the line to do so."""
        notes: tuple[Instruction, ...] = (Note("\n".join(run_line(wish))),)
        if wish.target.platform == "cuda":
            return (
                *notes,
                EnvVariable("NVIDIA_VISIBLE_DEVICES", "all"),
                EnvVariable("NVIDIA_DRIVER_CAPABILITIES", "compute,utility"),
            )
        return notes


def run_line(wish: PrepareOptions) -> tuple[str, ...]:
    """Return the lines that start a container of the image with its devices."""
    if wish.target.platform == "cpu":
        return (
            "Start it with shared memory for vLLM's workers (0.32 takes 160 MB; docker gives 64):",
            "docker run --shm-size=1g IMAGE ...",
        )
    if wish.target.platform == "cuda":
        return ("Start it with the devices:", "docker run --gpus all --shm-size=1g IMAGE ...")
    nodes = [f"--device {path}" for path in ("/dev/davinci0", *MANAGERS)]
    mounts = [f"-v {path}:{path}:ro" for path in DRIVER_FILES]
    return (
        "Start it with the devices (one /dev/davinciN for each chip that serves; a card of A3",
        "has two) and the driver's files of the host:",
        f"docker run --shm-size=1g {' '.join(nodes[:2])}",
        f"  {' '.join(nodes[2:])}",
        *(f"  {mount}" for mount in mounts),
        "  IMAGE ...",
    )


def host_versions(scene: MachineScene) -> dict[str, str]:
    """Return the versions of what is not a Python package: driver, firmware, CANN."""
    facts = scene.facts
    if scene.wish.target.platform == "cuda":
        return {"driver": facts.cuda.driver.value} if facts.cuda.driver.value else {}
    ascend = facts.ascend
    known = {"driver": ascend.driver, "firmware": ascend.firmware, "cann": ascend.cann}
    return {name: fact.value for name, fact in known.items() if fact.value is not None}


def _ascend(scene: MachineScene) -> StepFinding:
    ascend, wanted = scene.facts.ascend, scene.wish.target.chip
    if not ascend.devices.value:
        return StepFinding(
            CheckState.MISSING,
            "no NPU is here (/dev/davinciN): install the driver on the host, or start the "
            "container with --device /dev/davinci0",
        )
    nodes = [path for path in MANAGERS if path not in (ascend.managers.value or ())]
    if nodes:
        return StepFinding(
            CheckState.MISSING,
            f"{', '.join(nodes)} not here: start the container with --device for each",
        )
    files = [path for path in DRIVER_FILES[:3] if not scene.host.exists(path)]
    if ascend.npus.value is None:
        return StepFinding(
            CheckState.MISSING if files else CheckState.UNKNOWN,
            f"npu-smi does not answer ({ascend.npus.reason})"
            + (f"; not here: {', '.join(files)}: mount them from the host" if files else ""),
        )
    if ascend.chip.value is None:
        return StepFinding(
            CheckState.UNKNOWN, f"npu-smi does not tell the chip ({ascend.chip.reason})"
        )
    if ascend.chip.value != wanted:
        return StepFinding(
            CheckState.MISSING, f"the chip is {ascend.chip.value}, and {wanted} is prepared"
        )
    if ascend.driver.value is None:
        return StepFinding(CheckState.UNKNOWN, f"the driver's version: {ascend.driver.reason}")
    count = len(ascend.npus.value)
    return StepFinding(
        CheckState.SATISFIED,
        f"{count} chip{'s' if count > 1 else ''} ({ascend.chip.value}), driver "
        f"{ascend.driver.value}, CANN {ascend.cann.value or 'unknown'}",
    )


def _cuda(scene: MachineScene) -> StepFinding:
    cuda = scene.facts.cuda
    if not cuda.gpus.value:
        return StepFinding(
            CheckState.MISSING,
            f"no GPU answers ({cuda.gpus.reason}): install the driver on the host, or start the "
            "container with --gpus all",
        )
    names = sorted({gpu.name for gpu in cuda.gpus.value})
    return StepFinding(
        CheckState.SATISFIED,
        f"{len(cuda.gpus.value)} x {', '.join(names)}, driver {cuda.driver.value}",
    )
