"""Settings of the kernel's scheduler: sysctls up to kernel 5.12, files of debugfs from 5.13 on."""

from __future__ import annotations

from trimtab.catalog.rules import kernel as traps
from trimtab.catalog.schema import Source, Tuning, advisory_entry
from trimtab.catalog.values import Integer
from trimtab.knobs import Sysctl, Sysfs
from trimtab.model import RestartCost, Risk, RiskLevel, Scope

_GUIDE = Source("vllm-ascend guide, kernel", "optimization_and_tuning.md, kernel section")
_TUNED = Source("TuneD", "profiles/throughput-performance/tuned.conf, 2.x before EEVDF")
_LATER = Risk(RiskLevel.MEDIUM, "Tasks of the whole host move to idle cores later.")
_LONGER = Risk(RiskLevel.MEDIUM, "Tasks of the whole host wait longer for their turn.")

TUNINGS = (
    Tuning(
        name="sched-migration-cost",
        layer="kernel",
        summary="Set how long a task counts as cache-hot, in nanoseconds.",
        knob=Sysctl("kernel.sched_migration_cost_ns"),
        values=(None, 5_000_000, 50_000),
        stock="500000; the guide's 50000 lowers it, against its own words",
        accepts=Integer(-1, 4_294_967_295, "the kernel refuses it with EINVAL", unit="ns"),
        details=(
            "The sysctl went away in kernel 5.13: from then on it is "
            "/sys/kernel/debug/sched/migration_cost_ns, which needs debugfs and no lockdown. A "
            "higher value keeps tasks on their CPU, a lower one moves them sooner. TuneD's "
            "profiles use 500000 (the default) to 50000000."
        ),
        rules=(traps.LOWERED, traps.MOVED),
        scope=Scope.HOST,
        restart=RestartCost.LIVE,
        risk=_LATER,
        sources=(
            _GUIDE,
            Source("Linux scheduler", "kernel/sched/fair.c, sysctl_sched_migration_cost"),
        ),
    ),
    Tuning(
        name="sched-migration-cost-debugfs",
        layer="kernel",
        summary="Set how long a task counts as cache-hot, where the sysctl is gone.",
        knob=Sysfs("/sys/kernel/debug/sched/migration_cost_ns", int),
        values=(None, 5_000_000),
        stock="500000",
        accepts=Integer(0, 4_294_967_295, "the kernel refuses it", unit="ns"),
        details=(
            "Kernel 5.13 and later; unsigned, so -1 is refused. It needs root, debugfs and no "
            "lockdown."
        ),
        scope=Scope.HOST,
        restart=RestartCost.LIVE,
        risk=_LATER,
        sources=(Source("Linux scheduler", "kernel/sched/debug.c, migration_cost_ns"),),
    ),
    advisory_entry(
        "sched-min-granularity",
        "kernel",
        "How long a task runs at least before another one may take its CPU.",
        Sysctl("kernel.sched_min_granularity_ns"),
        _TUNED,
        Source("Linux scheduler", "kernel/sched/fair.c, sysctl_sched_min_granularity"),
        stock="750000 times 1 + log2 of the CPUs, of which 8 count at most",
        accepts=Integer(100_000, 1_000_000_000, "the kernel refuses it with EINVAL", unit="ns"),
        details=(
            "Up to kernel 5.12; TuneD's throughput-performance set 10000000. More batches the "
            "work of threads that share a CPU, and lets each wait longer."
        ),
        scope=Scope.HOST,
        restart=RestartCost.LIVE,
        risk=_LONGER,
    ),
    advisory_entry(
        "sched-base-slice",
        "kernel",
        "How long a task runs before another one may take its CPU, with EEVDF.",
        Sysfs("/sys/kernel/debug/sched/base_slice_ns", int),
        Source("Linux scheduler", "kernel/sched/debug.c, base_slice_ns"),
        stock="700000 or 750000 times 1 + log2 of the CPUs, of which 8 count at most",
        accepts=Integer(0, 4_294_967_295, "the kernel refuses it", unit="ns"),
        details="Kernel 6.6 and later. It needs root, debugfs and no lockdown.",
        scope=Scope.HOST,
        restart=RestartCost.LIVE,
        risk=_LONGER,
    ),
)
