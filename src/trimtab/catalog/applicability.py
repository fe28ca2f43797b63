"""Rules that several entries share. All are total: they answer on any facts, known or not."""

from __future__ import annotations

import re
from functools import lru_cache

from trimtab.catalog.schema import Context
from trimtab.facts.parsing import format_cpu_list
from trimtab.knobs import Argument

_PARALLEL = (
    Argument("--tensor-parallel-size", int, aliases=("-tp",)),
    Argument("--pipeline-parallel-size", int, aliases=("-pp",)),
    Argument("--data-parallel-size", int, aliases=("-dp",)),
)

FEW_CPUS = 4
"""Up to here the core that vLLM reserves for its other processes is a quarter or more of all."""

NATIVE = {
    "bfloat16": frozenset({"avx512_bf16", "amx_bf16", "bf16"}),
    "float16": frozenset({"avx512_fp16", "amx_fp16", "fphp"}),
}
"""CPU flags (x86 and ARM names in /proc/cpuinfo) that mean arithmetic in this type."""


def capability(context: Context) -> tuple[int, ...] | None:
    """Return the compute capability of the oldest GPU; ``None`` if one does not report it."""
    gpus = context.facts.cuda.gpus.value or ()
    found = [release(gpu.capability) for gpu in gpus]
    return min(found) if found and all(found) else None


def capability_refusal(context: Context, least: tuple[int, int], what: str) -> str | None:
    """Return why the GPUs' compute capability is too low; ``None`` without CUDA."""
    if context.platform != "cuda":
        return None
    found = capability(context)
    if found is None:
        return "the GPU's compute capability is unknown"
    if found < least:
        have, need = (".".join(map(str, one)) for one in (found, least))
        return f"{what} needs compute capability {need}, and a GPU here has {have}"
    return None


def allowed_cpus(context: Context) -> tuple[int, ...]:
    """Return the CPUs the server may run on; empty when unknown."""
    return context.facts.limits.allowed.value or ()


def usable_cpus(context: Context) -> int:
    """Return how many CPUs' time the server gets: allowed CPUs, capped by a cgroup quota."""
    allowed = len(allowed_cpus(context))
    quota = context.facts.limits.cpu_quota.value
    return allowed if quota is None else max(1, int(min(allowed, quota)))


def one_per_core(context: Context) -> tuple[int, ...]:
    """Return the first allowed logical CPU of each physical core of the first NUMA node.

    vLLM's CPU worker takes memory from the first allowed CPU's node only (vLLM 0.32
    v1/worker/cpu_worker.py, init_cpu_memory_env), so its threads belong there too.
    """
    cpus = tuple(core[0] for core in context.facts.allowed_cores)
    for _, members in context.facts.cpu.nodes.value or ():
        if cpus and cpus[0] in members:
            return tuple(sorted(cpu for cpu in cpus if cpu in members))
    return tuple(sorted(cpus))


def core_list(context: Context) -> str | None:
    """Return `one_per_core` as the kernel writes lists; ``None`` when the topology is unknown."""
    return format_cpu_list(one_per_core(context)) or None


def parallel_refusal(context: Context) -> str | None:
    """Return why an entry for a single worker does not apply: the baseline has several."""
    for knob in _PARALLEL:
        size = knob.parse(context.baseline)
        if size is not None and size != 1:
            return f"the baseline runs several workers ({knob.name} {size})"
    return None


@lru_cache(maxsize=1024)
def release(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: "0.32.0+cpu" is (0, 32, 0)."""
    numbers = re.match(r"\d+(?:\.\d+)*", version.strip().removeprefix("v"))
    return tuple(int(part) for part in numbers[0].split(".")) if numbers else ()


def is_before(version: str, limit: str) -> bool | None:
    """Return whether a version is before another; ``None`` if one is no version."""
    have, want = release(version), release(limit)
    if not have or not want:
        return None
    width = max(len(have), len(want))
    return (*have, *(0,) * (width - len(have))) < (*want, *(0,) * (width - len(want)))
