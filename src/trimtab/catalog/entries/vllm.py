"""vLLM's engine: precision, processes and compilation."""

from trimtab.catalog import applicability
from trimtab.catalog.schema import Context, Relation, Source, Tuning
from trimtab.facts import Facts
from trimtab.facts.parsing import format_cpu_list
from trimtab.knobs import Argument, Env, Switch
from trimtab.model import (
    Check,
    CheckKind,
    Proof,
    Risk,
    RiskLevel,
    Settings,
    Value,
)

_DTYPE = Argument("--dtype", config="dtype")
_MULTIPROCESSING = "VLLM_ENABLE_V1_MULTIPROCESSING"

_CPU_PLATFORM = Source("vLLM 0.32, CPU platform", "vllm/platforms/cpu.py")


def _computed(context: Context) -> str | None:
    """Return the type that ``auto`` computes in: float32 checkpoints are narrowed on CPU too."""
    stored = context.checkpoint_dtype
    return "bfloat16" if stored == "float32" else stored


def _narrows(context: Context) -> bool:
    """Whether the baseline computes a float32 checkpoint in float32, which auto would not."""
    wide = _DTYPE.parse(context.baseline) in ("float32", "float")
    return wide and context.checkpoint_dtype == "float32"


def _narrowing_applies(context: Context) -> str | None:
    flags = context.facts.cpu.flags.value or frozenset()
    if context.platform == "cpu" and not flags & applicability.NATIVE["bfloat16"]:
        return "this CPU is not known to compute bfloat16 natively: it would be slower"
    return applicability.capability_refusal(context, (8, 0), "bfloat16 arithmetic")


def _dtype_applies(context: Context) -> str | None:
    if _narrows(context):
        return _narrowing_applies(context)
    if context.platform != "cpu":
        return f"a study tries it on cpu only, and the platform is {context.platform}"
    computed = _computed(context)
    if computed is None:
        return "the type the checkpoint is stored in is unknown"
    if computed not in applicability.NATIVE:
        return f"the checkpoint is stored in {computed}, which has no rule here"
    flags = context.facts.cpu.flags.value
    native = sorted(applicability.NATIVE[computed] & flags) if flags is not None else []
    if native:
        return (
            f"this CPU computes {computed} natively ({', '.join(native)}): float32 would only "
            "double the memory traffic"
        )
    return None


def _dtype_lead(context: Context) -> str:
    flags = context.facts.cpu.flags.value
    if context.facts.cpu.arch.value != "x86_64" or flags is None:
        return ""
    if _computed(context) != "bfloat16" or flags & applicability.NATIVE["bfloat16"]:
        return ""
    return (
        "this CPU has neither AVX512-BF16 nor AMX, so vLLM computes bfloat16 on a slow fallback "
        "(about a quarter of float32's speed on AVX2)"
    )


def _one_process_applies(context: Context) -> str | None:
    if reason := applicability.parallel_refusal(context):
        return f"{reason}, which need processes of their own"
    return None


def _one_process_lead(context: Context) -> str:
    count = len(applicability.allowed_cpus(context))
    if not 2 <= count <= applicability.FEW_CPUS:
        return ""
    return (
        f"vLLM reserves one of the {count} allowed CPUs for its other processes and computes on "
        "the rest only; in one process the engine computes on all of them"
    )


def _one_process_checks(value: Value, facts: Facts, settings: Settings) -> tuple[Check, ...]:
    delivered = Check(
        CheckKind.ENVIRON, _MULTIPROCESSING, str(value), roles=("api",), proves=Proof.DELIVERY
    )
    if value != "0":
        return (delivered,)
    alone = (delivered, Check(CheckKind.ROLES, "worker", 0))
    cpus = settings.affinity or facts.limits.allowed.value
    if cpus is None:
        return alone
    mask = format_cpu_list(cpus)
    return (*alone, Check(CheckKind.THREAD_AFFINITY, "threads", mask, roles=("engine",)))


def _aot_checks(value: Value, facts: Facts, settings: Settings) -> tuple[Check, ...]:
    name = "VLLM_USE_AOT_COMPILE"
    delivered = Check(CheckKind.ENVIRON, name, str(value), roles=("api",), proves=Proof.DELIVERY)
    return (delivered, Check(CheckKind.CONFIG, "aot_compile", value == "1"))


def _aot_applies(context: Context) -> str | None:
    if applicability.release(context.engine_version)[:2] != (0, 32):
        return (
            "the cache that cannot be loaded was seen in vLLM 0.32, and the engine is "
            f"{context.engine_version}"
        )
    return None


TUNINGS = (
    Tuning(
        name="dtype",
        layer="vllm",
        summary="Compute in float32 where the CPU has no arithmetic for the checkpoint's type.",
        knob=_DTYPE,
        values=lambda context: ("auto", "bfloat16" if _narrows(context) else "float32"),
        stock="auto: the checkpoint's own type, bfloat16 for float32",
        applies=_dtype_applies,
        lead=_dtype_lead,
        lowers_fidelity=("bfloat16",),
        details=(
            "Where the baseline computes a float32 checkpoint in float32 and the device has "
            "bfloat16 arithmetic, the alternative is bfloat16."
        ),
        risk=Risk(
            RiskLevel.LOW,
            "Weights take twice the memory and a KV cache of the same size holds half the tokens; "
            "more precision than the checkpoint's does not make answers worse.",
        ),
        prior=1.4,
        engines=("vllm",),
        sources=(
            Source("vLLM 0.32, model configuration", "vllm/config/model.py, _resolve_auto_dtype"),
            Source("oneDNN, data types", "uxlfoundation.github.io/oneDNN, dev_guide_data_types"),
        ),
    ),
    Tuning(
        name="one-process-engine",
        layer="vllm",
        summary="Let the engine core compute itself instead of in a worker process.",
        knob=Env(_MULTIPROCESSING),
        values=(None, "0"),
        stock="1: API server, engine core and worker are processes of their own",
        applies=_one_process_applies,
        lead=_one_process_lead,
        checks=_one_process_checks,
        risk=Risk(
            RiskLevel.MEDIUM,
            "Scheduler and model share one process and one interpreter lock: a crash or hang of "
            "the model takes the scheduler with it (the API server stays a process of its own).",
        ),
        prior=0.37,
        engines=("vllm",),
        platforms=("cpu",),
        sources=(
            _CPU_PLATFORM,
            Source("vLLM 0.32, reserved CPUs", "vllm/utils/ompmultiprocessing.py"),
        ),
    ),
    Tuning(
        name="aot-compile",
        layer="vllm",
        summary="Turn ahead-of-time compilation off: its cache cannot be loaded on CPU.",
        knob=Env("VLLM_USE_AOT_COMPILE"),
        values=(None, "0"),
        stock="1: every start compiles anew, because loading the cache fails",
        applies=_aot_applies,
        checks=_aot_checks,
        conflicts=(Relation("eager", "without compilation there is no cache to load"),),
        risk=Risk(
            RiskLevel.LOW, "The first start after a change of model or version compiles as before."
        ),
        prior=0.4,
        metric="startup",
        engines=("vllm",),
        platforms=("cpu",),
        since="0.32",
        sources=(
            Source("vLLM 0.32, 'Compiling model again'", "vllm/compilation/decorators.py"),
            Source("vLLM 0.32, default of the variable", "vllm/envs.py, use_aot_compile"),
        ),
    ),
    Tuning(
        name="eager",
        layer="vllm",
        summary="Skip compilation: start faster, and compute with ready-made kernels.",
        knob=Switch("--enforce-eager", config="enforce_eager"),
        values=(None, True),
        stock="compiled by inductor on CPU",
        risk=Risk(
            RiskLevel.LOW, "Each token usually costs more; answers may differ in last bits."
        ),
        prior=-0.17,
        engines=("vllm",),
        sources=(
            _CPU_PLATFORM,
            Source("vLLM 0.32, engine arguments", "vllm/engine/arg_utils.py, --enforce-eager"),
        ),
    ),
    Tuning(
        name="async-scheduling",
        layer="vllm",
        summary="Schedule the next step while the current one computes, or do not.",
        knob=Switch("--async-scheduling", config="async_scheduling"),
        values=lambda context: (
            None,
            applicability.is_before(context.engine_version, "0.23") is not False,
        ),
        stock="the engine decides: on in 0.23 and 0.32, where nothing forbids it",
        applies=lambda context: (
            "vLLM turns it off on CPU whatever is asked (platforms/cpu.py)"
            if context.platform == "cpu"
            else None
        ),
        risk=Risk(RiskLevel.LOW, "Some features of the scheduler are refused together with it."),
        engines=("vllm",),
        sources=(
            _CPU_PLATFORM,
            Source("vLLM 0.32, scheduler configuration", "vllm/config/scheduler.py"),
        ),
    ),
)
