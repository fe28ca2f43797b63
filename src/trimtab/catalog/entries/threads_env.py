"""Variables of the OpenMP runtimes, and wrappers that bind a process to CPUs and memory."""

from __future__ import annotations

from collections.abc import Iterator

from trimtab.catalog.rules.scene import Rule, Scene
from trimtab.catalog.schema import Source, Tuning, advisory_entry
from trimtab.catalog.values import ANY_TEXT, Acceptance, Choice, Integer, Pattern, ValueReader
from trimtab.knobs import ManualSetting
from trimtab.model.finding import Hit, Problem, Severity

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
        one.name == "--cpuset-cpus" for one in scene.container.options
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


TUNINGS = (
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
