"""The vllm-ascend guide "Optimization and Tuning", verbatim, as far as it can be set here.

The steps are facts of the guide's two editions (vllm-ascend, Apache-2.0); none of its wording is
repeated. Verbatim means: contradictions included. It preloads jemalloc and then tcmalloc, so the
first one serves; where it exports one variable twice, the second export is what is left.
"""

from __future__ import annotations

from dataclasses import dataclass

from trimtab.catalog import CATALOG, Context, LeftOut, host_refusal
from trimtab.model import Candidate, Value, candidate

OLD, NEW = "v1", "v2"
"""The edition of the v0.7 to v0.9 era, and the one of August 2026."""


@dataclass(frozen=True, slots=True)
class Step:
    """One setting of the guide. ``sonames``: the library it preloads, the named one first."""

    tuning: str
    value: Value
    editions: tuple[str, ...] = (OLD, NEW)
    sonames: tuple[str, ...] = ()


STEPS = (
    Step("jemalloc", "libjemalloc.so.2", sonames=("libjemalloc.so.2",)),
    Step("tcmalloc", "libtcmalloc.so.4", sonames=("libtcmalloc.so.4", "libtcmalloc_minimal.so.4")),
    Step("npu-expandable-segments", "True"),
    Step("task-queue", "2"),
    Step("cpu-affinity-conf", "1"),
    Step("hccl-op-expansion", "AIV"),
    Step("cpu-governor", "performance", (NEW,)),
    Step("swappiness", 0, (NEW,)),
    Step("numa-balancing", 0, (NEW,)),
    Step("sched-migration-cost", 50000, (NEW,)),
)


def guide(context: Context, edition: str = NEW) -> Candidate:
    """Return the guide's candidate on this machine."""
    steps = (step for step in STEPS if _skip(step, context, edition) is None)
    return candidate({step.tuning: _value(step, context) for step in steps})


def guide_skipped(context: Context, edition: str = NEW) -> tuple[LeftOut, ...]:
    """Return the guide's steps that cannot be set here, each with its reason."""
    reasons = ((step, _skip(step, context, edition)) for step in STEPS)
    return tuple(LeftOut(step.tuning, reason) for step, reason in reasons if reason is not None)


def _value(step: Step, context: Context) -> Value:
    libraries = context.facts.libraries
    for soname in step.sonames:
        if libraries.path(soname).value is not None:
            return soname
    return step.value


def _skip(step: Step, context: Context, edition: str) -> str | None:
    tuning = CATALOG[step.tuning]
    if edition not in step.editions:
        return f"edition {edition} of the guide does not have it"
    libraries = context.facts.libraries
    if step.sonames and all(libraries.path(name).value is None for name in step.sonames):
        return f"{' or '.join(step.sonames)} is not installed: install {tuning.package}"
    return host_refusal(tuning, context, step.value)
