"""vllm-ascend: the keys of --additional-config, and the variables that they replace."""

from __future__ import annotations

import json
from collections.abc import Iterator

from trimtab.catalog._accepts import Accepts, Choice, ReadBy, Reading, Taken, Whole
from trimtab.catalog._entry import VA, known
from trimtab.catalog._rule import Rule
from trimtab.catalog._scene import Scene
from trimtab.catalog._tuning import Claim, Source, Tuning
from trimtab.knobs import JsonKey
from trimtab.model.finding import Hit, Problem, Severity

_ASCEND = ("ascend",)
_OPTION = "--additional-config"
_KEYS = Source(f"{VA}, additional configuration", "user_guide/configuration/additional_config.md")
_ENVS = Source(f"{VA}, environment", "vllm_ascend/envs.py:30-99")
_CONFIG = Source(f"{VA}, configuration", "vllm_ascend/ascend_config.py:361-372")


def _as_int(text: str) -> Reading:
    """Read as ``bool(int(text))`` does: words raise, any number but 0 is on."""
    try:
        number = int(text)
    except ValueError:
        return Reading(
            Taken.REFUSED,
            f"it must be 0 or 1, but is {text!r}: vllm-ascend reads it with int(), which raises "
            "ValueError",
        )
    if number not in (0, 1):
        return Reading(Taken.MISREAD, f"it must be 0 or 1: {text} is read as on")
    return Reading.fine()


_SWITCH = ReadBy("0 or 1", _as_int)
_BOOLEAN = Choice(
    ("True", "False", "1", "0"), "another type is judged by its truth", Taken.MISREAD
)


def _renamed(
    name: str,
    variable: str,
    key: str,
    summary: str,
    accepts: Accepts = _SWITCH,
    stock: str = "0",
    details: str = "",
    rules: tuple[Rule, ...] = (),
) -> Tuning:
    return known(
        name,
        "vllm_ascend",
        summary,
        variable,
        _ENVS,
        _KEYS,
        _CONFIG,
        stock=stock,
        accepts=accepts,
        details=details or f"The key {key} of {_OPTION} wins over it where both are given.",
        platforms=_ASCEND,
        superseded_by=f"{key} in {_OPTION}",
        rules=rules,
    )


def _key(
    key: str,
    summary: str,
    stock: str = "off",
    details: str = "",
    accepts: Accepts = _BOOLEAN,
    claims: tuple[Claim, ...] = (),
    rules: tuple[Rule, ...] = (),
) -> Tuning:
    return known(
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
    )


def _values(scene: Scene) -> dict[str, object]:
    try:
        found = json.loads(scene.option(_OPTION) or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _quoted(scene: Scene) -> Iterator[Hit]:
    for key, value in _values(scene).items():
        if isinstance(value, str) and value.lower() in ("true", "false"):
            yield Hit(
                _OPTION,
                f'{key} is the text "{value}", not a boolean: any text counts as true, "False" '
                "too",
                f"write {value.lower()} without quotes",
                severity=Severity.WARNING if value.lower() == "true" else Severity.ERROR,
            )


def _no_object(scene: Scene) -> Iterator[Hit]:
    found = scene.options.get(_OPTION)
    if found is None or not found.literal or not found.value:
        return
    try:
        whole = json.loads(found.value)
    except (ValueError, RecursionError) as error:
        yield Hit(_OPTION, f"{_OPTION} is no JSON: {error}", "quote it in single quotes")
        return
    if not isinstance(whole, dict):
        yield Hit(_OPTION, f"{_OPTION} must be a JSON object", "write '{\"key\": value}'")


def _recompute(scene: Scene) -> Iterator[Hit]:
    if _values(scene).get("recompute_scheduler_enable") is not True:
        return
    transfer = scene.option("--kv-transfer-config") or ""
    if "kv_consumer" not in transfer and "$" not in transfer:
        yield Hit(
            _OPTION,
            "recompute_scheduler_enable is for the decoding nodes of a disaggregated deployment: "
            "elsewhere the start fails",
            "take it out, or give kv_role kv_consumer",
        )


def _fused_rivals(scene: Scene) -> Iterator[Hit]:
    values = _values(scene)
    fused = scene.text("VLLM_ASCEND_ENABLE_FUSED_MC2") not in (None, "0") or values.get(
        "enable_fused_mc2"
    ) not in (None, 0)
    if not fused:
        return
    rivals = {
        "dynamic expert load balancing": (scene.text("DYNAMIC_EPLB") or "").lower() == "true"
        or bool(values.get("eplb_config")),
        "enable_mc2_hierarchy_comm": values.get("enable_mc2_hierarchy_comm") is True,
        "multistream_overlap_shared_expert": values.get("multistream_overlap_shared_expert")
        is True,
    }
    for rival, on in rivals.items():
        if on:
            yield Hit(
                "VLLM_ASCEND_ENABLE_FUSED_MC2"
                if "VLLM_ASCEND_ENABLE_FUSED_MC2" in scene.env
                else _OPTION,
                f"fused MC2 excludes {rival}",
                "keep one of the two",
            )


def _unbound(scene: Scene) -> Iterator[Hit]:
    arch = scene.situation.arch
    if arch == "x86_64" and _values(scene).get("enable_cpu_binding") is True:
        yield Hit(
            _OPTION,
            "enable_cpu_binding acts on ARM only: on x86_64 vllm-ascend logs that it skips it",
            "bind with numactl or a cpuset",
        )


TUNINGS = (
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
        rules=(
            Rule(
                id="additional-config-quoted",
                severity=Severity.WARNING,
                problem=Problem.WRONG_VALUE,
                summary="A boolean is written as text, which counts as true.",
                process=_quoted,
            ),
            Rule(
                id="additional-config-json",
                severity=Severity.ERROR,
                problem=Problem.WRONG_VALUE,
                summary="The additional configuration is no JSON object.",
                process=_no_object,
            ),
            Rule(
                id="cpu-binding-x86",
                severity=Severity.WARNING,
                problem=Problem.NO_EFFECT,
                summary="vllm-ascend binds CPUs on ARM only.",
                process=_unbound,
            ),
        ),
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
        rules=(
            Rule(
                id="recompute-scheduler-role",
                severity=Severity.ERROR,
                problem=Problem.CONFLICT,
                summary="The recompute scheduler is for decoding nodes only.",
                process=_recompute,
            ),
        ),
    ),
    _key(
        "ascend_compilation_config.enable_npugraph_ex",
        "Optimise captured graphs further.",
        stock="on",
    ),
    _key(
        "ascend_compilation_config.enable_static_kernel",
        "Compile kernels for the shapes that graphs are captured with.",
        details="The start takes much longer.",
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
    _key("enable_context_parallel", "Split long prompts over ranks."),
    _key(
        "weight_nz_mode",
        "Convert weights to the NZ layout: 0 none, 1 quantized ones, 2 all.",
        stock="1",
        accepts=Whole(0, 2, "vllm-ascend raises"),
    ),
    _key(
        "flashcomm2_parallel_size",
        "The size of the group that shards the attention's output projection.",
        stock="0: off",
        accepts=Whole(0, None, "vllm-ascend raises"),
        details=(
            "vllm-ascend 0.23's table of migrations calls it enable_flashcomm2_parallel_size, its "
            "table of options flashcomm2_parallel_size."
        ),
    ),
    _key(
        "enable_fused_mc2",
        "Fuse the dispatch of experts with their computation.",
        stock="0",
        accepts=Whole(0, 2, "vllm-ascend raises"),
        details=(
            "1 needs W8A8, at most 32 expert parallel ranks, and no multi-token prediction; 2 is "
            "for decoding nodes. It excludes dynamic load balancing of experts, "
            "enable_mc2_hierarchy_comm and multistream_overlap_shared_expert."
        ),
        rules=(
            Rule(
                id="fused-mc2-rivals",
                severity=Severity.ERROR,
                problem=Problem.CONFLICT,
                summary="Fused MC2 excludes another setting that is on.",
                process=_fused_rivals,
            ),
        ),
    ),
    _renamed(
        "va-fused-mc2",
        "VLLM_ASCEND_ENABLE_FUSED_MC2",
        "enable_fused_mc2",
        "Fuse the dispatch of experts with their computation.",
        Whole(0, 2, "vllm-ascend reads it with int(), which raises ValueError"),
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
        "flashcomm2_parallel_size",
        "The size of the group that shards the attention's output projection.",
        Whole(0, None, "vllm-ascend reads it with int(), which raises ValueError"),
    ),
    _renamed(
        "va-nz",
        "VLLM_ASCEND_ENABLE_NZ",
        "weight_nz_mode",
        "Convert weights to the NZ layout: 0 none, 1 quantized ones, 2 all.",
        Whole(0, 2, "vllm-ascend reads it with int(), which raises ValueError on words"),
        stock="1",
    ),
    _renamed(
        "va-context-parallel",
        "VLLM_ASCEND_ENABLE_CONTEXT_PARALLEL",
        "enable_context_parallel",
        "Split long prompts over ranks.",
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
    known(
        "dynamic-eplb",
        "vllm_ascend",
        "Balance experts over ranks while serving.",
        "DYNAMIC_EPLB",
        _ENVS,
        stock="false",
        default="false",
        accepts=Choice(("true", "false", "1", "0"), "it counts as false", Taken.MISREAD, True),
        platforms=_ASCEND,
        details="Together with eplb_config in --additional-config.",
    ),
    known(
        "va-batch-memcpy",
        "vllm_ascend",
        "Copy offloaded KV cache blocks in batches.",
        "VLLM_ASCEND_ENABLE_BATCH_MEMCPY",
        _ENVS,
        stock="decided from CANN's headers when it is built",
        accepts=Choice(("0", "1"), "it is taken for unset", Taken.MISREAD),
        details="It is read when the package is built, not when a server starts.",
        platforms=_ASCEND,
    ),
)
