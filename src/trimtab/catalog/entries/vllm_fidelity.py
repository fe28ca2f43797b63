"""What buys speed with precision: each may change what the model says, so a study must name it."""

from __future__ import annotations

from trimtab.catalog import applicability
from trimtab.catalog.schema import Context, Source, Tuning
from trimtab.knobs import Argument
from trimtab.model import Risk, RiskLevel

_ARGS = Source("vLLM 0.32, engine arguments", "vllm/engine/arg_utils.py")

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


TUNINGS = (
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
            _ARGS,
            Source("vLLM 0.32, online quantization", "vllm/config/quantization.py"),
            Source("vLLM 0.32, FP8", "vllm/model_executor/layers/quantization/fp8.py"),
        ),
    ),
)
