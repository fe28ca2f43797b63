"""vllm-ascend's environment variables, most of them on their way out."""

from __future__ import annotations

from trimtab.catalog.schema import VA, Source, Tuning, advisory_entry
from trimtab.catalog.values import Acceptance, Choice, CustomReader, Integer, Reading, ValueReader

_ASCEND = ("ascend",)
_KEYS = Source(f"{VA}, additional configuration", "user_guide/configuration/additional_config.md")
_ENVS = Source(f"{VA}, environment", "vllm_ascend/envs.py:30-99")
_CONFIG = Source(f"{VA}, configuration", "vllm_ascend/ascend_config.py:361-372")


def _as_int(text: str) -> Reading:
    """Read as ``bool(int(text))`` does: words raise, any number but 0 is on."""
    try:
        number = int(text)
    except ValueError:
        return Reading(
            Acceptance.REFUSED,
            f"it must be 0 or 1, but is {text!r}: vllm-ascend reads it with int(), which raises "
            "ValueError",
        )
    if number not in (0, 1):
        return Reading(Acceptance.MISREAD, f"it must be 0 or 1: {text} is read as on")
    return Reading.fine()


_SWITCH = CustomReader("0 or 1", _as_int)


def _renamed(
    name: str,
    variable: str,
    key: str,
    summary: str,
    accepts: ValueReader = _SWITCH,
    stock: str = "0",
    details: str = "",
    inert: str = "",
) -> Tuning:
    return advisory_entry(
        name,
        "vllm_ascend",
        summary,
        variable,
        _ENVS,
        _KEYS,
        _CONFIG,
        stock=stock,
        accepts=accepts,
        details=details
        or f"The key {key} of --additional-config wins over it where both are given.",
        platforms=_ASCEND,
        superseded_by="" if inert else f"{key} in --additional-config",
        inert=inert,
    )


def _number(high: int | None) -> Integer:
    return Integer(
        0,
        high,
        "vllm-ascend does not check it, and it means none of these",
        Acceptance.MISREAD,
        junk=Acceptance.REFUSED,
        junk_consequence="vllm-ascend reads it with int(), which raises ValueError",
    )


TUNINGS = (
    _renamed(
        "va-fused-mc2",
        "VLLM_ASCEND_ENABLE_FUSED_MC2",
        "enable_fused_mc2",
        "Fuse the dispatch of experts with their computation.",
        _number(2),
    ),
    _renamed(
        "va-mlapo",
        "VLLM_ASCEND_ENABLE_MLAPO",
        "enable_mlapo",
        "Fuse the operators in front of MLA; it takes device memory.",
        stock="1",
    ),
    _renamed(
        "va-balance-scheduling",
        "VLLM_ASCEND_BALANCE_SCHEDULING",
        "enable_balance_scheduling",
        "Balance requests over data parallel ranks.",
    ),
    _renamed(
        "va-flashcomm1",
        "VLLM_ASCEND_ENABLE_FLASHCOMM1",
        "enable_flashcomm1",
        "Shard activations between tensor parallel layers.",
        details="vllm-ascend warns that it is deprecated whenever it is present.",
    ),
    _renamed(
        "va-matmul-allreduce",
        "VLLM_ASCEND_ENABLE_MATMUL_ALLREDUCE",
        "enable_matmul_allreduce",
        "Fuse matrix products with the reduction behind them.",
    ),
    _renamed(
        "va-flashcomm2",
        "VLLM_ASCEND_FLASHCOMM2_PARALLEL_SIZE",
        "enable_flashcomm2_parallel_size",
        "The size of the group that shards the attention's output projection.",
        _number(None),
    ),
    _renamed(
        "va-nz",
        "VLLM_ASCEND_ENABLE_NZ",
        "weight_nz_mode",
        "Convert weights to the NZ layout: 0 none, 1 quantized ones, 2 all.",
        _number(2),
        stock="1",
    ),
    _renamed(
        "va-context-parallel",
        "VLLM_ASCEND_ENABLE_CONTEXT_PARALLEL",
        "enable_context_parallel",
        "Split long prompts over ranks.",
        inert="vllm-ascend 0.23 has no code that reads it",
    ),
    _renamed(
        "va-transpose-kv",
        "VLLM_ASCEND_FUSION_OP_TRANSPOSE_KV_CACHE_BY_BLOCK",
        "enable_transpose_kv_cache_by_block",
        "Transpose the KV cache by one fused operator.",
        stock="1",
    ),
    _renamed(
        "va-msmonitor",
        "MSMONITOR_USE_DAEMON",
        "msmonitor_use_daemon",
        "Let msMonitor watch the server: for analysis, it costs time.",
    ),
    advisory_entry(
        "dynamic-eplb",
        "vllm_ascend",
        "Balance experts over ranks while serving.",
        "DYNAMIC_EPLB",
        _ENVS,
        stock="false",
        default="false",
        accepts=Choice(
            ("true", "false", "1", "0"), "it counts as false", Acceptance.MISREAD, True
        ),
        platforms=_ASCEND,
        details="Together with eplb_config in --additional-config.",
    ),
    advisory_entry(
        "va-batch-memcpy",
        "vllm_ascend",
        "Copy offloaded KV cache blocks in batches.",
        "VLLM_ASCEND_ENABLE_BATCH_MEMCPY",
        _ENVS,
        stock="decided from CANN's headers when it is built",
        accepts=Choice(("0", "1"), "it counts as unset", Acceptance.MISREAD),
        details="It is read when the package is built, not when a server starts.",
        platforms=_ASCEND,
    ),
)
