"""The one table of how the environment variables begin that matter to serving.

Those of a family's own are in its folder; here are those of the libraries below them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from operator import attrgetter
from typing import Literal

from trimtab.families.family import Family, VariablePrefix
from trimtab.families.registry import families

_Names = Literal["all", "some", "none"]


def _rows(
    names: _Names, *texts: str, reaches_engine: bool, serving: bool
) -> Iterable[VariablePrefix]:
    return (VariablePrefix(text, reaches_engine, serving, names) for text in texts)


LIBRARIES: tuple[VariablePrefix, ...] = (
    *_rows("all", "TASK_QUEUE_", reaches_engine=True, serving=True),
    *_rows("all", "CPU_AFFINITY_", reaches_engine=False, serving=True),
    *_rows("all", "PYTORCH_NPU_", "TORCH_NPU_", reaches_engine=False, serving=False),
    *_rows(
        "some",
        *("ACL_", "ASCEND_", "GOMP_", "HCCL_", "KMP_", "MKL_", "OMP_", "PYTORCH_"),
        reaches_engine=True,
        serving=True,
    ),
    *_rows("some", "CUDA_", "NCCL_", "P2P_HCCL_", "TORCH_", reaches_engine=False, serving=True),
    *_rows(
        "some",
        *("GLOO_", "HF_", "HIP_", "HSA_", "HUGGINGFACE_", "HUGGING_", "NUMEXPR_", "NVIDIA_"),
        *("OPENBLAS_", "RAY_", "RCCL_", "ROCM_", "ROCR_", "TOKENIZERS_", "TORCHDYNAMO_"),
        *("TORCHINDUCTOR_", "TRANSFORMERS_", "TRITON_", "UCX_"),
        reaches_engine=False,
        serving=False,
    ),
    *_rows("none", "MALLOC_", "TCMALLOC_", reaches_engine=True, serving=True),
    *_rows("none", "CPU_AFFINITY_CONF", "LD_PRELOAD", "TORCH", reaches_engine=True, serving=False),
    *_rows("none", "GLOO_SOCKET", "NPU_", "TP_SOCKET", reaches_engine=False, serving=True),
)
"""Several rows may fit a name: it has what any of them says."""


@lru_cache(maxsize=32)
def _texts(
    known: tuple[Family, ...], belongs: Callable[[VariablePrefix], bool]
) -> tuple[str, ...]:
    """Return how names begin; kept, because each variable of a text is compared with them."""
    rows = (*(row for family in known for row in family.prefixes), *LIBRARIES)
    return tuple(row.text for row in rows if belongs(row))


_reaches_engine = attrgetter("reaches_engine")
_is_serving = attrgetter("serving")


def _is_known(row: VariablePrefix) -> bool:
    return row.names != "none"


def _is_complete(row: VariablePrefix) -> bool:
    return row.names == "all"


def reaching_prefixes() -> tuple[str, ...]:
    """Return how the names of variables begin that change how an engine serves."""
    return _texts(families(), _reaches_engine)


def serving_prefixes() -> tuple[str, ...]:
    """Return how the names begin that only serving software reads."""
    return _texts(families(), _is_serving)


def known_prefixes() -> tuple[str, ...]:
    """Return how the names begin of which trimtab knows some or all."""
    return _texts(families(), _is_known)


def complete_prefixes() -> tuple[str, ...]:
    """Return how the names begin of which trimtab knows all: another one is read by nothing."""
    return _texts(families(), _is_complete)
