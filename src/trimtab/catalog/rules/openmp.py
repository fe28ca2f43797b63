"""What can be wrong with the number of OpenMP threads."""

from __future__ import annotations

from collections.abc import Iterator

from trimtab.catalog.rules.scene import Rule, Scene
from trimtab.facts.parsing import format_cpu_list, parse_cpu_list
from trimtab.families import family_of_command
from trimtab.model.finding import Hit, Problem, Severity

_BIND = "VLLM_CPU_OMP_THREADS_BIND"


def _over_quota(threads: int, quota: float) -> str:
    return (
        f"{threads} threads get {quota:g} CPUs' time: when it is spent, the kernel stops all of "
        "them until the next period"
    )


def _bound(scene: Scene) -> list[tuple[int, ...]] | None:
    """Return the CPUs that the variable names for each worker; ``None`` for auto and the like."""
    text = scene.text(_BIND)
    try:
        found = [parse_cpu_list(part) for part in (text or "").split("|")]
    except ValueError:
        return None
    return found if text and len(text) < 4000 and all(found) else None


def _lists(scene: Scene) -> Iterator[Hit]:
    """Say where vLLM gets fewer lists of CPUs than it has workers on a host, or more."""
    found, workers = _bound(scene), 1
    for name in ("--tensor-parallel-size", "--pipeline-parallel-size"):
        text = scene.option(name) or "1"
        if not text.isascii() or not text.isdigit():
            return
        workers *= int(text[:6])
    alone = all(scene.option(one) is None for one in ("--data-parallel-size", "--nnodes"))
    serves = family_of_command(scene.argv) is not None or bool(scene.options)
    if found is None or not alone or not serves or len(found) == workers:
        return
    more = len(found) > workers
    then = "the others bind nothing" if more else "vLLM 0.32 and later exit"
    yield Hit(
        _BIND,
        f"{len(found)} list{'s' * (len(found) != 1)} of CPUs for {workers} "
        f"worker{'s' * (workers != 1)}: {then}",
        f"give {workers}, joined by |",
        severity=Severity.WARNING if more else None,
    )


def _outside(scene: Scene) -> Iterator[Hit]:
    """Say where threads are bound to CPUs that the process does not get."""
    found = _bound(scene)
    if found is None:
        return
    named = {cpu for one in found for cpu in one}
    allowed, quota = scene.allowed, scene.situation.cpu_quota
    if allowed is not None and named - set(allowed):
        outside = format_cpu_list(sorted(named - set(allowed)))
        yield Hit(
            _BIND,
            f"CPUs {outside} are not among those that the process may use "
            f"({format_cpu_list(allowed)}): threads cannot be bound there",
            "name CPUs of the cpuset",
        )
    elif quota is not None and len(named) > quota:
        yield Hit(_BIND, _over_quota(len(named), quota), f"name at most {max(1, int(quota))} CPUs")


def _over(scene: Scene) -> Iterator[Hit]:
    text = scene.text("OMP_NUM_THREADS")
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 6:
        return
    threads, cpus, quota = int(text), scene.situation.cpus, scene.situation.cpu_quota
    if scene.affinity is not None:
        cpus = min(len(scene.affinity), cpus or len(scene.affinity))
    if quota is not None and threads > quota and (cpus is None or quota < cpus):
        yield Hit(
            "OMP_NUM_THREADS", _over_quota(threads, quota), f"set at most {max(1, int(quota))}"
        )
    elif cpus is not None and threads > cpus:
        yield Hit(
            "OMP_NUM_THREADS",
            f"{threads} threads share {cpus} CPUs and wait for each other",
            f"set at most {cpus}",
        )
    elif cpus is None and threads >= 64:
        yield Hit(
            "OMP_NUM_THREADS",
            (
                f"each process starts {threads} threads: several workers, or bound ones, have "
                "fewer CPUs; vllm-ascend's images set 1"
            ),
            "set 1 to 10 on NPUs and GPUs, where the device computes",
            severity=Severity.WARNING,
            given="the process has fewer CPUs",
        )


TOO_MANY = Rule(
    id="omp-threads-over",
    severity=Severity.WARNING,
    problem=Problem.HAZARD,
    summary="There are more threads than CPUs.",
    process=_over,
    traps=("T31",),
)

BIND_LISTS = Rule(
    id="omp-bind-lists",
    severity=Severity.ERROR,
    problem=Problem.WRONG_VALUE,
    summary="There must be one list of CPUs for each worker.",
    process=_lists,
)
BIND_OUTSIDE = Rule(
    id="omp-bind-outside",
    severity=Severity.WARNING,
    problem=Problem.WRONG_VALUE,
    summary="Threads are bound to CPUs, or to more CPUs' time, than the process gets.",
    process=_outside,
)
