"""Memory allocators of the host's heap. Order matters: preloads are listed in this order."""

from trimtab.catalog.rules import preload
from trimtab.catalog.schema import Context, Relation, Source, Tuning, advisory_entry
from trimtab.catalog.values import Acceptance, Choice, Integer, Pattern
from trimtab.facts import Facts
from trimtab.knobs import Env, Preload
from trimtab.model import (
    Check,
    CheckKind,
    Proof,
    Risk,
    RiskLevel,
    Settings,
    Value,
)

_JEMALLOC = Preload(
    ("libjemalloc.so.2",), "malloc", "libjemalloc2 (Debian, Ubuntu) or jemalloc (openEuler)"
)
_TCMALLOC = Preload(
    ("libtcmalloc_minimal.so.4", "libtcmalloc.so.4"),
    "malloc",
    "libtcmalloc-minimal4 (Debian, Ubuntu; libtcmalloc-minimal4t64 from Ubuntu 24.04) "
    "or gperftools (openEuler)",
)
_VLLM_CPU = Source("vLLM 0.32, CPU platform", "vllm/platforms/cpu.py, LD_PRELOAD of the workers")
_MEMORY = Risk(
    RiskLevel.LOW, "Another allocator keeps freed memory longer: resident memory can grow."
)


def _installed(knob: Preload, context: Context) -> tuple[Value, ...]:
    libraries = context.facts.libraries
    return (None, *(s for s in knob.sonames if libraries.path(s).value is not None))


def _missing(knob: Preload, context: Context) -> str | None:
    if len(_installed(knob, context)) > 1:
        return None
    return f"{' or '.join(knob.sonames)} is not installed: install {knob.package}"


def _jemalloc_applies(context: Context) -> str | None:
    size = context.facts.memory.page_size.value
    if size is not None and size > 4096 and not _missing(_JEMALLOC, context):
        return (
            f"the kernel's pages are {size} bytes: jemalloc built for smaller pages aborts at the "
            "start ('Unsupported system page size'); try the library by hand first"
        )
    return _missing(_JEMALLOC, context)


def _arena_checks(value: Value, facts: Facts, settings: Settings) -> tuple[Check, ...]:
    roles = ("api", "engine", "worker")
    delivered = Check(
        CheckKind.ENVIRON,
        "MALLOC_ARENA_MAX",
        str(value),
        roles=("api",),
        proves=Proof.DELIVERY,
    )
    return (delivered, Check(CheckKind.ARENAS, "glibc", value, roles=roles))


TUNINGS = (
    Tuning(
        name="jemalloc",
        layer="allocator",
        summary="Preload jemalloc in place of glibc's malloc: less contention among threads.",
        knob=_JEMALLOC,
        values=lambda context: _installed(_JEMALLOC, context),
        stock="glibc's malloc",
        applies=_jemalloc_applies,
        conflicts=(
            Relation("tcmalloc", "only the first preloaded allocator serves malloc"),
            Relation("malloc-arenas", "arenas belong to glibc's malloc, which is then not used"),
        ),
        risk=_MEMORY,
        package="libjemalloc2",
        details=(
            "Path by distribution: /usr/lib/<uname -m>-linux-gnu on Debian and Ubuntu, /usr/lib64 "
            "on openEuler. The official images preload it in ~/.bashrc, which only an interactive "
            "shell reads. Python's own small objects (below 512 bytes) never reach malloc. "
            "That it is mapped does not prove that it serves: of two allocators the first one "
            "does, which a probe in a child process shows."
        ),
        rules=preload.RULES,
        sources=(
            Source("vllm-ascend guide, jemalloc", "optimization_and_tuning.md, allocator section"),
            Source("jemalloc issue 2572, page size", "github.com/jemalloc/jemalloc/issues/2572"),
        ),
    ),
    Tuning(
        name="tcmalloc",
        layer="allocator",
        summary="Preload tcmalloc in place of glibc's malloc: per-thread caches, fewer locks.",
        knob=_TCMALLOC,
        values=lambda context: _installed(_TCMALLOC, context),
        stock="glibc's malloc",
        applies=lambda context: _missing(_TCMALLOC, context),
        conflicts=(
            Relation("malloc-arenas", "arenas belong to glibc's malloc, which is then not used"),
        ),
        risk=_MEMORY,
        prior=0.01,
        package="libtcmalloc-minimal4",
        details=(
            "libtcmalloc.so without a number comes with the development package only; a _debug or "
            "_and_profiler build is slow. vLLM's own documents advise it on CPU."
        ),
        sources=(
            _VLLM_CPU,
            Source("vLLM installation for CPU", "docs.vllm.ai, getting_started/installation/cpu"),
            Source("vllm-ascend guide, tcmalloc", "optimization_and_tuning.md, allocator section"),
        ),
    ),
    Tuning(
        name="malloc-arenas",
        layer="allocator",
        summary="Give glibc's malloc two arenas instead of eight for each core: less memory.",
        knob=Env("MALLOC_ARENA_MAX", int),
        values=(None, 2),
        stock="eight arenas for each core (glibc, 64 bits)",
        checks=_arena_checks,
        risk=Risk(RiskLevel.LOW, "Threads share arenas, so many of them can wait for each other."),
        sources=(
            Source("mallopt(3), M_ARENA_MAX", "man7.org/linux/man-pages/man3/mallopt.3.html"),
            Source("glibc malloc/arena.c", "new_heap, arena_get2"),
        ),
    ),
    advisory_entry(
        "malloc-conf",
        "allocator",
        "Settings of jemalloc itself: arenas, decay times, background threads.",
        "MALLOC_CONF",
        Source("jemalloc(3), TUNING", "jemalloc.net/jemalloc.3.html"),
        accepts=Pattern(
            r"\s*\w[\w.]*:[^,:]+(,\s*\w[\w.]*:[^,:]+)*\s*|",
            "key:value pairs joined by commas",
            "jemalloc prints 'Malformed conf string' and goes on without the rest",
            taken=Acceptance.MISREAD,
        ),
        details=(
            "narenas, dirty_decay_ms, muzzy_decay_ms, background_thread, metadata_thp. It acts "
            "only where jemalloc serves; no published number isolates its effect on serving."
        ),
    ),
    advisory_entry(
        "tcmalloc-thread-cache",
        "allocator",
        "How much memory tcmalloc's thread caches may hold together, in bytes.",
        "TCMALLOC_MAX_TOTAL_THREAD_CACHE_BYTES",
        Source("gperftools, tcmalloc", "docs/tcmalloc.html"),
        stock="32 MiB",
        default="33554432",
        accepts=Integer(0, None, "tcmalloc reads it as 0", taken=Acceptance.MISREAD, unit="bytes"),
    ),
    advisory_entry(
        "tcmalloc-release-rate",
        "allocator",
        "How eagerly tcmalloc gives memory back to the system, 0 (never) to 10.",
        "TCMALLOC_RELEASE_RATE",
        Source("gperftools, tcmalloc", "docs/tcmalloc.html"),
        stock="1",
        accepts=Pattern(
            r"\d+(\.\d+)?", "a number from 0 to 10", "tcmalloc reads it as 0", Acceptance.MISREAD
        ),
    ),
    advisory_entry(
        "tcmalloc-large-report",
        "allocator",
        "From which size on tcmalloc reports an allocation on stderr, in bytes.",
        "TCMALLOC_LARGE_ALLOC_REPORT_THRESHOLD",
        Source("gperftools, tcmalloc", "docs/tcmalloc.html"),
        stock="1 GiB; 0 reports none",
        accepts=Integer(0, None, "tcmalloc reads it as 0", taken=Acceptance.MISREAD, unit="bytes"),
        details="It buys no speed; large pinned buffers only fill the log.",
    ),
    advisory_entry(
        "python-malloc",
        "allocator",
        "Which allocator Python takes for its own objects.",
        "PYTHONMALLOC",
        Source("Python, command line and environment", "docs.python.org/3/using/cmdline.html"),
        stock="pymalloc below 512 bytes, malloc above",
        accepts=Choice(
            (
                *("default", "malloc", "pymalloc", "debug", "malloc_debug", "pymalloc_debug"),
                *("mimalloc", "mimalloc_debug"),
            ),
            "Python exits",
        ),
        details="malloc sends all of them to the preloaded allocator; debug ones are slow.",
    ),
)
