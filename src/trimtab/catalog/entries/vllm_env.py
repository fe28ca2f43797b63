"""vLLM's environment variables that matter for a launch, and those that nothing reads any more."""

from __future__ import annotations

from trimtab.catalog.schema import NO_RISK, TUTORIALS, VLLM, Source, Tuning, advisory_entry
from trimtab.catalog.values import ANY_TEXT, Acceptance, Choice, Integer, Pattern, ValueReader
from trimtab.model import Risk, RiskLevel

_ENVS = Source(f"{VLLM}, environment", "vllm/envs.py, environment_variables")
_VLLM = ("vllm",)
_RAISES = "vLLM raises ValueError when it reads it"
_SWITCH = Choice(
    ("0", "1", "true", "false"), "it counts as off", Acceptance.MISREAD, ignore_case=True
)
_INT_SWITCH = Choice(("0", "1"), "vLLM reads it with int(), which raises ValueError on words")


def _env(
    name: str,
    summary: str,
    accepts: ValueReader = ANY_TEXT,
    stock: str = "not set",
    default: str = "",
    details: str = "",
    platforms: tuple[str, ...] = (),
    risk: Risk = NO_RISK,
) -> Tuning:
    return advisory_entry(
        name.lower().replace("_", "-"),
        "vllm",
        summary,
        name,
        _ENVS,
        accepts=accepts,
        stock=stock,
        default=default,
        details=details,
        platforms=platforms,
        engines=_VLLM,
        risk=risk,
    )


def _gone(name: str, summary: str, why: str, *more: Source) -> Tuning:
    return advisory_entry(
        name.lower().replace("_", "-"),
        "vllm",
        summary,
        name,
        _ENVS,
        *more,
        engines=_VLLM,
        inert=why,
        details="It is still found in tutorials. Older releases of vLLM read it.",
    )


_ABSENT = "vLLM 0.32 defines no such variable"

TUNINGS = (
    _env(
        "VLLM_CPU_KVCACHE_SPACE",
        "How much memory the KV cache takes on CPU, in GiB.",
        Integer(0, None, _RAISES, unit="GiB"),
        stock="a share of the NUMA node's free memory",
        platforms=("cpu",),
        details="More holds more requests at once; it is taken at the start whether used or not.",
    ),
    _env(
        "VLLM_CPU_NUM_OF_RESERVED_CPU",
        "How many CPUs vLLM leaves to its other processes when it binds threads by itself.",
        Integer(0, None, _RAISES),
        stock="1 for each NUMA node where threads are bound automatically",
        platforms=("cpu",),
    ),
    _env(
        "VLLM_WORKER_MULTIPROC_METHOD",
        "How worker processes are started.",
        Choice(("fork", "spawn"), "vLLM raises ValueError"),
        stock="fork, or spawn where CUDA was touched before",
    ),
    _env(
        "VLLM_EXECUTE_MODEL_TIMEOUT_SECONDS",
        "How long one step may take before the engine gives up, in seconds.",
        Integer(1, None, _RAISES, unit="s"),
        stock="300",
        default="300",
    ),
    _env(
        "VLLM_ENGINE_READY_TIMEOUT_S",
        "How long the API server waits for the engine to start, in seconds.",
        Integer(1, None, _RAISES, unit="s"),
        stock="600",
        default="600",
    ),
    _env(
        "VLLM_USE_FLASHINFER_SAMPLER",
        "Sample with FlashInfer's kernels.",
        _INT_SWITCH,
        platforms=("cuda",),
        stock="1, where the hardware supports it",
    ),
    _env(
        "VLLM_LOGGING_LEVEL",
        "How much vLLM logs.",
        Choice(
            ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
            "vLLM exits",
            ignore_case=True,
        ),
        stock="INFO",
        default="INFO",
        details="DEBUG costs time in every step.",
    ),
    _env(
        "VLLM_TRACE_FUNCTION",
        "Record every function call: for debugging only, very slow.",
        _INT_SWITCH,
        stock="0",
        default="0",
        risk=Risk(RiskLevel.HIGH, "Serving becomes many times slower."),
    ),
    _env(
        "VLLM_LOG_STATS_INTERVAL",
        "How often statistics are logged, in seconds.",
        Pattern(r"\d+(\.\d+)?", "a number of seconds", "vLLM reads 0 or less as 10"),
        stock="10",
        default="10",
    ),
    _env(
        "VLLM_DISABLE_COMPILE_CACHE",
        "Compile at every start anew.",
        _INT_SWITCH,
        stock="0",
        default="0",
        risk=Risk(RiskLevel.LOW, "Every start takes longer."),
    ),
    _env(
        "VLLM_ALLREDUCE_USE_SYMM_MEM",
        "Reduce over symmetric memory.",
        _INT_SWITCH,
        platforms=("cuda",),
        stock="1",
    ),
    _env(
        "VLLM_SKIP_P2P_CHECK",
        "Trust the driver on peer access between GPUs.",
        Choice(("0", "1"), "it counts as off", Acceptance.MISREAD),
        platforms=("cuda",),
        stock="1",
    ),
    _env(
        "VLLM_SERVER_DEV_MODE",
        "Open endpoints for development, some of which change the server.",
        _INT_SWITCH,
        stock="0",
        default="0",
        risk=Risk(RiskLevel.HIGH, "Anyone who reaches the port can reset caches and sleep it."),
    ),
    _env(
        "VLLM_USE_MODELSCOPE",
        "Fetch models from ModelScope instead of the Hugging Face hub.",
        _SWITCH,
        stock="0",
        default="0",
        details=(
            "1 or true in any case since vLLM 0.32; older releases take only 'true'. It must be "
            "exported: the older edition of the guide sets a mere shell variable."
        ),
    ),
    _gone(
        "VLLM_USE_V1",
        "Choose the first or the second engine of vLLM.",
        f"{_ABSENT}: vLLM has only one engine",
        TUTORIALS,
    ),
    _gone("VLLM_RPC_TIMEOUT", "Timeout of the old engine's remote calls.", _ABSENT, TUTORIALS),
    _gone(
        "VLLM_ATTENTION_BACKEND",
        "Choose the attention kernels.",
        f"{_ABSENT}: --attention-backend replaced it",
    ),
    _gone("VLLM_CPU_SGL_KERNEL", "Use SGLang's kernels on CPU.", _ABSENT),
    _gone("VLLM_USE_TRITON_FLASH_ATTN", "Use Triton's attention on ROCm.", _ABSENT),
    _gone(
        "VLLM_FLASH_ATTN_VERSION",
        "Choose the version of FlashAttention.",
        f"{_ABSENT}: --attention-config replaced it",
    ),
    _gone(
        "VLLM_TORCH_PROFILER_DIR",
        "Where profiles of the old profiler go.",
        f"{_ABSENT}: --profiler-config replaced it",
    ),
    _gone(
        "VLLM_ALL2ALL_BACKEND",
        "Choose how experts are dispatched.",
        f"{_ABSENT}: --all2all-backend replaced it",
    ),
    _gone("VLLM_USE_RAY_SPMD_WORKER", "Choose the old way of running on Ray.", _ABSENT),
)
