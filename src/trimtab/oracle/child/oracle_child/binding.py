"""vllm-ascend's own plan of which CPUs the threads of a worker get, on a recorded machine."""

from __future__ import annotations

import importlib
import json
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .check import Check, Stage

_RECORDED = "ORACLE_MACHINE"
"""Variable with a file of JSON: ``commands`` (words joined by blanks → output), ``allowed`` (the
CPUs of the process as a list of the kernel), ``ranks`` (how many workers to plan for)."""


def binding(check: Check) -> None:
    """Plan as a worker does, with the recorded answers of npu-smi and lscpu; bind nothing."""
    module: Any = importlib.import_module("vllm_ascend.cpu_binding")
    with open(os.environ[_RECORDED], encoding="utf-8") as file:  # noqa: PTH123  no pathlib here
        machine = json.load(file)

    def recorded(words: list[str]) -> tuple[str, int]:
        text = machine["commands"].get(" ".join(words))
        return ("", 1) if text is None else (text, 0)

    module.execute_command = recorded
    allowed = module.DeviceInfo.expand_cpu_list(machine["allowed"])
    module.DeviceInfo.parse_allowed_cpus = lambda self: allowed
    plans = check.left["binding"] = {}
    for rank in range(machine["ranks"]):
        plan = module.CpuAlloc(rank)
        if rank >= len(plan.device_info.running_npu_list):
            break
        if not plan.build_cpu_pools():
            continue
        plan.allocate()
        npu = plan.device_info.running_npu_list[rank]
        plans[str(npu)] = {
            "main": plan.assign_main[npu],
            "acl_thread": plan.assign_acl[npu],
            "release_thread": plan.assign_rel[npu],
        }


STAGES: dict[str, Stage] = {"binding": binding}
