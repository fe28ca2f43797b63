"""Which variables of our own environment are part of what a server is given. Pure."""

from __future__ import annotations

from trimtab.redaction import holds_secret, looks_secret

_PREFIXES = (
    *("VLLM_", "OMP_", "KMP_", "GOMP_", "MKL_", "MALLOC_", "TCMALLOC_", "LD_PRELOAD"),
    *("TORCH", "PYTORCH_", "TASK_QUEUE_", "CPU_AFFINITY_CONF", "HCCL_", "ASCEND_", "ACL_"),
)
"""How the names begin of variables that change how an engine serves."""


def reaches_engine(name: str, value: str = "") -> bool:
    """Whether a variable changes how an engine serves, and is no secret by name or value."""
    return name.startswith(_PREFIXES) and not looks_secret(name) and not holds_secret(value)
