"""vllm-ascend: the keys of --additional-config, and its environment variables."""

from __future__ import annotations

from trimtab.catalog.rules import ascend_config as config
from trimtab.catalog.rules.scene import Rule
from trimtab.catalog.schema import VA, Claim, Source, Tuning, advisory_entry
from trimtab.catalog.values import Acceptance, Choice, CustomReader, Integer, Reading, ValueReader
from trimtab.knobs import JsonKey

_ASCEND = ("ascend",)
_OPTION = "--additional-config"
_KEYS = Source(f"{VA}, additional configuration", "user_guide/configuration/additional_config.md")
_CONFIG = Source(f"{VA}, configuration", "vllm_ascend/ascend_config.py:361-372")
_BOOLEAN = Choice(
    ("True", "False", "1", "0"), "another type counts by its truth value", Acceptance.MISREAD
)

_UNCHECKED = "nothing checks it, so it is taken and means none of these"


def _key(
    key: str,
    summary: str,
    stock: str = "off",
    details: str = "",
    accepts: ValueReader = _BOOLEAN,
    claims: tuple[Claim, ...] = (),
    rules: tuple[Rule, ...] = (),
    inert: str = "",
) -> Tuning:
    return advisory_entry(
        f"ascend-{key.removeprefix('enable_').replace('_', '-').replace('.', '-')}",
        "vllm_ascend",
        summary,
        JsonKey(_OPTION, key),
        _KEYS,
        _CONFIG,
        stock=stock,
        accepts=accepts,
        details=details,
        platforms=_ASCEND,
        claims=claims,
        rules=rules,
        inert=inert,
    )


_CONFIGURATION = (
    _key(
        "enable_cpu_binding",
        "Bind every thread of a worker to CPUs near its NPU.",
        stock="on, on ARM",
        details=(
            "A3 takes a slice of all CPUs for each NPU, A2 and 310P the CPUs near the card; at "
            "least five CPUs for each NPU are needed. It runs taskset on each thread after "
            "warm-up, so it overrides CPU_AFFINITY_CONF; a failure is a warning, and nothing is "
            "bound. --numa-bind is converted to it."
        ),
        claims=(
            Claim(
                "A2, Qwen3-8B on 8 NPUs, concurrency 1: TPOT 11.78 to 9.90 ms; runs without it "
                "spread from 110 to 133 tokens/s.",
                Source(f"{VA} issue 6966", "github.com/vllm-project/vllm-ascend/issues/6966"),
            ),
        ),
        rules=(*config.GENERAL, config.BINDING),
    ),
    _key(
        "enable_mc2_hierarchy_comm",
        "Dispatch and combine experts between servers in two levels.",
        details=(
            "A2 and A3, at most 512 experts; it excludes fused MC2. The pair "
            "HCCL_INTRA_PCIE_ENABLE=1 with HCCL_INTRA_ROCE_ENABLE=0 is its old switch."
        ),
    ),
    _key(
        "multistream_overlap_shared_expert",
        "Compute shared experts on a stream of their own.",
        details="It acts on models with shared experts, and excludes fused MC2.",
    ),
    _key(
        "multistream_overlap_gate",
        "Compute the gate of experts on a stream of its own.",
        details="It acts on models with shared experts.",
    ),
    _key(
        "enable_shared_expert_dp",
        "Replicate shared experts over data parallel ranks: faster, more memory.",
        details="DeepSeek models only.",
    ),
    _key(
        "enable_dsa_cp",
        "Split sparse attention over ranks (DeepSeek V3.2 and its like).",
        details="It needs enable_flashcomm1.",
    ),
    _key(
        "recompute_scheduler_enable",
        "Recompute requests on decoding nodes when the KV cache is full.",
        details="Only on the decoding nodes of a disaggregated deployment.",
        rules=(config.RECOMPUTE,),
    ),
    _key(
        "ascend_compilation_config.enable_npugraph_ex",
        "Optimise captured graphs further.",
        stock="on",
        details=(
            "vllm-ascend 0.23 switches it off again wherever graphs are captured piecewise, which "
            "its default mode does: it acts with a cudagraph_mode of full graphs only."
        ),
    ),
    _key(
        "ascend_compilation_config.enable_static_kernel",
        "Compile kernels for the shapes that graphs are captured with.",
        details=(
            "The start takes much longer. It is switched off again wherever graphs are captured "
            "piecewise, which is the default."
        ),
    ),
    _key("enable_kv_nz", "Keep the KV cache in the NZ layout.", details="MLA models only."),
    _key("enable_async_exponential", "Draw the sampler's random numbers ahead of time."),
    _key(
        "enable_reduce_sample",
        "Sample from the logits of each rank without gathering all of them.",
    ),
    _key("enable_balance_scheduling", "Balance requests over data parallel ranks."),
    _key("enable_flashcomm1", "Shard activations between tensor parallel layers."),
    _key("enable_matmul_allreduce", "Fuse matrix products with the reduction behind them."),
    _key("enable_mlapo", "Fuse the operators in front of MLA.", stock="on"),
    _key(
        "enable_context_parallel",
        "Split long prompts over ranks.",
        inert="vllm-ascend 0.23 has no code that reads it",
    ),
    _key(
        "weight_nz_mode",
        "Convert weights to the NZ layout: 0 none, 1 quantized ones, 2 all.",
        stock="1",
        accepts=Integer(0, 2, _UNCHECKED, Acceptance.MISREAD),
    ),
    _key(
        "enable_flashcomm2_parallel_size",
        "The size of the group that shards the attention's output projection.",
        stock="0: off",
        accepts=Integer(
            0,
            None,
            _UNCHECKED,
            Acceptance.MISREAD,
            junk=Acceptance.REFUSED,
            junk_consequence="vllm-ascend compares it with a number, and the server exits",
        ),
        rules=(config.FLASHCOMM2,),
        details=(
            "vllm-ascend 0.23's table of options calls it flashcomm2_parallel_size, which no code "
            "reads. A size above that of the tensor parallel group ends the start."
        ),
    ),
    _key(
        "enable_fused_mc2",
        "Fuse the dispatch of experts with their computation.",
        stock="0",
        accepts=Integer(
            0,
            2,
            "the server starts, but a MoE model fails at its first step",
            Acceptance.MISREAD,
        ),
        details=(
            "1 needs W8A8, at most 32 expert parallel ranks, and no multi-token prediction; 2 is "
            "for decoding nodes. It excludes dynamic load balancing of experts, "
            "enable_mc2_hierarchy_comm and multistream_overlap_shared_expert."
        ),
        rules=(config.FUSED,),
    ),
)


_ENVS = Source(f"{VA}, environment", "vllm_ascend/envs.py:30-99")


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


_VARIABLES = (
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

TUNINGS = (*_CONFIGURATION, *_VARIABLES)
