"""What replaced the options and variables that vLLM and vllm-ascend no longer have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Successor:
    """What to write instead. ``droppable``: leaving the old one out loses no wish."""

    fix: str
    droppable: bool = False


_OUT: Final = "take it out"
_SPECULATIVE: Final = Successor("use the keys of --speculative-config")
_STRUCTURED: Final = Successor("use the keys of --structured-outputs-config")
_PROFILER: Final = Successor("use the keys of --profiler-config")
_ATTENTION: Final = Successor("use the keys of --attention-config")
_EPLB: Final = Successor("use the keys of --eplb-config")
_MOE: Final = Successor("use --moe-backend")
_PREFETCH: Final = Successor("use weight_prefetch_config in --additional-config, where it is read")


def _dropped(why: str = "") -> Successor:
    return Successor(f"{_OUT}: {why}" if why else _OUT, droppable=True)


OPTIONS: Final[Mapping[str, Successor]] = {
    "--swap-space": _dropped("vLLM computes preempted requests again instead of swapping them"),
    "--num-scheduler-steps": _dropped("--async-scheduling serves its purpose"),
    "--multi-step-stream-outputs": _dropped("--stream-interval sets how often tokens are sent"),
    "--use-v2-block-manager": _dropped("vLLM has only one block manager"),
    "--disable-log-requests": _dropped(
        "vLLM logs no requests unless --enable-log-requests is set"
    ),
    "--disable-frontend-multiprocessing": Successor(
        "set VLLM_ENABLE_V1_MULTIPROCESSING=0, which comes nearest"
    ),
    "--preemption-mode": _dropped("vLLM always computes preempted requests again"),
    "--max-seq-len-to-capture": _dropped("graphs no longer depend on the length"),
    "--max-context-len-to-capture": _dropped("graphs no longer depend on the length"),
    "--device": _dropped("vLLM finds the device itself"),
    "--rope-scaling": Successor("move it into --hf-overrides: '{\"rope_parameters\": {...}}'"),
    "--rope-theta": Successor("move it into --hf-overrides: '{\"rope_parameters\": {...}}'"),
    "--task": Successor("use --runner pooling, and --convert embed or classify where needed"),
    "--worker-use-ray": Successor("write --distributed-executor-backend ray"),
    "--engine-use-ray": _dropped("the engine no longer runs as an actor of Ray"),
    "--enable-reasoning": _dropped("--reasoning-parser alone switches it on"),
    "--guided-decoding-backend": _STRUCTURED,
    "--guided-decoding-disable-fallback": _STRUCTURED,
    "--guided-decoding-disable-any-whitespace": _STRUCTURED,
    "--guided-decoding-disable-additional-properties": _STRUCTURED,
    "--cuda-graph-sizes": Successor("write --cudagraph-capture-sizes"),
    "--disable-async-output-proc": Successor("write --no-async-scheduling"),
    "--disable-mm-preprocessor-cache": Successor("write --mm-processor-cache-gb 0"),
    "--enable-multimodal-encoder-data-parallel": Successor("write --mm-encoder-tp-mode data"),
    "--override-pooler-config": Successor("use --pooler-config"),
    "--override-neuron-config": Successor("use --additional-config"),
    "--eplb-log-balancedness": _EPLB,
    "--eplb-step-interval": _EPLB,
    "--eplb-window-size": _EPLB,
    "--num-redundant-experts": _EPLB,
    "--num-speculative-tokens": _SPECULATIVE,
    "--speculative-model": _SPECULATIVE,
    "--speculative-model-quantization": _SPECULATIVE,
    "--speculative-max-model-len": _SPECULATIVE,
    "--speculative-draft-tensor-parallel-size": _SPECULATIVE,
    "--speculative-disable-by-batch-size": _SPECULATIVE,
    "--speculative-disable-mqa-scorer": _SPECULATIVE,
    "--ngram-prompt-lookup-max": _SPECULATIVE,
    "--ngram-prompt-lookup-min": _SPECULATIVE,
    "--spec-decoding-acceptance-method": _SPECULATIVE,
    "--num-lookahead-slots": _SPECULATIVE,
    "--chat-template-text-format": Successor("write --chat-template-content-format"),
    "--system-prompt": Successor("use --chat-template"),
    "--quantization-param-path": _dropped("the checkpoint holds its scales"),
    "--tokenizer-pool-size": _dropped("vLLM has no pool of tokenizers any more"),
    "--tokenizer-pool-type": _dropped("vLLM has no pool of tokenizers any more"),
    "--tokenizer-pool-extra-config": _dropped("vLLM has no pool of tokenizers any more"),
    "--scheduler-delay-factor": _dropped("the scheduler no longer delays prompts"),
}
"""Removed option of ``vllm serve`` → what replaced it."""

VARIABLES: Final[Mapping[str, Successor]] = {
    "VLLM_USE_V1": _dropped("vLLM has only one engine"),
    "VLLM_ATTENTION_BACKEND": Successor("use --attention-backend"),
    "VLLM_ALL2ALL_BACKEND": Successor("use --all2all-backend"),
    "VLLM_FLASH_ATTN_VERSION": _ATTENTION,
    "VLLM_FLASH_ATTN_MAX_NUM_SPLITS_FOR_CUDA_GRAPH": _ATTENTION,
    "VLLM_USE_TRTLLM_ATTENTION": _ATTENTION,
    "VLLM_USE_TRTLLM_RAGGED_DEEPSEEK_PREFILL": _ATTENTION,
    "VLLM_USE_CUDNN_PREFILL": _ATTENTION,
    "VLLM_DISABLE_FLASHINFER_PREFILL": _ATTENTION,
    "VLLM_FLASHINFER_DISABLE_Q_QUANTIZATION": _ATTENTION,
    "VLLM_V1_USE_PREFILL_DECODE_ATTENTION": _ATTENTION,
    "VLLM_USE_AITER_UNIFIED_ATTENTION": Successor("use --attention-backend"),
    "VLLM_USE_FLASHINFER_MOE_FP4": _MOE,
    "VLLM_USE_FLASHINFER_MOE_FP8": _MOE,
    "VLLM_USE_FLASHINFER_MOE_FP16": _MOE,
    "VLLM_USE_FLASHINFER_MOE_MXFP4_BF16": _MOE,
    "VLLM_USE_FLASHINFER_MOE_MXFP4_MXFP8": _MOE,
    "VLLM_USE_FLASHINFER_MOE_MXFP4_MXFP8_CUTLASS": _MOE,
    "VLLM_MXFP4_USE_MARLIN": _MOE,
    "VLLM_FLASHINFER_MOE_BACKEND": _MOE,
    "VLLM_NVFP4_GEMM_BACKEND": Successor("use --linear-backend"),
    "VLLM_USE_TRTLLM_FP4_GEMM": Successor("use --linear-backend"),
    "VLLM_USE_FBGEMM": Successor("use --linear-backend"),
    "VLLM_SKIP_DEEP_GEMM_WARMUP": Successor("set VLLM_DEEP_GEMM_WARMUP=skip"),
    "VLLM_MM_INPUT_CACHE_GIB": Successor("use --mm-processor-cache-gb"),
    "VLLM_PREFIX_CACHE_RETENTION_INTERVAL": Successor("use --prefix-cache-retention-interval"),
    "VLLM_TORCH_PROFILER_DIR": _PROFILER,
    "VLLM_TORCH_CUDA_PROFILE": _PROFILER,
    "VLLM_TORCH_PROFILER_DISABLE_ASYNC_LLM": _PROFILER,
    "VLLM_TORCH_PROFILER_DUMP_CUDA_TIME_TOTAL": _PROFILER,
    "VLLM_TORCH_PROFILER_RECORD_SHAPES": _PROFILER,
    "VLLM_TORCH_PROFILER_USE_GZIP": _PROFILER,
    "VLLM_TORCH_PROFILER_WITH_FLOPS": _PROFILER,
    "VLLM_TORCH_PROFILER_WITH_PROFILE_MEMORY": _PROFILER,
    "VLLM_TORCH_PROFILER_WITH_STACK": _PROFILER,
    "VLLM_PROFILER_DELAY_ITERS": _PROFILER,
    "VLLM_PROFILER_MAX_ITERS": _PROFILER,
    "VLLM_DISABLE_NCCL_FOR_DP_SYNCHRONIZATION": Successor(
        "use --disable-nccl-for-dp-synchronization"
    ),
    "VLLM_ASCEND_ENABLE_PREFETCH_MLP": _PREFETCH,
    "VLLM_ASCEND_MLP_GATE_UP_PREFETCH_SIZE": _PREFETCH,
    "VLLM_ASCEND_MLP_DOWN_PREFETCH_SIZE": _PREFETCH,
    "VLLM_ASCEND_ENABLE_FLASHCOMM": Successor(
        "use enable_flashcomm1 in --additional-config, in the releases that read it"
    ),
}
"""Removed variable → what replaced it."""
