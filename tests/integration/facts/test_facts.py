"""Fact parsers: on the recorded machine, on other shapes of text, and on nothing at all."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.facts import Facts, container, cpu, inspect, libraries, limits, memory, to_dict
from trimtab.facts.kernel import parse_os_release
from trimtab.facts.parsing import format_cpu_list, parse_cpu_list, selected_word
from trimtab.facts.process import (
    HEAP,
    arena_bounds,
    executable_files,
    parse_allowed_cpus,
    parse_environ,
    parse_maps,
)
from trimtab.host import LocalHost, SnapshotHost
from trimtab.model import Fact

HOST = Path(__file__).parents[2] / "hosts" / "debian-vm"


@pytest.fixture
def facts() -> Facts:
    return inspect(SnapshotHost(HOST), {"vllm": "0.32.0"}, "cpu")


def edited(folder: Path, **files: str) -> SnapshotHost:
    """The recorded machine with some files replaced; "__" in a name stands for "/"."""
    shutil.copytree(HOST, folder, symlinks=True)
    for name, text in files.items():
        path = folder / "root" / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return SnapshotHost(folder)


def test_the_recorded_machine(facts: Facts) -> None:
    assert facts.cpu.arch.value == "x86_64"
    assert facts.cpu.vendor.value == "AuthenticAMD"
    assert facts.cpu.model.value == "AMD EPYC"
    assert facts.cpu.flags.value is not None
    assert "avx2" in facts.cpu.flags.value
    assert "avx512_bf16" not in facts.cpu.flags.value
    assert facts.cpu.online.value == (0, 1)
    assert facts.allowed_cores == ((0,), (1,))
    assert facts.cpu.nodes.value == ((0, (0, 1)),)
    assert facts.memory.total.value == 24683656 * 1024
    assert facts.memory.swap_total.value == 0
    assert facts.memory.page_size.value == 4096
    assert facts.memory.thp_enabled.value == "madvise"
    assert facts.kernel.os_id.value == "debian"
    assert facts.kernel.os_version.value == "12"
    assert facts.kernel.settings["/proc/sys/vm/swappiness"].value == "60"
    assert facts.limits.allowed.value == (0, 1)
    assert facts.limits.cpu_quota.value == math.inf
    assert facts.limits.memory_limit.value == math.inf
    assert facts.limits.nofile.value == 20000
    assert facts.limits.memlock.value == 8 * 1024 * 1024
    assert facts.container.kind.value == "none", "a VM made from an image is no container"
    assert facts.privileges.root.value is True
    assert facts.libraries.path("libjemalloc.so.2").value is None
    assert facts.packages == {"vllm": "0.32.0"}


def test_every_unknown_has_a_reason(tmp_path: Path) -> None:
    (tmp_path / "meta.yaml").write_text("affinity: [0]\neuid: 1000\n")
    bare = inspect(SnapshotHost(tmp_path), {}, "cpu")
    assert bare.cpu.flags.value is None
    assert bare.cpu.flags.reason
    assert bare.container.kind.value is None
    assert bare.privileges.root.value is False
    assert bare.allowed_cores == ()
    assert "null" in json.dumps(to_dict(bare))


def test_to_dict_is_json_with_sources(facts: Facts) -> None:
    plain = json.loads(json.dumps(to_dict(facts), allow_nan=False))
    assert plain["limits"]["cpu_quota"]["value"] == "unlimited"
    assert plain["cpu"]["arch"] == {"value": "x86_64", "source": "uname -m"}
    missing = plain["libraries"]["paths"]["libjemalloc.so.2"]
    assert missing["value"] is None
    assert "not installed" in missing["reason"]


def test_this_machine_can_be_inspected() -> None:
    here = inspect(LocalHost(), {}, "cpu")
    assert here.cpu.arch.value
    assert here.limits.allowed.value
    assert here.kernel.release.value
    assert here.memory.page_size.value


@given(st.sets(st.integers(0, 300)))
def test_cpu_lists_round_trip(cpus: set[int]) -> None:
    assert parse_cpu_list(format_cpu_list(tuple(cpus))) == tuple(sorted(cpus))


def test_cpu_list_shapes() -> None:
    assert parse_cpu_list("0-3,8,10-11\n") == (0, 1, 2, 3, 8, 10, 11)
    assert format_cpu_list((3, 0, 1, 2, 8)) == "0-3,8"
    assert parse_cpu_list("\n") == ()
    with pytest.raises(ValueError, match="rise"):
        parse_cpu_list("3-1")
    with pytest.raises(ValueError, match="invalid"):
        parse_cpu_list("a")


def test_selected_word() -> None:
    assert selected_word("always [madvise] never\n") == "madvise"
    assert selected_word(" 60\n") == "60"


def test_arm_cpuinfo() -> None:
    text = "processor\t: 0\nFeatures\t: fp asimd bf16\nCPU implementer\t: 0x48\n\nprocessor\t: 1\n"
    assert cpu.parse_flags(text) == frozenset({"fp", "asimd", "bf16"})
    assert cpu.parse_vendor(text) == "HiSilicon"
    assert cpu.parse_model(text) is None
    assert cpu.parse_vendor("CPU implementer : 0x99\n") == "implementer 0x99"


def test_smt_siblings_are_one_core(tmp_path: Path) -> None:
    siblings = {
        f"sys__devices__system__cpu__cpu{n}__topology__thread_siblings_list": "0-1\n"
        for n in (0, 1)
    }
    found = inspect(edited(tmp_path / "smt", **siblings), {}, "cpu")
    assert found.allowed_cores == ((0, 1),)


def test_meminfo_units() -> None:
    text = "MemTotal:       10 kB\nHugePages_Total:       3\n"
    assert memory.parse_meminfo(text, "MemTotal") == 10240
    assert memory.parse_meminfo(text, "HugePages_Total") == 3
    assert memory.parse_meminfo(text, "SwapTotal") is None


def test_os_release_quoting() -> None:
    text = "ID=openEuler\nPRETTY_NAME=\"openEuler 22.03 (LTS)\"\nEMPTY=''\n"
    assert parse_os_release(text, "PRETTY_NAME") == "openEuler 22.03 (LTS)"
    assert parse_os_release(text, "NAME") is None


def test_cgroup_v2_takes_the_tightest_ancestor(tmp_path: Path) -> None:
    host = edited(
        tmp_path / "v2",
        proc__self__cgroup="0::/pod/box\n",
        sys__fs__cgroup__pod__cpu_max="",
        **{
            "sys__fs__cgroup__pod__cpu.max": "150000 100000\n",
            "sys__fs__cgroup__pod__box__cpu.max": "max 100000\n",
            "sys__fs__cgroup__pod__memory.max": "max\n",
            "sys__fs__cgroup__pod__box__memory.max": "1073741824\n",
        },
    )
    found = limits.read(host)
    assert found.cpu_quota == Fact(1.5, "/sys/fs/cgroup/pod")
    assert found.memory_limit.value == 2**30


def test_cgroup_v2_seen_from_inside_a_container(tmp_path: Path) -> None:
    host = edited(
        tmp_path / "inside",
        proc__self__cgroup="0::/../../host-only\n",
        **{"sys__fs__cgroup__cpu.max": "200000 100000\n"},
    )
    assert limits.read(host).cpu_quota.value == 2.0


def test_cgroup_v1_quota(tmp_path: Path) -> None:
    host = edited(tmp_path / "v1", **{"sys__fs__cgroup__cpu__cpu.cfs_quota_us": "50000\n"})
    assert limits.read(host).cpu_quota.value == 0.5


def test_cgroup_root_of_v2_is_unlimited(tmp_path: Path) -> None:
    host = edited(
        tmp_path / "root",
        proc__self__cgroup="0::/\n",
        **{"sys__fs__cgroup__cgroup.controllers": "cpu memory\n"},
    )
    assert limits.read(host).cpu_quota.value == math.inf
    broken = edited(tmp_path / "none", proc__self__cgroup="0::/x\n")
    assert limits.read(broken).cpu_quota.value is None


@pytest.mark.parametrize(
    ("cgroup", "kind"),
    [
        ("0::/kubepods.slice/kubepods-pod1.slice/x\n", "kubernetes"),
        ("12:cpu:/docker/0123\n", "docker"),
        ("0::/machine.slice/libpod-0123.scope\n", "podman"),
        ("0::/user.slice\n", "none"),
    ],
)
def test_container_kinds(tmp_path: Path, cgroup: str, kind: str) -> None:
    overlay = "1 0 0:1 / / rw - overlay overlay rw\n" if kind != "none" else ""
    host = edited(tmp_path / "box", proc__self__cgroup=cgroup, proc__self__mountinfo=overlay)
    if kind == "none":
        (tmp_path / "box" / "root" / ".dockerenv").unlink()
    assert container.read(host).kind.value == kind


def test_a_private_namespace_without_a_sign_is_a_container(tmp_path: Path) -> None:
    host = edited(tmp_path / "box")
    (tmp_path / "box" / "root" / ".dockerenv").unlink()
    link = tmp_path / "box" / "root" / "proc" / "self" / "ns" / "pid"
    link.unlink()
    link.symlink_to("pid:[4026532000]")
    assert container.read(host).kind.value == "container"


def test_ldconfig_takes_only_the_machines_own_words() -> None:
    text = (
        "2 libs found in cache `/etc/ld.so.cache'\n"
        "\tlibjemalloc.so.2 (libc6) => /lib/i386-linux-gnu/libjemalloc.so.2\n"
        "\tlibjemalloc.so.2 (libc6,x86-64) => /lib/x86_64-linux-gnu/libjemalloc.so.2\n"
        "\tlibtcmalloc_minimal_debug.so.4 (libc6,x86-64) => /lib/x86_64-linux-gnu/x.so\n"
    )
    found = libraries.parse_ldconfig(text, "x86_64")
    assert found["libjemalloc.so.2"] == "/lib/x86_64-linux-gnu/libjemalloc.so.2"
    assert "libtcmalloc_minimal.so.4" not in found
    assert libraries.parse_ldconfig(text, "aarch64") == {}


def test_libraries_in_folders_and_of_the_engine(tmp_path: Path) -> None:
    host = edited(
        tmp_path / "libs",
        **{
            "usr__lib64__libjemalloc.so.2": "",
            "opt__engine__lib__libiomp5.so": "",
        },
    )
    found = libraries.read(host, "x86_64", ("/opt/engine/lib",))
    assert found.path("libjemalloc.so.2").value == "/usr/lib64/libjemalloc.so.2"
    assert found.path("libiomp5.so").value == "/opt/engine/lib/libiomp5.so"
    assert found.path("libother.so").reason


def test_maps_environ_and_status() -> None:
    regions = parse_maps(
        "00400000-00401000 r-xp 00000000 08:01 12 /usr/bin/x y\n"
        "00401000-00402000 rw-p 00000000 08:01 12 /usr/bin/x y\n"
        "00403000-00404000 rw-p 00000000 00:00 0 [anon: glibc: malloc arena]\n"
        "garbage\n"
    )
    assert executable_files(regions) == {"/usr/bin/x y"}
    assert [region.anonymous for region in regions] == [False, False, True]
    assert parse_environ("A=1\0B=\0EngineCore\0C=x=y\0") == {"A": "1", "B": "", "C": "x=y"}
    assert parse_allowed_cpus("Name:\tx\nCpus_allowed_list:\t0,2-3\n") == (0, 2, 3)
    with pytest.raises(ValueError, match="Cpus_allowed_list"):
        parse_allowed_cpus("Name:\tx\n")


def heap(index: int, used: int, *, merged: int = 0, reserve: bool = True) -> str:
    start = 0x7F0000000000 + index * HEAP
    lines = f"{start - merged:x}-{start + used:x} rw-p 00000000 00:00 0 \n"
    if reserve:
        lines += f"{start + used:x}-{start + HEAP:x} ---p 00000000 00:00 0 \n"
    return lines


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ("", (1, 1)),
        (heap(1, 2**20), (2, 2)),
        (heap(1, 2**20) + heap(2, 2**20), (3, 3)),
        # A heap filled above 32 MiB may be an earlier one of the same arena.
        (heap(1, 48 * 2**20) + heap(2, 2**20), (2, 3)),
        # Merged with a neighbour below: perhaps a heap.
        (heap(1, 2**20, merged=4096), (1, 2)),
        # A large mapping without a reservation behind it is none.
        (heap(1, 2**20, reserve=False), (1, 1)),
        ("7f0000001000-7f0000002000 rw-p 00000000 00:00 0 \n", (1, 1)),
    ],
)
def test_arena_bounds(text: str, bounds: tuple[int, int]) -> None:
    assert arena_bounds(parse_maps(text)) == bounds


@given(st.text(max_size=400))
def test_parsers_survive_any_text(text: str) -> None:
    parse_maps(text)
    parse_environ(text)
    cpu.parse_flags(text)
    container.parse_cgroup_kind(text)
    container.parse_root_type(text)
    libraries.parse_ldconfig(text, "x86_64")
    selected_word(text)
