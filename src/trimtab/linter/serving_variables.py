"""Which variables are ours to speak of: those of the catalogue, and of the families it knows."""

from __future__ import annotations

from functools import cache

from trimtab.catalog import CATALOG
from trimtab.knobs import Env, EnvList

FAMILIES = (
    *("VLLM_", "HCCL_", "ASCEND_", "ACL_", "PYTORCH_", "TORCH_", "NPU_", "P2P_HCCL_"),
    *("OMP_", "KMP_", "GOMP_", "MKL_", "MALLOC_", "TCMALLOC_", "NCCL_", "CUDA_"),
    *("TASK_QUEUE_", "CPU_AFFINITY_", "GLOO_SOCKET", "TP_SOCKET"),
)
"""How names begin that only serving software reads."""


@cache
def known_variables() -> frozenset[str]:
    """Return the variables that catalogue entries are about."""
    knobs = (tuning.knob for tuning in CATALOG.values())
    names = {knob.name for knob in knobs if isinstance(knob, Env | EnvList)}
    return frozenset({*names, "LD_PRELOAD"})


def is_serving_variable(name: str) -> bool:
    """Whether a variable is one that a serving process, not the script itself, is to read."""
    return name in known_variables() or name.startswith(FAMILIES)
