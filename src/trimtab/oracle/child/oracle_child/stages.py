"""What is done with torch_npu: the steps at which it reads its settings, in a server's order."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .check import Check, Stage

_MIB = 1 << 20


def torch_npu(check: Check) -> None:
    """Import torch_npu."""
    importlib.import_module("torch_npu")
    check.left["torch"] = importlib.import_module("torch")


def device(check: Check) -> None:
    """Use the device for the first time: the allocator reads its configuration."""
    torch = check.left.setdefault("torch", importlib.import_module("torch"))
    check.left["tensor"] = torch.ones(4, device="npu")
    check.left["device"] = True


def operator(check: Check) -> None:
    """Run operators, which go through the task queue."""
    torch, one = check.left["torch"], check.left["tensor"]
    check.left["sum"] = one + one
    torch.npu.synchronize()


def streams(check: Check) -> None:
    """Run on a second stream with memory of the first one."""
    torch = check.left["torch"]
    side = torch.npu.Stream()
    with torch.npu.stream(side):
        check.left["product"] = check.left["sum"] * 2
        check.left["sum"].record_stream(side)
    torch.npu.synchronize()


def copies(check: Check) -> None:
    """Copy what is not contiguous, pin host memory, copy to the host."""
    torch = check.left["torch"]
    check.left["turned"] = torch.ones(4, 4, device="npu").t().contiguous()
    check.left["pinned"] = torch.ones(4).pin_memory()
    check.left["large"] = torch.empty(24 * _MIB, dtype=torch.uint8, device="npu")
    check.left["sum"].cpu()


def collective(check: Check) -> None:
    """Make a process group of one, and reduce over it."""
    torch = check.left["torch"]
    group = importlib.import_module("torch.distributed")
    group.init_process_group("hccl", store=group.HashStore(), rank=0, world_size=1)
    group.all_reduce(check.left["tensor"])
    torch.npu.synchronize()


def graph(check: Check) -> None:
    """Capture a graph."""
    torch = check.left["torch"]
    captured = torch.npu.NPUGraph()
    one: Any = check.left["tensor"]
    with torch.npu.graph(captured):
        check.left["captured"] = one + one


STAGES: dict[str, Stage] = {
    "import": torch_npu,
    "device": device,
    "operator": operator,
    "streams": streams,
    "copies": copies,
    "collective": collective,
    "graph": graph,
}
