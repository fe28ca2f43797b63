"""Kernel settings of the whole host: journalled before they are written, restored after."""

from trimtab.catalog._tuning import Context, Source, Tuning
from trimtab.facts import Facts
from trimtab.facts.memory import THP
from trimtab.knobs import Sysctl, Sysfs
from trimtab.model import (
    Check,
    CheckKind,
    Proves,
    RestartCost,
    Risk,
    RiskLevel,
    Scope,
    Settings,
    Value,
)

_GUIDE = Source("vllm-ascend guide, kernel", "optimization_and_tuning.md, kernel section")


def _swap_applies(context: Context) -> str | None:
    if context.facts.memory.swap_total.value == 0:
        return "this machine has no swap, so nothing can be swapped out"
    return None


def _numa_applies(context: Context) -> str | None:
    nodes = context.facts.cpu.nodes.value
    if nodes is not None and len(nodes) < 2:
        return "this machine has one NUMA node, so no page is ever migrated"
    return None


def _thp_checks(value: Value, facts: Facts, settings: Settings) -> tuple[Check, ...]:
    delivered = Check(CheckKind.HOST_FILE, f"{THP}/enabled", value, proves=Proves.DELIVERY)
    if value == "madvise":
        return (delivered,)  # what then gets huge pages is each program's own choice
    roles = ("engine", "worker")
    return (delivered, Check(CheckKind.HUGE_PAGES, "anonymous", value == "always", roles=roles))


TUNINGS = (
    Tuning(
        name="thp",
        layer="kernel",
        summary="Back all anonymous memory with huge pages: fewer TLB misses.",
        knob=Sysfs(f"{THP}/enabled"),
        values=(None, "always", "madvise", "never"),
        stock="what the host has, 'madvise' as a rule",
        checks=_thp_checks,
        scope=Scope.HOST,
        restart=RestartCost.PROCESS,
        risk=Risk(
            RiskLevel.MEDIUM,
            "Every program on the host gets huge pages: more memory, and pauses to compact it.",
        ),
        prior=0.02,
        sources=(Source("Linux admin guide", "Documentation/admin-guide/mm/transhuge.rst"),),
    ),
    Tuning(
        name="swappiness",
        layer="kernel",
        summary="Keep the server's memory out of swap as long as possible.",
        knob=Sysctl("vm.swappiness"),
        values=(None, 1, 0),
        stock="what the host has, 60 as a rule",
        applies=_swap_applies,
        scope=Scope.HOST,
        restart=RestartCost.LIVE,
        risk=Risk(
            RiskLevel.MEDIUM,
            "Under pressure the whole host reclaims caches first; with 0 it runs out of memory "
            "earlier.",
        ),
        sources=(Source("Linux admin guide", "Documentation/admin-guide/sysctl/vm.rst"), _GUIDE),
    ),
    Tuning(
        name="numa-balancing",
        layer="kernel",
        summary="Stop the kernel from moving pages between NUMA nodes.",
        knob=Sysctl("kernel.numa_balancing"),
        values=(None, 0),
        stock="on where there are several nodes",
        applies=_numa_applies,
        scope=Scope.HOST,
        restart=RestartCost.LIVE,
        risk=Risk(
            RiskLevel.MEDIUM,
            "Programs on the host that are not bound to a node lose locality.",
        ),
        sources=(
            Source("Linux admin guide", "Documentation/admin-guide/sysctl/kernel.rst"),
            _GUIDE,
        ),
    ),
    Tuning(
        name="cpu-governor",
        layer="kernel",
        summary="Keep every core at its highest frequency.",
        knob=Sysfs("/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor"),
        values=(None, "performance"),
        stock="what the host has",
        scope=Scope.HOST,
        restart=RestartCost.LIVE,
        risk=Risk(RiskLevel.LOW, "The machine draws more power and runs hotter."),
        sources=(_GUIDE, Source("Linux admin guide", "Documentation/admin-guide/pm/cpufreq.rst")),
    ),
    Tuning(
        name="sched-migration-cost",
        layer="kernel",
        summary="Set how long a task counts as cache-hot, in nanoseconds.",
        knob=Sysctl("kernel.sched_migration_cost_ns"),
        values=(None, 5_000_000, 50_000),
        stock="500000; the guide's 50000 lowers it, against its own words",
        scope=Scope.HOST,
        restart=RestartCost.LIVE,
        risk=Risk(RiskLevel.MEDIUM, "Tasks of the whole host move to idle cores later."),
        sources=(
            _GUIDE,
            Source("Linux scheduler", "kernel/sched/fair.c, sysctl_sched_migration_cost"),
        ),
    ),
)
