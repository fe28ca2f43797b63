"""vLLM's scheduler, cache and logs."""

from trimtab.catalog.schema import Context, Source, Tuning
from trimtab.knobs import Argument, Switch
from trimtab.model import Risk, RiskLevel, Value

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


TUNINGS = (
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
