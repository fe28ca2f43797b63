"""Kernel settings of the whole host, the scheduler's among them: journalled, restored after."""

from __future__ import annotations

from trimtab.catalog.rules import kernel as traps
from trimtab.catalog.schema import Context, Source, Tuning, advisory_entry
from trimtab.catalog.values import Choice, Integer
from trimtab.facts import Facts
from trimtab.facts.memory import THP
from trimtab.knobs import Sysctl, Sysfs
from trimtab.model import (
    Check,
    CheckKind,
    Proof,
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
    delivered = Check(CheckKind.HOST_FILE, f"{THP}/enabled", value, proves=Proof.DELIVERY)
    if value == "madvise":
        return (delivered,)  # what then gets huge pages is each program's own choice
    roles = ("engine", "worker")
    return (delivered, Check(CheckKind.HUGE_PAGES, "anonymous", value == "always", roles=roles))


_HOST = (
    Tuning(
        name="thp",
        layer="kernel",
        summary="Back all anonymous memory with huge pages: fewer TLB misses.",
        knob=Sysfs(f"{THP}/enabled"),
        values=(None, "always", "madvise", "never"),
        accepts=Choice(("always", "madvise", "never"), "the kernel refuses it with EINVAL"),
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
        accepts=Integer(0, 200, "the kernel refuses it with EINVAL"),
        details=(
            "0 does not switch swap off: the kernel then swaps only when free memory and caches "
            "fall below a watermark, and runs out of memory earlier; 1 is safer. To have no swap "
            "use swapoff, or memory.swap.max of the cgroup. Groups of cgroup v1 keep a value of "
            "their own from the time when they were made. It lasts until the next boot unless a "
            "file under /etc/sysctl.d says it."
        ),
        rules=(traps.ZERO_SWAPPINESS, traps.UNTIL_BOOT, traps.INSIDE),
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
        accepts=Integer(0, 3, "the kernel refuses it with EINVAL"),
        details=(
            "Where nothing binds memory to nodes, switching it off can make locality worse: bind "
            "as well. numa_hint_faults in /proc/vmstat stops growing when it is off."
        ),
        rules=(traps.UNBOUND,),
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
    # Before the governor, so that it is restored after it: with the governor performance the
    # drivers refuse every preference but performance.
    Tuning(
        name="energy-preference",
        layer="kernel",
        summary="Tell the processor to prefer speed to energy.",
        knob=Sysfs("/sys/devices/system/cpu/cpu{cpu}/cpufreq/energy_performance_preference"),
        values=(None, "performance"),
        stock="balance_performance as a rule",
        accepts=Choice(
            ("default", "performance", "balance_performance", "balance_power", "power"),
            "the kernel refuses it with EINVAL unless "
            "energy_performance_available_preferences lists it",
        ),
        details=(
            "Only with intel_pstate or amd-pstate in active mode, where the governor is a hint "
            "and this is what the processor goes by. TuneD's throughput-performance sets it too."
        ),
        scope=Scope.HOST,
        restart=RestartCost.LIVE,
        risk=Risk(RiskLevel.LOW, "The machine draws more power and runs hotter."),
        sources=(
            Source("Linux admin guide", "Documentation/admin-guide/pm/intel_pstate.rst"),
            Source("TuneD", "profiles/throughput-performance/tuned.conf"),
        ),
    ),
    Tuning(
        name="cpu-governor",
        layer="kernel",
        summary="Keep every core at its highest frequency.",
        knob=Sysfs("/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor"),
        values=(None, "performance"),
        stock="what the host has",
        accepts=Choice(
            ("performance", "powersave", "schedutil", "ondemand", "conservative", "userspace"),
            "the kernel refuses it with EINVAL unless scaling_available_governors lists it",
        ),
        details=(
            "The files are missing in virtual machines and where firmware sets frequencies, as "
            "on many ARM servers. With intel_pstate or amd-pstate in active mode it is only a "
            "hint, and energy_performance_preference counts too."
        ),
        rules=(traps.NO_GOVERNOR,),
        scope=Scope.HOST,
        restart=RestartCost.LIVE,
        risk=Risk(RiskLevel.LOW, "The machine draws more power and runs hotter."),
        sources=(_GUIDE, Source("Linux admin guide", "Documentation/admin-guide/pm/cpufreq.rst")),
    ),
    advisory_entry(
        "thp-defrag",
        "kernel",
        "Whether an allocation waits until memory is compacted into huge pages.",
        Sysfs(f"{THP}/defrag"),
        Source("Linux admin guide", "Documentation/admin-guide/mm/transhuge.rst"),
        stock="madvise",
        accepts=Choice(
            ("always", "defer", "defer+madvise", "madvise", "never"),
            "the kernel refuses it with EINVAL",
        ),
        details="'always' stalls an allocation while memory is compacted.",
        scope=Scope.HOST,
        restart=RestartCost.LIVE,
        risk=Risk(RiskLevel.MEDIUM, "It acts on every program of the host."),
    ),
    advisory_entry(
        "zone-reclaim",
        "kernel",
        "Whether a full NUMA node is cleared before another one is used.",
        Sysctl("vm.zone_reclaim_mode"),
        Source("Linux admin guide", "Documentation/admin-guide/sysctl/vm.rst"),
        stock="0",
        accepts=Integer(0, 7, "the kernel refuses it"),
        details="0 is right for large page caches, such as those of model files.",
        scope=Scope.HOST,
        restart=RestartCost.LIVE,
        risk=Risk(RiskLevel.MEDIUM, "It acts on every program of the host."),
    ),
    advisory_entry(
        "somaxconn",
        "kernel",
        "How many connections may wait to be accepted.",
        Sysctl("net.core.somaxconn"),
        Source("Linux admin guide", "Documentation/admin-guide/sysctl/net.rst"),
        stock="4096 (128 before kernel 5.4)",
        accepts=Integer(1, None, "the kernel refuses it"),
        details=(
            "It caps the server's own backlog, 2048 for vLLM. In a container it belongs to its "
            "network namespace."
        ),
        scope=Scope.HOST,
        restart=RestartCost.LIVE,
    ),
    advisory_entry(
        "numa-hugepages",
        "kernel",
        "How many huge pages are set aside.",
        Sysctl("vm.nr_hugepages"),
        Source("Linux admin guide", "Documentation/admin-guide/mm/hugetlbpage.rst"),
        stock="0",
        accepts=Integer(0, None, "the kernel refuses it"),
        details="Memory set aside is lost to all that does not ask for it; vLLM does not.",
        scope=Scope.HOST,
        restart=RestartCost.LIVE,
        risk=Risk(RiskLevel.MEDIUM, "The memory is taken from everything else."),
    ),
)


_TUNED = Source("TuneD", "profiles/throughput-performance/tuned.conf, 2.x before EEVDF")
_LATER = Risk(RiskLevel.MEDIUM, "Tasks of the whole host move to idle cores later.")
_LONGER = Risk(RiskLevel.MEDIUM, "Tasks of the whole host wait longer for their turn.")

_SCHEDULER = (
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

TUNINGS = (*_HOST, *_SCHEDULER)
