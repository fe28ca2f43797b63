"""What can be wrong with the number of OpenMP threads."""

from __future__ import annotations

from collections.abc import Iterator

from trimtab.catalog._rule import Rule
from trimtab.catalog._scene import Scene
from trimtab.model.finding import Hit, Problem, Severity


def _over(scene: Scene) -> Iterator[Hit]:
    text = scene.text("OMP_NUM_THREADS")
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 6:
        return
    threads, cpus = int(text), scene.situation.cpus
    if scene.affinity is not None:
        cpus = min(len(scene.affinity), cpus or len(scene.affinity))
    if cpus is not None and threads > cpus:
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
