"""Plans for captured machines: what is written, what is refused and why, what to do instead."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.trees import HOSTS, WritableHost, tree
from trimtab.cli import host as report
from trimtab.errors import HostError, UnknownTuningError, UsageError
from trimtab.host import SnapshotHost
from trimtab.host_settings import plan, render
from trimtab.host_settings import plan as wanted
from trimtab.host_settings.plan import HostPlan, SettingAction, context
from trimtab.model import HostWrite, candidate

INTERRUPTS = """\
           CPU0       CPU1
 31:          0       5113 ITS-MSI 31 Edge      sq_send_trigger_irq
 32:          0          1 ITS-MSI 32 Edge      cq_update_irq
 40:         12          0 PCI-MSIX-0000:07:00.0   0-edge      mlx5_comp0
 41:         12          0 PCI-MSIX-0000:08:00.0   0-edge      nvme0q0
NMI:          0          0   Non-maskable interrupts
"""


def planned(host: SnapshotHost, preset: str = "", *words: str, **options: Any) -> HostPlan:
    here = context(host, local=False)
    chosen = wanted.preset_candidate(preset) if preset else ()
    return plan.plan(wanted.with_words(chosen, words), here, host, "test", **options)


def fates(made: HostPlan) -> dict[str, SettingAction]:
    return {row.place: row.fate for row in made.rows}


def put(host: WritableHost, path: str, text: str = "") -> None:
    place = host.folder / "root" / path.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)


@pytest.fixture
def ascend(tmp_path: Path) -> WritableHost:
    """The Atlas A2 host with its NPU's, a network card's and a disk's interrupts."""
    host = tree(tmp_path / "host")
    put(host, "/proc/interrupts", INTERRUPTS)
    for irq, device in ((31, "0000:c1:00.0"), (32, "0000:c1:00.0"), (40, "0000:07:00.0")):
        put(host, f"/sys/bus/pci/devices/{device}/msi_irqs/{irq}")
        put(host, f"/proc/irq/{irq}/smp_affinity_list", "0-191\n")
    put(host, "/sys/bus/pci/devices/0000:c1:00.0/local_cpulist", "144-167\n")
    put(host, "/sys/bus/pci/devices/0000:07:00.0/local_cpulist", "0-23\n")
    put(host, "/sys/bus/pci/devices/0000:07:00.0/net/eth0/address")
    for disk, now in (("nvme0n1", 128), ("sda", 8192), ("loop0", 128)):
        put(host, f"/sys/block/{disk}/queue/read_ahead_kb", f"{now}\n")
    return host


@pytest.mark.parametrize("name", sorted(path.name for path in HOSTS.iterdir()))
def test_the_guide_on_every_captured_machine(name: str) -> None:
    made = planned(SnapshotHost(HOSTS / name), "guide", persist="sysctl")
    assert made.rows
    for row in made.rows:
        assert row.why
        assert "\n" not in row.why
    assert {one.path for one in made.settings} == {
        row.place for row in made.rows if row.fate is not SettingAction.REFUSED and row.tuning
    }
    assert bool(made.refusal) is (name in ("a3", "k8s-pod"))
    if made.refusal:
        assert made.writes == made.settings, "nothing is kept where nothing is made"


def test_the_guide_on_an_ascend_host() -> None:
    made = planned(SnapshotHost(HOSTS / "a2-openeuler"), "guide")
    told = fates(made)
    assert told["/proc/sys/vm/swappiness"] is SettingAction.WRITE
    assert told["/proc/sys/kernel/sched_migration_cost_ns"] is SettingAction.ALREADY
    changed = {row.place: (row.now, row.after) for row in made.rows}
    assert changed["/proc/sys/vm/swappiness"] == ("10", "0")


def test_what_cannot_be_set_here_is_refused_with_its_reason() -> None:
    made = planned(SnapshotHost(HOSTS / "debian-vm"), "guide")
    why = {row.tuning: row.why for row in made.rows if row.fate is SettingAction.REFUSED}
    assert "no swap" in why["swappiness"]
    assert "no kernel.sched_migration_cost_ns" in why["sched-migration-cost"]
    assert made.writes == ()
    (row,) = planned(SnapshotHost(HOSTS / "a2-openeuler"), "", "swappiness=999").rows
    assert "0 to 200" in row.why


def test_what_is_named_is_made_whole_or_not_at_all(ascend: WritableHost) -> None:
    words = ("swappiness=999", "thp=sometimes", "numa-balancing=0")
    named = planned(ascend, "guide", *words, required=["swappiness", "thp", "numa-balancing"])
    assert set(named.unmet) == {"swappiness", "thp"}
    assert not named.possible
    told = report.refusal_line(named)
    assert "swappiness" in told
    assert "\n" not in told
    left_out = planned(ascend, "guide", "swappiness=999")
    assert (left_out.unmet, left_out.possible) == ((), True), "a preset is made as far as it goes"
    assert planned(ascend, "", "swappiness=1", required=["swappiness"]).possible


@pytest.mark.parametrize(
    ("limit", "fate"), [("4096", SettingAction.WRITE), ("4097", SettingAction.REFUSED)]
)
def test_no_session_is_given_a_limit_that_ends_it(
    ascend: WritableHost, limit: str, fate: SettingAction
) -> None:
    put(ascend, "/proc/sys/fs/nr_open", "4096\n")
    (row,) = planned(ascend, "", f"file-limit={limit}").rows
    assert row.fate is fate
    assert ("fs.nr_open, 4096" in row.why) is (fate is SettingAction.REFUSED)
    (row,) = planned(ascend, "", "file-limit=0").rows
    assert row.fate is SettingAction.REFUSED


def test_interrupts_go_to_their_devices_node(ascend: WritableHost) -> None:
    made = planned(ascend, "", "irq-affinity=local", "nic-irq-affinity=2,3")
    texts = {one.path: one.text for one in made.settings}
    assert texts == {
        "/proc/irq/31/smp_affinity_list": "144-167",
        "/proc/irq/32/smp_affinity_list": "144-167",
        "/proc/irq/40/smp_affinity_list": "2-3",
    }
    (row,) = planned(ascend, "", "irq-affinity=4095").rows
    assert "online CPUs" in row.why


def test_irqbalance_is_stopped_first_where_it_runs(ascend: WritableHost) -> None:
    put(ascend, "/proc/77/comm", "irqbalance\n")
    made = planned(ascend, "", "irq-affinity=local")
    assert made.settings[0] == HostWrite("service:irqbalance.service", "inactive")
    assert planned(ascend, "", "read-ahead=4096").settings[0].path.startswith("/sys/block")
    put(ascend, "/run/irqbalance", "inactive\n")
    refused = planned(ascend, "", "irq-affinity=local")
    assert refused.settings == ()
    assert all("stop it first" in row.why for row in refused.rows)


def test_disks_that_read_further_ahead_are_left(ascend: WritableHost) -> None:
    made = planned(ascend, "", "read-ahead=4096")
    assert made.settings == (HostWrite("/sys/block/nvme0n1/queue/read_ahead_kb", "4096"),)
    assert fates(planned(ascend, "", "read-ahead=64")) == {
        "/sys/block/*/queue/read_ahead_kb": SettingAction.ALREADY
    }


def test_swap_is_not_switched_off_where_its_content_has_no_room(ascend: WritableHost) -> None:
    made = planned(ascend, "", "swap=off")
    assert [one.path for one in made.settings] == ["swap:/dev/sda2", "swap:/dev/zram0"]
    used = ascend.read("/proc/swaps").replace("\t\t0\t", f"\t\t{2**40}\t", 1)
    put(ascend, "/proc/swaps", used)
    (row,) = planned(ascend, "", "swap=off").rows
    assert row.fate is SettingAction.REFUSED
    assert "more than half" in row.why


def test_limits_are_of_sessions_or_of_a_process(ascend: WritableHost) -> None:
    made = planned(ascend, "", "file-limit=65536")
    assert made.settings == (HostWrite("limits:nofile", "65536"),)
    fields = " ".join(["S", *["0"] * 18, "4711", "0"])
    put(ascend, "/proc/99/stat", f"99 (a) b) {fields}\n")
    put(ascend, "/proc/99/limits", "Max open files            1024       4096       files\n")
    made = planned(ascend, "", "file-limit=65536", pid=99)
    assert made.settings == (HostWrite("rlimit:99:4711:nofile", "65536:65536"),)
    made = planned(ascend, "", "file-limit=2048", pid=99)
    assert made.settings == (HostWrite("rlimit:99:4711:nofile", "2048:4096"),), "never lowered"
    with pytest.raises(UsageError, match="98 is none"):
        planned(ascend, "", "file-limit=65536", pid=98)


def test_what_no_file_keeps_over_a_boot_is_said(ascend: WritableHost) -> None:
    made = planned(
        ascend, "", "irq-affinity=local", "swappiness=1", "thp=always", persist="sysctl"
    )
    ends = {row.place: row.kept for row in made.rows if row.kept}
    assert "only what is under /proc/sys" in ends["/sys/kernel/mm/transparent_hugepage/enabled"]
    assert "/proc/sys/vm/swappiness" not in ends
    assert made.persist == "sysctl"
    assert made.writes[0].path == "file:/etc/sysctl.d/99-trimtab.conf"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["swappiness"], "NAME=VALUE"),
        (["dtype=float32"], "takes settings of the host"),
        (["*=1"], "takes settings of the host"),
    ],
)
def test_words_that_are_no_settings(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        wanted.with_words((), words)


def test_unknown_names_and_presets_name_what_there_is() -> None:
    with pytest.raises(UnknownTuningError, match="swappiness"):
        wanted.with_words((), ["swapiness=1"])
    with pytest.raises(UsageError, match="guide"):
        wanted.preset_candidate("gide")


def test_only_settings_of_the_host_are_taken_from_a_profile() -> None:
    chosen = candidate({"dtype": "float32", "swappiness": 1, "thp": None})
    assert wanted.host_candidate(chosen) == (("swappiness", 1),)


def test_in_a_container_commands_and_manifests_are_told() -> None:
    made = planned(SnapshotHost(HOSTS / "k8s-pod"), "guide")
    told = report.manual_steps(made)
    assert told["commands"] == ["sysctl -w kernel.numa_balancing=0"]
    parsed = yaml.safe_load(told["daemon_set"])
    (container,) = parsed["spec"]["template"]["spec"]["initContainers"]
    assert container["securityContext"] == {"privileged": True}
    assert "# " + "  sysctl -w kernel.numa_balancing=1" in told["daemon_set"]


def test_what_is_no_kernel_setting_is_a_command_too(ascend: WritableHost) -> None:
    put(ascend, "/proc/77/comm", "irqbalance\n")
    made = planned(ascend, "", "irq-affinity=local", "swap=off", "file-limit=9000")
    told = report.manual_steps(made)["commands"]
    for line in ("systemctl stop irqbalance.service", "swapoff /dev/sda2"):
        assert line in told
    assert any("file-limit=9000" in line for line in told)


def test_sysctls_of_a_pod_are_its_own() -> None:
    writes = [
        HostWrite("/proc/sys/net/core/somaxconn", "8192"),
        HostWrite("/proc/sys/net/ipv4/tcp_syncookies", "1"),
        HostWrite("/proc/sys/vm/swappiness", "1"),
        HostWrite("/sys/kernel/debug/sched/migration_cost_ns", "5000000"),
    ]
    patch = render.pod_patch(writes)
    assert yaml.safe_load(patch)["spec"]["securityContext"]["sysctls"] == [
        {"name": "net.core.somaxconn", "value": "8192"},
        {"name": "net.ipv4.tcp_syncookies", "value": "1"},
    ]
    assert "--allowed-unsafe-sysctls=net.core.somaxconn\n" in patch
    parsed = yaml.safe_load(render.daemon_set(writes, {}, "x"))
    pod = parsed["spec"]["template"]["spec"]
    assert pod["volumes"][0]["hostPath"]["path"] == "/sys/kernel/debug"
    script = pod["initContainers"][0]["command"][2]
    assert "vm.swappiness" in script
    assert "somaxconn" not in script
    subprocess.run(["/bin/sh", "-n", "-c", script], check=True)
    assert render.pod_patch(writes[2:]) == ""
    assert render.daemon_set(writes[:2], {}, "x") == ""


def test_kubernetes_takes_the_manifest() -> None:
    validate = pytest.importorskip(
        "kubernetes_validate", reason="not installed: pip install kubernetes-validate"
    )
    made = render.daemon_set([HostWrite("/proc/sys/vm/swappiness", "1")], {}, "x")
    validate.validate(yaml.safe_load(made), "1.29", strict=True)


def test_a_host_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(HostError):
        context(SnapshotHost(tmp_path), local=False)
