"""The host beside its kernel settings: interrupts, disks, swap areas, limits."""

from __future__ import annotations

from trimtab.catalog.schema import VA, Context, Source, advisory_entry
from trimtab.catalog.values import Choice, Integer
from trimtab.knobs import Interrupts, LoginLimit, ReadAhead, SwapAreas
from trimtab.model import RestartCost, Risk, RiskLevel, Scope

_IRQ = Source("Linux, IRQ affinity", "Documentation/core-api/irq/irq-affinity.rst")
_NPU = Interrupts()
_NIC = Interrupts(network=True)
_IRQBALANCE = (
    "irqbalance moves interrupts back while it runs, so 'trimtab host apply' stops it and "
    "'trimtab host rollback' starts it again."
)


def _npu_applies(context: Context) -> str | None:
    return None if _NPU.chosen(context.facts) else "no interrupt of an NPU's queues shows here"


def _nic_applies(context: Context) -> str | None:
    return None if _NIC.chosen(context.facts) else "no interrupt of a PCI network card shows here"


def _read_ahead_applies(context: Context) -> str | None:
    fact = context.facts.disks.read_ahead
    if fact.value is None:
        return f"how far the disks read ahead is unknown: {fact.reason}"
    return None


def _swap_applies(context: Context) -> str | None:
    memory = context.facts.memory
    areas, free = memory.swaps.value, memory.available.value
    if areas is None or free is None:
        return f"what is swapped out is unknown: {memory.swaps.reason or memory.available.reason}"
    if not areas:
        return "no swap area is on"
    used = sum(area.used for area in areas)
    # What is swapped out comes back into memory; the server needs room beside it.
    if used > free // 2:
        return (
            f"{used // 2**20} MiB are swapped out, more than half of the {free // 2**20} MiB of "
            "memory that are free: give the host more memory first"
        )
    return None


TUNINGS = (
    advisory_entry(
        "irq-affinity",
        "host",
        "Which CPUs serve the interrupts of the NPUs' queues.",
        _NPU,
        Source(f"{VA}, CPU binding", "vllm_ascend/cpu_binding.py, bind_npu_irq"),
        _IRQ,
        stock="spread by irqbalance",
        details=(
            "'local' gives each interrupt the CPUs of its device's NUMA node; a CPU list gives "
            "all of them those. vllm-ascend binds sq_send_trigger_irq near each worker by itself "
            f"where /proc/irq is writable. {_IRQBALANCE}"
        ),
        platforms=("ascend",),
        applies=_npu_applies,
        scope=Scope.HOST,
        restart=RestartCost.LIVE,
    ),
    advisory_entry(
        "nic-irq-affinity",
        "host",
        "Which CPUs serve the interrupts of network cards.",
        _NIC,
        Source("Linux, scaling in the networking stack", "Documentation/networking/scaling.rst"),
        _IRQ,
        stock="spread by irqbalance",
        details=(
            "'local' gives each interrupt the CPUs of its card's NUMA node; a CPU list keeps "
            "them away from the CPUs that serve. One that the kernel manages itself refuses every "
            f"list. {_IRQBALANCE}"
        ),
        applies=_nic_applies,
        scope=Scope.HOST,
        restart=RestartCost.LIVE,
        risk=Risk(RiskLevel.LOW, "A card whose interrupts share few CPUs carries less traffic."),
    ),
    advisory_entry(
        "read-ahead",
        "host",
        "Read further ahead on disks: model files load in larger pieces.",
        ReadAhead(),
        Source("Linux ABI, sysfs-block", "Documentation/ABI/stable/sysfs-block, read_ahead_kb"),
        Source("TuneD", "profiles/throughput-performance/tuned.conf: readahead=>4096"),
        stock="128",
        accepts=Integer(0, None, "the kernel refuses it", unit="KiB"),
        details=(
            "TuneD's throughput-performance raises it to 4096. It acts on files that are not in "
            "memory yet, so on the first start; a disk that reads further ahead is left alone."
        ),
        applies=_read_ahead_applies,
        scope=Scope.HOST,
        restart=RestartCost.LIVE,
        risk=Risk(RiskLevel.LOW, "Small random reads fetch more than they need."),
    ),
    advisory_entry(
        "swap",
        "host",
        "Whether the host swaps at all.",
        SwapAreas(),
        Source("swapon(8)", "man7.org/linux/man-pages/man8/swapon.8.html"),
        stock="what the host has",
        accepts=Choice(("off",), "'trimtab host' refuses it"),
        details=(
            "Kubernetes nodes have none as a rule. VmSwap of /proc/PID/status shows its use. "
            "'off' lasts until the next boot; for good, take the areas out of /etc/fstab."
        ),
        applies=_swap_applies,
        scope=Scope.HOST,
        restart=RestartCost.LIVE,
        risk=Risk(RiskLevel.MEDIUM, "Without swap the kernel kills a process sooner."),
    ),
    advisory_entry(
        "file-limit",
        "host",
        "How many files and connections a process may have open.",
        LoginLimit("nofile", "ulimit -n"),
        Source("getrlimit(2)", "man7.org/linux/man-pages/man2/getrlimit.2.html"),
        stock="1024 in many shells",
        accepts=Integer(64, None, "no session can begin with it"),
        details=(
            "Each request's connection takes one. 'trimtab host apply' sets it for sessions that "
            "begin later, or with --pid in a process that runs; a unit of systemd says "
            "LimitNOFILE= itself."
        ),
        scope=Scope.HOST,
    ),
    advisory_entry(
        "memlock-limit",
        "host",
        "How much memory a process may lock, in bytes.",
        LoginLimit("memlock", "ulimit -l"),
        Source("getrlimit(2)", "man7.org/linux/man-pages/man2/getrlimit.2.html"),
        Source(
            "Red Hat, configuring InfiniBand and RDMA networks",
            "increasing the amount of memory that users are allowed to pin",
        ),
        stock="8 MiB, 64 KiB before kernel 5.16",
        details=(
            "RDMA locks what it transfers, which needs 'unlimited' for a user other than root. "
            "Set like file-limit; a unit of systemd says LimitMEMLOCK= itself."
        ),
        scope=Scope.HOST,
        risk=Risk(RiskLevel.LOW, "A program can lock all memory of the host."),
    ),
)
