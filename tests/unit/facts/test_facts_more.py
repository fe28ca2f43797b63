"""Facts of GPUs, interpreters, packages, images, NUMA maps, and the situation they make."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contracts.machines import HOSTS
from trimtab.facts import container as image
from trimtab.facts import cuda, inspect, packages, process, python_build, situation
from trimtab.facts.python_build import PythonBuild, judge
from trimtab.host import LocalHost, SnapshotHost


def test_gpus_as_nvml_reports_them() -> None:
    found = cuda.read(SnapshotHost(HOSTS / "cuda"))
    assert found.gpus.value is not None
    first, second = found.gpus.value
    assert (first.name, first.memory, first.capability) == ("NVIDIA H100 80GB HBM3", 81559, "9.0")
    assert (first.persistent, second.persistent) == (True, False)
    assert found.driver.value == "570.133.20"
    assert cuda.parse_gpus("0, Tegra, [N/A], 540.4.0, 8.7, [N/A]\n") == (
        cuda.Gpu(0, "Tegra", None, "8.7", None),
    )
    assert cuda.parse_gpus("No devices were found\n") is None
    assert not cuda.read(SnapshotHost(HOSTS / "a3")).present


def test_pgo_and_lto_are_told_by_the_flags_that_built_it() -> None:
    found = python_build.read(SnapshotHost(HOSTS / "a2-openeuler"), "/usr/bin/python3")
    assert (found.pgo, found.lto, found.bolt, found.shared) == (True, True, False, True)
    assert found.executable == "/usr/bin/python3.9"


def test_the_template_of_pgo_proves_nothing() -> None:
    found = python_build.read(SnapshotHost(HOSTS / "a3"), "/usr/bin/python3")
    assert (found.version, found.pgo, found.lto) == ("3.12", False, False)


def test_ubuntu_describes_another_build_so_it_is_unknown() -> None:
    found = python_build.read(SnapshotHost(HOSTS / "cuda"), "/usr/bin/python3", "ubuntu")
    assert (found.pgo, found.lto, found.shared) == (None, None, False)
    assert "PGO and LTO" in found.reason


@pytest.mark.parametrize(
    ("arguments", "pgo", "lto", "bolt"),
    [
        ("'--enable-optimizations' '--with-lto=thin'", True, True, False),
        ("'--with-lto' '--with-lto=no'", False, False, False),
        ("'--enable-bolt'", False, False, True),
        ("", False, False, False),
    ],
)
def test_what_configure_was_given_counts(arguments: str, pgo: bool, lto: bool, bolt: bool) -> None:
    known = {"CONFIG_ARGS": arguments, "PGO_PROF_USE_FLAG": "-fprofile-use"}
    found = judge(PythonBuild("p", shared=True), known, "")
    assert (found.pgo, found.lto, found.bolt) == (pgo, lto, bolt)


def test_a_launcher_and_a_missing_interpreter_are_unknown(tmp_path: Path) -> None:
    shim = tmp_path / "python3"
    shim.write_text("#!/bin/sh\nexec pyenv exec python3\n")
    assert "script" in python_build.read(LocalHost(), str(shim)).reason
    assert "No such file" in python_build.read(LocalHost(), str(tmp_path / "none")).reason


def test_this_interpreter_is_read_without_running_it() -> None:
    import sys
    import sysconfig

    found = python_build.read(LocalHost(), sys.executable)
    assert found.version == f"3.{sys.version_info.minor}"
    if not found.reason:
        flags = str(sysconfig.get_config_var("PY_CFLAGS_NODIST"))
        assert found.pgo is ("-fprofile-use" in flags or "profile-instr-use" in flags)


def test_packages_are_read_from_their_folders() -> None:
    python = "/usr/local/python3.12.11/bin/python3.12"
    found = packages.read(SnapshotHost(HOSTS / "a3"), python)
    assert found["vllm-ascend"] == "0.18.0"
    assert found["torch-npu"] == "2.10.0.post4"
    assert found["vllm"] == "0.18.0+empty"
    assert packages.parse_folder("Foo_Bar-1.0.dist-info") == ("foo-bar", "1.0")
    assert packages.parse_folder("foo.dist-info") is None


def test_an_image_tells_what_it_bakes_in() -> None:
    text = json.dumps(
        [
            {
                "Architecture": "arm64",
                "Config": {
                    "Env": ["PATH=/usr/bin", "TASK_QUEUE_ENABLE=1", "broken"],
                    "Entrypoint": None,
                    "Cmd": ["/bin/bash"],
                    "User": "",
                },
            }
        ]
    )
    found = image.parse_inspect(text)
    assert found.env == {"PATH": "/usr/bin", "TASK_QUEUE_ENABLE": "1"}
    assert (found.command, found.architecture) == (("/bin/bash",), "arm64")
    for broken in ("[]", "{}", "[{}]", "null"):
        with pytest.raises(ValueError, match="no Config"):
            image.parse_inspect(broken)


def test_memory_is_counted_by_node() -> None:
    text = (
        "7f00 default anon=10 dirty=10 N0=6 N1=4 kernelpagesize_kB=4\n"
        "7f10 default huge anon=2 N1=2 kernelpagesize_kB=2048\n"
        "7f20 default file=/lib/x.so mapped=3\n"
    )
    assert process.parse_numa_maps(text) == {0: 6 * 4096, 1: 4 * 4096 + 2 * 2048 * 1024}


@given(text=st.text(max_size=300))
def test_parsers_of_any_text_are_total(text: str) -> None:
    process.parse_numa_maps(text)
    cuda.parse_gpus(text)
    packages.parse_folder(text)
    python_build.parse_sysconfig(text)


@pytest.mark.parametrize(
    ("name", "platform", "chip", "container"),
    [
        ("a2-openeuler", "ascend", "A2", False),
        ("a3", "ascend", "A3", True),
        ("310p", "ascend", "310P", False),
        ("cuda", "cuda", None, False),
        ("debian-vm", None, None, False),  # a vLLM whose build says nothing
        ("k8s-pod", "ascend", "A2", True),
    ],
)
def test_the_situation_follows_from_the_facts(
    name: str, platform: str | None, chip: str | None, container: bool
) -> None:
    here = situation.situation_of(inspect(SnapshotHost(HOSTS / name), {"vllm": "0.32.0"}, "cpu"))
    assert (here.platform, here.chip, here.container) == (platform, chip, container)
    assert here.versions["vllm"] == "0.32.0"


def test_a_pod_has_its_cpuset_its_quota_and_no_root() -> None:
    facts = inspect(SnapshotHost(HOSTS / "k8s-pod"), {}, "cpu")
    assert facts.container.kind.value == "kubernetes"
    assert facts.limits.allowed.value == tuple(range(8, 16))
    assert facts.limits.cpu_quota.value == 8.0
    here = situation.situation_of(facts, {})
    assert (here.cpus, here.cpu_quota) == (8, 8.0)
    vm = situation.situation_of(inspect(SnapshotHost(HOSTS / "debian-vm"), {}, "cpu"))
    assert vm.cpu_quota is None
    assert facts.limits.memory_limit.value == 64 * 2**30
    assert facts.privileges.root.value is False
