"""Threads: how many compute, where they run, which OpenMP serves them, and its variables."""

from __future__ import annotations

from collections.abc import Iterator

from trimtab.catalog import applicability
from trimtab.catalog.rules import openmp
from trimtab.catalog.rules.scene import Rule, Scene
from trimtab.catalog.schema import Context, Relation, Source, Tuning, advisory_entry
from trimtab.catalog.values import ANY_TEXT, Acceptance, Choice, Integer, Pattern, ValueReader
from trimtab.facts import Facts
from trimtab.facts.parsing import format_cpu_list, parse_cpu_list
from trimtab.knobs import Affinity, Env, ManualSetting, Preload
from trimtab.model import (
    Check,
    CheckKind,
    Proof,
    Risk,
    RiskLevel,
    Settings,
    Value,
)
from trimtab.model.finding import Hit, Problem, Severity

_BIND = "VLLM_CPU_OMP_THREADS_BIND"
_IOMP = Preload(
    ("libiomp5.so",), "openmp", "the Python package intel-openmp into the engine's environment"
)
_OMP_SOURCE = Source(
    "vLLM 0.32, OpenMP process manager", "vllm/utils/ompmultiprocessing.py, configure_omp_envs"
)


def _thread_counts(context: Context) -> tuple[Value, ...]:
    if context.platform != "cpu":
        return (None, 1)
    count = applicability.usable_cpus(context)
    return (None, count, 1) if count > 1 else (None, 1)


def _throttled(context: Context) -> bool:
    """Whether a cgroup gives less CPU time than there are CPUs, which PyTorch does not see."""
    return applicability.usable_cpus(context) < len(applicability.allowed_cpus(context))


def _threads_apply(context: Context) -> str | None:
    if len(applicability.allowed_cpus(context)) < 2:
        return "the server may run on one CPU only"
    if context.platform != "cpu":
        return None
    cores = context.facts.allowed_cores
    if not _throttled(context) and cores and all(len(core) == 1 for core in cores):
        return (
            "each allowed CPU is a core of its own, and PyTorch already takes one thread for each "
            "core where vLLM does not set the number itself"
        )
    return None


def _threads_checks(value: Value, facts: Facts, settings: Settings) -> tuple[Check, ...]:
    delivered = Check(
        CheckKind.ENVIRON, "OMP_NUM_THREADS", str(value), roles=("api",), proves=Proof.DELIVERY
    )
    # A worker process gets vLLM's own number, so only without one can the variable act. Whether
    # it does, the engine core tells: "leaving Torch threads at N" (not for 1: then unobservable).
    alone = Check(CheckKind.ROLES, "worker", 0, proves=Proof.DELIVERY)
    return (delivered, alone, Check(CheckKind.CONFIG, "torch_threads", value))


def _bind_applies(context: Context) -> str | None:
    if reason := applicability.parallel_refusal(context):
        return f"{reason}: each needs a CPU list of its own"
    if not context.facts.allowed_cores:
        return "the CPU topology is unknown, so no list can be made"
    if len(applicability.one_per_core(context)) < 2:
        return "there is only one core to bind to"
    return None


def _bind_lead(context: Context) -> str:
    count = len(applicability.one_per_core(context))
    if not 2 <= count <= applicability.FEW_CPUS:
        return ""
    return (
        f"vLLM reserves one of {count} cores and computes on the rest; bound to all of them it "
        "computes on that one too"
    )


def _bind_checks(value: Value, facts: Facts, settings: Settings) -> tuple[Check, ...]:
    delivered = Check(CheckKind.ENVIRON, _BIND, str(value), roles=("api",), proves=Proof.DELIVERY)
    if value in ("auto", "nobind") or "|" in str(value):
        return (delivered,)
    cpus = format_cpu_list(parse_cpu_list(str(value)))
    return (delivered, Check(CheckKind.THREAD_AFFINITY, "pinned", cpus, roles=("worker",)))


def _affinity_applies(context: Context) -> str | None:
    cores = context.facts.allowed_cores
    if not cores:
        return "the CPU topology is unknown"
    if all(len(core) == 1 for core in cores):
        return "each allowed CPU is a core of its own: the mask would equal the inherited one"
    return None


def _first_of_each_core(context: Context) -> str:
    return format_cpu_list([core[0] for core in context.facts.allowed_cores])


def _iomp_applies(context: Context) -> str | None:
    arch = context.facts.cpu.arch.value
    if arch not in ("x86_64", None):
        return f"Intel's OpenMP is for x86_64, and this machine is {arch}"
    path = context.facts.libraries.path("libiomp5.so")
    return None if path.value is not None else f"libiomp5.so is not found: install {_IOMP.package}"


_THREADS = (
    Tuning(
        name="omp-threads",
        layer="threads",
        summary="Set the number of OpenMP threads to what computes: the CPUs given, or one.",
        knob=Env("OMP_NUM_THREADS", int),
        values=_thread_counts,
        stock="one for each core in one process; vLLM's own number in a worker process",
        applies=_threads_apply,
        requires=(
            Relation(
                "one-process-engine",
                "vLLM overwrites OMP_NUM_THREADS for its worker processes, so it acts only "
                "where the engine core computes itself",
                platforms=("cpu",),
            ),
        ),
        conflicts=(
            Relation("omp-bind", "binding sets the number of threads from its own CPU list"),
        ),
        checks=_threads_checks,
        accepts=Pattern(
            r"\s*[1-9]\d{0,5}\s*(,\s*[1-9]\d*\s*)*",
            "an integer of at least 1",
            "the runtime warns and ignores it",
            taken=Acceptance.MISREAD,
        ),
        details=(
            "vLLM leaves a value alone that the user has set, and picks one otherwise; a CPU "
            "worker process gets vLLM's own number whatever is set. On NPUs and GPUs the device "
            "computes, and a few threads are enough: vllm-ascend's images bake 1."
        ),
        rules=(openmp.TOO_MANY,),
        risk=Risk(
            RiskLevel.LOW,
            "Spinning threads can starve the API server; 1 loses about 30 % on two cores.",
        ),
        engines=("vllm",),
        sources=(
            _OMP_SOURCE,
            Source("vLLM 0.32, thread count at run time", "vllm/utils/torch_utils.py"),
        ),
    ),
    Tuning(
        name="omp-bind",
        layer="threads",
        summary="Bind one compute thread to every allowed core, the reserved one included.",
        knob=Env(_BIND),
        values=lambda context: (None, applicability.core_list(context), "auto", "nobind"),
        stock="auto: one core is reserved for the other processes, the rest is bound",
        applies=_bind_applies,
        lead=_bind_lead,
        conflicts=(
            Relation(
                "one-process-engine",
                f"vLLM reads {_BIND} only where it starts worker processes, and in one process "
                "there are none",
            ),
        ),
        checks=_bind_checks,
        risk=Risk(
            RiskLevel.MEDIUM,
            "Bound threads that spin on every core can slow down several times when anything "
            "else runs on the machine.",
        ),
        prior=0.2,
        rules=(openmp.BIND_LISTS, openmp.BIND_OUTSIDE),
        engines=("vllm",),
        platforms=("cpu",),
        sources=(_OMP_SOURCE, Source("vLLM 0.32 environment", "vllm/envs.py")),
    ),
    Tuning(
        name="process-affinity",
        layer="threads",
        summary="Start the whole server on one logical CPU of each physical core.",
        knob=Affinity(),
        values=lambda context: (None, _first_of_each_core(context)),
        stock="every CPU that trimtab itself may run on",
        applies=_affinity_applies,
        risk=Risk(
            RiskLevel.LOW, "Half of the logical CPUs stay idle for everything but this server."
        ),
        sources=(
            Source("sched_setaffinity(2)", "man7.org/linux/man-pages"),
            Source("vLLM 0.32, one CPU a core on x86", "vllm/utils/ompmultiprocessing.py"),
        ),
    ),
    Tuning(
        name="libiomp",
        layer="threads",
        summary="Preload Intel's OpenMP in place of the GNU one that PyTorch brings.",
        knob=_IOMP,
        values=(None, "libiomp5.so"),
        stock="libgomp, which vLLM preloads into its workers itself",
        applies=_iomp_applies,
        risk=Risk(
            RiskLevel.LOW,
            "Two OpenMP runtimes are then mapped, and a library that needs GNU's own extensions "
            "can misbehave.",
        ),
        engines=("vllm",),
        platforms=("cpu",),
        package="intel-openmp",
        sources=(
            Source("vLLM 0.32, CPU worker", "vllm/v1/worker/cpu_worker.py, check_preloaded_libs"),
            Source("vLLM 0.32, CPU platform", "vllm/platforms/cpu.py, LD_PRELOAD"),
            _OMP_SOURCE,
        ),
    ),
)


_OPENMP = Source("OpenMP API specification", "openmp.org, environment variables")
_GOMP = Source("GNU libgomp", "gcc.gnu.org/onlinedocs/libgomp")
_INTEL = Source("Intel OpenMP runtime", "environment variables, KMP_")
_IGNORED = "the runtime warns and ignores it"


def _variable(
    name: str,
    summary: str,
    source: Source,
    accepts: ValueReader = ANY_TEXT,
    stock: str = "not set",
    details: str = "",
    rules: tuple[Rule, ...] = (),
) -> Tuning:
    return advisory_entry(
        name.lower().replace("_", "-"),
        "threads",
        summary,
        name,
        source,
        accepts=accepts,
        stock=stock,
        details=details,
        rules=rules,
    )


def _rivals(scene: Scene) -> Iterator[Hit]:
    bind = (scene.text("OMP_PROC_BIND") or "").lower()
    binds = bind not in ("", "false")
    theirs = scene.text("VLLM_CPU_OMP_THREADS_BIND") not in (None, "nobind")
    ascend = scene.situation.platform == "ascend" and scene.situation.arch == "aarch64"
    if binds and (theirs or ascend):
        by = "vLLM" if theirs else "vllm-ascend"
        yield Hit(
            "OMP_PROC_BIND",
            (
                f"OMP_PROC_BIND={bind} lets OpenMP bind threads, and {by} binds them too: the "
                "last one wins for each thread"
            ),
            "set it to false, or leave it out",
        )


def _without_bind(scene: Scene) -> Iterator[Hit]:
    if "OMP_PLACES" in scene.env and (scene.text("OMP_PROC_BIND") or "").lower() == "false":
        yield Hit(
            "OMP_PLACES",
            "OMP_PROC_BIND=false switches binding off, so OpenMP does not use the places",
            "keep one of the two",
        )


def _twice(scene: Scene) -> Iterator[Hit]:
    if "GOMP_CPU_AFFINITY" in scene.env and "OMP_PLACES" in scene.env:
        yield Hit(
            "GOMP_CPU_AFFINITY",
            "OMP_PLACES wins over GOMP_CPU_AFFINITY",
            "keep one of the two",
        )


def _bound_twice(scene: Scene) -> Iterator[Hit]:
    cpuset = scene.container is not None and any(
        option.name == "--cpuset-cpus" for option in scene.container.options
    )
    if scene.affinity is not None and cpuset:
        yield Hit(
            "cpu-affinity",
            (
                "the container has a cpuset, and the command binds itself too: taskset and "
                "numactl fail for CPUs outside the cpuset"
            ),
            "bind in one place only",
        )


_VARIABLES = (
    _variable(
        "OMP_PROC_BIND",
        "Whether OpenMP binds its threads to places.",
        _OPENMP,
        Choice(
            ("true", "false", "master", "primary", "close", "spread"),
            _IGNORED,
            Acceptance.MISREAD,
            ignore_case=True,
        ),
        stock="false, unless OMP_PLACES is set",
        details=(
            "All vllm-ascend tutorials set it to false, so that OpenMP does not bind against "
            "vllm-ascend's own CPU binding."
        ),
        rules=(
            Rule(
                id="omp-binds-against",
                severity=Severity.WARNING,
                problem=Problem.CONFLICT,
                summary="OpenMP and vLLM both bind threads.",
                process=_rivals,
            ),
        ),
    ),
    _variable(
        "OMP_PLACES",
        "Where OpenMP may bind threads.",
        _OPENMP,
        Pattern(
            r"(threads|cores|sockets|ll_caches|numa_domains)(\(\d+\))?|[{}\d,:\s!-]+",
            "threads, cores, sockets, ll_caches, numa_domains, or a list such as {0:4}:2",
            _IGNORED,
            Acceptance.MISREAD,
        ),
        rules=(
            Rule(
                id="omp-places-unused",
                severity=Severity.WARNING,
                problem=Problem.NO_EFFECT,
                summary="Places are given, and binding is off.",
                process=_without_bind,
            ),
        ),
    ),
    _variable(
        "GOMP_CPU_AFFINITY",
        "The CPUs to which libgomp binds its threads, in turn.",
        _GOMP,
        Pattern(r"[\d\s,:-]+", "CPU numbers and ranges", _IGNORED, Acceptance.MISREAD),
        rules=(
            Rule(
                id="gomp-affinity-twice",
                severity=Severity.WARNING,
                problem=Problem.NO_EFFECT,
                summary="OMP_PLACES wins over GOMP_CPU_AFFINITY.",
                process=_twice,
            ),
        ),
    ),
    _variable(
        "GOMP_SPINCOUNT",
        "How long libgomp's threads spin before they sleep.",
        _GOMP,
        Pattern(
            r"\d+(\.\d+)?[kKmMgGtT]?|infinity|infinite",
            "a number, with k, M, G or T, or infinity",
            _IGNORED,
            Acceptance.MISREAD,
        ),
    ),
    _variable(
        "OMP_WAIT_POLICY",
        "Whether waiting threads spin (active) or sleep (passive).",
        _OPENMP,
        Choice(("active", "passive"), _IGNORED, Acceptance.MISREAD, ignore_case=True),
        stock="decided by the runtime",
        details="Spinning threads take CPU time from the API server on few CPUs.",
    ),
    _variable(
        "KMP_AFFINITY",
        "How Intel's OpenMP binds its threads.",
        _INTEL,
        details="It acts only where libiomp5 serves OpenMP. 'granularity=fine,compact,1,0'.",
    ),
    _variable(
        "KMP_BLOCKTIME",
        "How long Intel's OpenMP threads spin before they sleep, in milliseconds.",
        _INTEL,
        Pattern(
            r"\d+(ms|us)?|infinite", "milliseconds, or infinite", _IGNORED, Acceptance.MISREAD
        ),
        stock="200",
        details="It acts only where libiomp5 serves OpenMP.",
    ),
    _variable(
        "MKL_NUM_THREADS",
        "How many threads MKL uses.",
        _INTEL,
        Integer(1, None, _IGNORED, taken=Acceptance.MISREAD),
        stock="OMP_NUM_THREADS",
    ),
    advisory_entry(
        "cpu-binding-wrapper",
        "threads",
        "Bind the whole server to CPUs and memory by numactl, taskset or a cpuset.",
        ManualSetting("numactl, taskset, --cpuset-cpus", "cpu-affinity"),
        Source("numactl(8), taskset(1)", "man7.org/linux/man-pages"),
        details=(
            "Every process of the server inherits it. --membind fails an allocation when the node "
            "is full, --preferred falls back. In Kubernetes the static CPU manager does it."
        ),
        rules=(
            Rule(
                id="bound-twice",
                severity=Severity.WARNING,
                problem=Problem.CONFLICT,
                summary="A cpuset and a wrapper both bind CPUs.",
                process=_bound_twice,
            ),
        ),
    ),
)

TUNINGS = (*_THREADS, *_VARIABLES)
