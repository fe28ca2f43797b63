"""Further options of ``vllm serve`` that decide speed, and those that it no longer has."""

from __future__ import annotations

from trimtab.catalog.rules.scene import Rule
from trimtab.catalog.schema import NO_RISK, VLLM, Relation, Source, Tuning, advisory_entry
from trimtab.catalog.values import ANY_TEXT, Choice, Decimal, Integer, ValueReader
from trimtab.knobs import Argument, Knob, Switch
from trimtab.model import Risk, RiskLevel

_ARGS = Source(f"{VLLM}, engine arguments", "vllm/engine/arg_utils.py")
_VLLM = ("vllm",)
_REFUSED = "vLLM's parser ends the start"


def _arg(
    knob: Knob,
    summary: str,
    stock: str,
    accepts: ValueReader = ANY_TEXT,
    details: str = "",
    platforms: tuple[str, ...] = (),
    risk: Risk = NO_RISK,
    rules: tuple[Rule, ...] = (),
    conflicts: tuple[Relation, ...] = (),
) -> Tuning:
    return advisory_entry(
        knob.place.lstrip("-"),
        "vllm",
        summary,
        knob,
        _ARGS,
        stock=stock,
        accepts=accepts,
        details=details,
        platforms=platforms,
        engines=_VLLM,
        risk=risk,
        rules=rules,
        conflicts=conflicts,
    )


def _gone(option: str, summary: str, why: str, switch: bool = False) -> Tuning:
    knob: Knob = Switch(option) if switch else Argument(option)
    return advisory_entry(
        option.lstrip("-"),
        "vllm",
        summary,
        knob,
        _ARGS,
        engines=_VLLM,
        inert=f"vLLM 0.32 does not have it: {why}",
        details="Older releases of vLLM had it; it is still found in tutorials.",
    )


TUNINGS = (
    _arg(
        Argument("--gpu-memory-utilization"),
        "The share of device memory that vLLM takes.",
        stock="0.92 (0.9 in older releases)",
        accepts=Decimal(0.01, 1.0, "vLLM raises"),
        details="What weights and activations leave of it becomes KV cache.",
        risk=Risk(RiskLevel.MEDIUM, "Close to 1 the first large batch can run out of memory."),
    ),
    _arg(
        Argument("--kv-cache-memory-bytes"),
        "The size of the KV cache, instead of a share of memory.",
        stock="from --gpu-memory-utilization",
    ),
    _arg(
        Argument("--tensor-parallel-size", int, aliases=("-tp",)),
        "Over how many devices each layer is split.",
        stock="1",
        accepts=Integer(1, None, _REFUSED),
        details="It must divide the number of attention heads; each step communicates twice.",
    ),
    _arg(
        Argument("--pipeline-parallel-size", int, aliases=("-pp",)),
        "Over how many devices the layers are spread.",
        stock="1",
        accepts=Integer(1, None, _REFUSED),
    ),
    _arg(
        Argument("--data-parallel-size", int, aliases=("-dp",)),
        "How many replicas serve side by side.",
        stock="1",
        accepts=Integer(1, None, _REFUSED),
    ),
    _arg(
        Switch("--enable-expert-parallel"),
        "Spread experts over devices instead of splitting each.",
        stock="off",
        details="For models with experts.",
    ),
    _arg(
        Argument("--max-model-len"),
        "The longest context, prompt and answer together, in tokens.",
        stock="the model's own",
        details="A shorter one leaves room for more requests, and refuses longer ones.",
    ),
    _arg(
        Switch("--enable-chunked-prefill"),
        "Cut long prompts into pieces that are computed beside decoding.",
        stock="on",
    ),
    _arg(
        Argument("--compilation-config", aliases=("-cc",)),
        "How the model is compiled, and for which sizes graphs are captured.",
        stock="the engine's own",
        details=(
            "More sizes: less padding, longer start, more memory. vllm-ascend captures full and "
            "piecewise graphs by default."
        ),
    ),
    _arg(
        Argument("--cudagraph-capture-sizes"),
        "The batch sizes for which graphs are captured.",
        stock="powers and multiples up to --max-num-seqs",
    ),
    _arg(
        Argument("--optimization-level"),
        "How much time the start may take for faster serving, 0 to 3.",
        stock="2",
        accepts=Choice(("0", "1", "2", "3"), _REFUSED),
    ),
    _arg(
        Argument("--performance-mode"),
        "Prefer latency, throughput, or neither.",
        stock="balanced",
        accepts=Choice(("balanced", "interactivity", "throughput"), _REFUSED),
    ),
    _arg(
        Argument("--speculative-config", aliases=("-sc",)),
        "Guess several tokens ahead, and check them in one step.",
        stock="off",
        details="It pays at low load; at high load the guesses cost throughput.",
    ),
    _arg(
        Argument("--attention-backend"),
        "The attention kernels.",
        stock="chosen by vLLM",
    ),
    _arg(
        Argument("--all2all-backend"),
        "How tokens are dispatched to experts.",
        stock="chosen by vLLM",
    ),
    _arg(
        Argument("--stream-interval", int),
        "How many tokens one piece of a streamed answer holds.",
        stock="1",
        accepts=Integer(1, None, _REFUSED),
        details="More spares the API server, and makes ITL coarser.",
    ),
    _arg(
        Argument("--cpu-offload-gb"),
        "How much of the weights stays in host memory, in GiB for each device.",
        stock="0",
        risk=Risk(RiskLevel.HIGH, "Each step moves them over the bus."),
    ),
    _arg(
        Switch("--enable-sleep-mode"),
        "Let the server give its memory back while it is not needed.",
        stock="off",
        details="vllm-ascend then refuses expandable segments.",
    ),
    _arg(
        Switch("--numa-bind"),
        "Bind each worker to the NUMA node of its device.",
        stock="off",
        details=(
            "vllm-ascend converts it to enable_cpu_binding, and ignores --numa-bind-nodes and "
            "--numa-bind-cpus."
        ),
    ),
    _arg(
        Switch("--disable-custom-all-reduce"),
        "Reduce by NCCL instead of vLLM's own kernel.",
        stock="off",
        platforms=("cuda",),
    ),
    _arg(
        Argument("--load-format"),
        "How weights are read.",
        stock="auto",
        details="It is about the time of the start. 'dummy' serves random weights.",
    ),
    _arg(
        Switch("--enable-dbo"),
        "Overlap two half batches, so that communication hides behind computation.",
        stock="off",
        details="For expert parallel serving.",
    ),
    _gone(
        "--swap-space", "Host memory for swapped requests.", "vLLM recomputes preempted requests"
    ),
    _gone(
        "--num-scheduler-steps",
        "Several steps for each scheduling.",
        "--async-scheduling serves the purpose",
    ),
    _gone(
        "--use-v2-block-manager",
        "The second block manager.",
        "vLLM has only one block manager",
        switch=True,
    ),
    _gone(
        "--disable-log-requests",
        "Do not log each request.",
        "vLLM logs no requests unless --enable-log-requests is set",
        switch=True,
    ),
    _gone(
        "--disable-frontend-multiprocessing",
        "Serve and compute in one process.",
        "VLLM_ENABLE_V1_MULTIPROCESSING=0 comes nearest",
        switch=True,
    ),
    _gone("--preemption-mode", "How preempted requests go on.", "vLLM always recomputes them"),
    _gone(
        "--max-seq-len-to-capture",
        "The longest context in a graph.",
        "graphs no longer depend on the length",
    ),
    _gone(
        "--guided-decoding-backend",
        "Grammar engine.",
        "--structured-outputs-config names the engine",
    ),
    _gone("--device", "The kind of device.", "vLLM finds the device itself"),
)
