"""vLLM's serving: precision, processes, scheduler, cache and logs."""

from __future__ import annotations

from trimtab.catalog import applicability
from trimtab.catalog.schema import NO_RISK, VLLM, Context, Source, Tuning
from trimtab.catalog.values import Choice, Integer
from trimtab.facts import Facts
from trimtab.knobs import Argument, Switch
from trimtab.model import Check, CheckKind, Proof, Risk, RiskLevel, Settings, Value

_PRECISION = Source("vLLM 0.32, engine arguments", "vllm/engine/arg_utils.py")

_AVX512 = frozenset({"avx512f", "avx512bw", "avx512dq", "avx512vl"})
_NATIVE_FP8 = (8, 9)  # Ada; vLLM 0.32 platforms/cuda.py, supports_fp8


def _cache_applies(context: Context) -> str | None:
    if context.platform != "cpu":
        return applicability.capability_refusal(
            context, _NATIVE_FP8, "an FP8 cache in every attention backend"
        )
    flags = context.facts.cpu.flags.value
    if flags is None:
        return "the CPU's instruction sets are unknown"
    if "amx_tile" not in flags and not flags >= _AVX512:
        return "vLLM keeps an FP8 cache on CPU only with AVX-512 or AMX, and this one has neither"
    return None


def _weights_apply(context: Context) -> str | None:
    if context.checkpoint_dtype not in ("bfloat16", "float16"):
        return f"the checkpoint's type ({context.checkpoint_dtype or 'unknown'}) is not 16 bits"
    return applicability.capability_refusal(context, _NATIVE_FP8, "FP8 arithmetic")


_FIDELITY = (
    Tuning(
        name="kv-cache-dtype",
        layer="vllm",
        summary="Keep keys and values in eight bits: twice the tokens in the same memory.",
        knob=Argument("--kv-cache-dtype", config="kv_cache_dtype"),
        values=("auto", "fp8"),
        stock="auto: the model's own type, unless the checkpoint names another",
        applies=_cache_applies,
        lowers_fidelity=("fp8",),
        risk=Risk(
            RiskLevel.MEDIUM,
            "Without scales in the checkpoint they are 1, and long contexts suffer first; check "
            "accuracy on your own task before you keep it.",
        ),
        details=(
            "It pays where the cache limits how many requests run at once, or where reading it "
            "takes most of a decode step (long contexts)."
        ),
        engines=("vllm",),
        platforms=("cpu", "cuda"),
        sources=(
            Source("vLLM 0.32, cache configuration", "vllm/config/cache.py, CacheDType"),
            Source(
                "vLLM 0.32, CPU attention", "vllm/v1/attention/backends/cpu_attn.py, _get_attn_isa"
            ),
            Source("vLLM 0.32, Triton attention", "vllm/v1/attention/backends/triton_attn.py"),
        ),
    ),
    Tuning(
        name="quantization",
        layer="vllm",
        summary="Quantize the weights to eight bits while they are loaded.",
        knob=Argument("--quantization", aliases=("-q",)),
        values=(None, "fp8_per_tensor"),
        stock="as the checkpoint says",
        applies=_weights_apply,
        lowers_fidelity=("fp8_per_tensor",),
        risk=Risk(
            RiskLevel.MEDIUM,
            "Weights and activations are rounded to eight bits without calibration; a checkpoint "
            "that is quantized already does not start with it.",
        ),
        details="Since vLLM 0.32 plain `fp8` is for checkpoints in FP8 only.",
        engines=("vllm",),
        platforms=("cuda",),
        since="0.32",
        sources=(
            _PRECISION,
            Source("vLLM 0.32, online quantization", "vllm/config/quantization.py"),
            Source("vLLM 0.32, FP8", "vllm/model_executor/layers/quantization/fp8.py"),
        ),
    ),
)


_ARGS = Source(f"{VLLM}, engine arguments", "vllm/engine/arg_utils.py")
_SERVE = Source("vLLM 0.23, the command serve", "vllm/entrypoints/cli/serve.py")

_CLIENTS = Source("vLLM 0.23, clients", "vllm/v1/engine/core_client.py, make_client")


def _servers_applies(context: Context) -> str | None:
    if "api-server-count" in context.tries:
        return None
    return (
        "one process is the limit at thousands of tokens per second only: name it with "
        "--try api-server-count=2 to test it"
    )


def _servers_checks(value: Value, facts: Facts, settings: Settings) -> tuple[Check, ...]:
    return (Check(CheckKind.ROLES, "api", value),)


def _executor_applies(context: Context) -> str | None:
    if reason := applicability.parallel_refusal(context):
        return f"{reason}, which are processes of their own already"
    if context.platform == "cpu":
        return "on CPU the worker is a process of its own already; see one-process-engine"
    if "distributed-executor-backend" in context.tries:
        return None
    return (
        "one worker computes in the engine core, which spares a hop between two processes: name "
        "it with --try distributed-executor-backend=mp to test it"
    )


def _executor_checks(value: Value, facts: Facts, settings: Settings) -> tuple[Check, ...]:
    name = "args.distributed_executor_backend"
    return (
        Check(CheckKind.CONFIG, name, value, proves=Proof.DELIVERY),
        Check(CheckKind.ROLES, "worker", 1),
    )


_PROCESSES = (
    Tuning(
        name="distributed-executor-backend",
        layer="vllm",
        summary="Let a process of its own compute for a single worker, beside the engine core.",
        knob=Argument("--distributed-executor-backend"),
        values=(None, "mp"),
        stock="uni for one worker (the engine core computes itself), mp for several",
        accepts=Choice(
            ("mp", "ray", "uni", "external_launcher"), "vLLM looks for a class so named"
        ),
        applies=_executor_applies,
        checks=_executor_checks,
        risk=NO_RISK,
        prior=-0.05,
        engines=("vllm",),
        details=(
            "It is what starts and holds the workers. The opposite, an API server in the engine "
            "core's process, is not to be had: VLLM_ENABLE_V1_MULTIPROCESSING=0 is for vLLM's "
            "class LLM, and the server's engine core stays a process of its own."
        ),
        sources=(_ARGS, _CLIENTS),
    ),
    Tuning(
        name="api-server-count",
        layer="vllm",
        summary="Read requests and write answers in two processes instead of one.",
        knob=Argument("--api-server-count", int, aliases=("-asc",)),
        values=(None, 2),
        stock="1",
        accepts=Integer(0, None, "vLLM's parser refuses it"),
        applies=_servers_applies,
        checks=_servers_checks,
        risk=Risk(RiskLevel.LOW, "Metrics are gathered from several processes over files."),
        engines=("vllm",),
        details=(
            "One process can be the limit at thousands of tokens per second. The command itself "
            "then only supervises, so that there are three processes instead of one."
        ),
        sources=(_ARGS, _SERVE),
    ),
)


_DEFAULTS = Source(
    "vLLM 0.32, defaults on CPU", "vllm/engine/arg_utils.py, get_batch_defaults for the CPU"
)
_STOCK_SEQS = 128
_STOCK_TOKENS = 2048


def _power_above(number: int) -> int:
    return 1 << max(0, number - 1).bit_length()


def _seqs_values(context: Context) -> tuple[Value, ...]:
    if context.concurrency is None:
        return (_STOCK_SEQS,)
    return (_STOCK_SEQS, max(1, _power_above(context.concurrency)))


def _seqs_applies(context: Context) -> str | None:
    if context.concurrency is None:
        return "the workload has no fixed concurrency from which to choose a limit"
    if _power_above(context.concurrency) >= _STOCK_SEQS:
        return f"the workload's concurrency of {context.concurrency} needs stock's {_STOCK_SEQS}"
    return None


_SCHEDULING = (
    Tuning(
        name="max-num-seqs",
        layer="vllm",
        summary="Reserve for as many concurrent sequences as the workload has, not 128.",
        knob=Argument("--max-num-seqs", int, config="max_num_seqs"),
        values=_seqs_values,
        stock="128 on CPU",
        applies=_seqs_applies,
        risk=Risk(
            RiskLevel.MEDIUM,
            "More requests at once than the limit wait in a queue, even when there is room.",
        ),
        engines=("vllm",),
        platforms=("cpu",),
        sources=(_DEFAULTS,),
    ),
    Tuning(
        name="max-num-batched-tokens",
        layer="vllm",
        summary="Let one step take more prompt tokens: prefill in fewer, longer steps.",
        knob=Argument("--max-num-batched-tokens", int, config="max_num_batched_tokens"),
        values=(_STOCK_TOKENS, 2 * _STOCK_TOKENS),
        levels=(_STOCK_TOKENS // 2, _STOCK_TOKENS, 4 * _STOCK_TOKENS, 8 * _STOCK_TOKENS),
        stock="2048 on CPU",
        risk=Risk(
            RiskLevel.LOW, "Tokens being generated wait longer behind a step full of prompts."
        ),
        engines=("vllm",),
        platforms=("cpu",),
        sources=(_DEFAULTS,),
    ),
    Tuning(
        name="block-size",
        layer="vllm",
        summary="Keep the KV cache in blocks of 32 tokens: shorter shared prefixes are found.",
        knob=Argument("--block-size", int, config="block_size"),
        values=(128, 32),
        stock="128 on CPU",
        risk=Risk(RiskLevel.LOW, "More blocks have to be kept track of."),
        engines=("vllm",),
        platforms=("cpu",),
        sources=(
            Source(
                "vLLM 0.32, CPU platform", "vllm/platforms/cpu.py, block_size (multiples of 32)"
            ),
        ),
    ),
    Tuning(
        name="prefix-caching",
        layer="vllm",
        summary="Do not look for prompts that begin like earlier ones.",
        knob=Switch("--enable-prefix-caching", config="enable_prefix_caching"),
        values=(True, False),
        stock="on, for models that support it",
        risk=Risk(
            RiskLevel.MEDIUM,
            "Real traffic that shares prefixes (system prompts, conversations) can lose half of "
            "its throughput, and a workload without any does not show it.",
        ),
        engines=("vllm",),
        sources=(
            Source(
                "vLLM 0.32, engine arguments",
                "vllm/engine/arg_utils.py, _set_default_chunked_prefill_and_prefix_caching_args",
            ),
        ),
    ),
    Tuning(
        name="log-stats",
        layer="vllm",
        summary="Do not collect the engine's statistics.",
        knob=Switch("--disable-log-stats", config="disable_log_stats", negatable=False),
        values=(None, True),
        stock="collected, logged and served under /metrics",
        risk=Risk(
            RiskLevel.MEDIUM,
            "The engine's figures vanish from /metrics: dashboards and alerts go blind, and what "
            "is reported only there (such as the block size) can no longer be verified.",
        ),
        prior=0.005,
        engines=("vllm",),
        sources=(
            Source("vLLM 0.32, engine arguments", "vllm/engine/arg_utils.py, --disable-log-stats"),
            Source(
                "vLLM 0.32, no logger without statistics",
                "vllm/v1/engine/async_llm.py, logger_manager; vllm/v1/metrics/loggers.py, "
                "log_metrics_info",
            ),
        ),
    ),
    Tuning(
        name="access-log",
        layer="vllm",
        summary="Do not write a line for every request.",
        knob=Switch("--disable-uvicorn-access-log"),
        values=(None, True),
        stock="a line on standard output for each request",
        risk=Risk(RiskLevel.LOW, "Requests leave no trace in the server's log."),
        prior=0.005,
        engines=("vllm",),
        sources=(Source("vLLM 0.32, API server", "vllm/entrypoints/launchers/cli_args.py"),),
    ),
)

TUNINGS = (*_FIDELITY, *_PROCESSES, *_SCHEDULING)
