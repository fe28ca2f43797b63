"""Host writes as files: what a form carries reads back, what it cannot is named with a reason."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.host_settings import render
from trimtab.host_settings.render import RenderedFile
from trimtab.model import HostWrite

WRITES = (
    HostWrite("/proc/sys/vm/swappiness", "1"),
    HostWrite("/proc/sys/net/ipv4/conf/eth0.100/rp_filter", "0"),
    HostWrite("/proc/sys/net/ipv4/tcp_rmem", "4096 131072 6291456"),
    HostWrite("/sys/kernel/mm/transparent_hugepage/enabled", "always"),
    HostWrite("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance"),
    HostWrite("/sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "performance"),
    HostWrite("/sys/kernel/debug/sched/migration_cost_ns", "5000000"),
    HostWrite("/proc/irq/31/smp_affinity_list", "0-1"),
    HostWrite("service:irqbalance.service", "inactive"),
)
PARTS = st.from_regex(r"[a-zA-Z0-9_][a-zA-Z0-9_.\[\]*%$:@-]{0,9}", fullmatch=True)
TEXTS = st.text(max_size=12)
PATHS = st.builds(
    lambda root, parts: f"{root}/{'/'.join(parts)}",
    st.sampled_from(["/proc/sys", "/sys", "/proc/irq"]),
    st.lists(PARTS, min_size=1, max_size=4),
)
MANY = st.lists(st.builds(HostWrite, PATHS, TEXTS), max_size=6, unique_by=lambda one: one.path)


def tuned(writes: list[HostWrite]) -> RenderedFile:
    return render.tuned_profile(writes, "a summary", ["a comment"])


def unit(writes: list[HostWrite]) -> RenderedFile:
    return render.systemd_unit(writes, "100 % made", ["a comment \\"])


FORMS = pytest.mark.parametrize(
    ("make", "parse"),
    [
        (render.sysctl_d, render.parse_sysctl_d),
        (tuned, render.parse_tuned_profile),
        (unit, render.parse_systemd_unit),
    ],
)


@FORMS
@given(writes=MANY)
def test_what_is_carried_reads_back_and_the_rest_is_named(
    make: Callable[[list[HostWrite]], RenderedFile],
    parse: Callable[[str], tuple[HostWrite, ...]],
    writes: list[HostWrite],
) -> None:
    made = make(writes)
    refused = [one for one, reason in made.left_out if reason]
    assert len(refused) == len(made.left_out)
    back = parse(made.text)
    assert sorted((one.path, one.text) for one in (*back, *refused)) == sorted(
        (one.path, one.text) for one in writes
    )


def test_each_form_carries_its_own() -> None:
    assert [one.path for one, _ in render.sysctl_d(WRITES).left_out] == [
        one.path for one in WRITES if not one.path.startswith("/proc/sys/")
    ]
    assert [one.path for one, _ in tuned(list(WRITES)).left_out] == [
        "/proc/irq/31/smp_affinity_list",
        "service:irqbalance.service",
    ]
    assert unit(list(WRITES)).left_out == (
        (WRITES[-2], "an interrupt may have another number after the next boot"),
        (WRITES[-1], "it is no kernel setting, but service"),
    )


def test_names_of_sysctl_d() -> None:
    text = render.sysctl_d(WRITES, ["Made by trimtab"]).text
    assert text.splitlines()[:4] == [
        "# Made by trimtab",
        "",
        "vm.swappiness = 1",
        "net/ipv4/conf/eth0.100/rp_filter = 0",
    ]
    assert render.sysctl_path("net.ipv4.conf.eth0/100.rp_filter") == WRITES[1].path
    with pytest.raises(ValueError, match="NAME = VALUE"):
        render.parse_sysctl_d("vm.swappiness\n")


def test_a_unit_waits_for_debugfs_only_where_it_writes_there() -> None:
    assert "sys-kernel-debug.mount" in unit(list(WRITES)).text
    assert "sys-kernel-debug.mount" not in unit(list(WRITES[:3])).text


def test_no_tuned_profile_is_one_line() -> None:
    with pytest.raises(ValueError, match="no TuneD profile"):
        render.parse_tuned_profile("[sysctl]\n[sysctl]\n")


@given(texts=st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8")), max_size=3))
def test_commands_write_exactly_the_text(
    texts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("host") / "it's 100% $HOME"
    folder.mkdir()
    files = [folder / f"cpu{number}" / "governor" for number in range(len(texts))]
    for file in files:
        file.parent.mkdir()
    writes = [HostWrite(str(file), text) for file, text in zip(files, texts, strict=True)]
    script = "\n".join(render.commands(writes))
    subprocess.run(["/bin/sh", "-euc", script], check=True)
    assert [file.read_bytes() for file in files] == [text.encode() for text in texts]


def test_files_of_many_cpus_are_one_loop() -> None:
    made = render.commands(WRITES)
    assert made[0] == "sysctl -w vm.swappiness=1"
    assert sum("cpufreq" in line for line in made) == 1
    (loop,) = (line for line in made if "cpufreq" in line)
    assert loop.startswith("for n in 0 1; do")


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    verify = Path("/usr/bin/systemd-analyze")
    if not verify.exists():
        pytest.skip("systemd-analyze is not installed: apt-get install systemd")
    path = tmp_path / "trimtab-host.service"
    path.write_text(unit(list(WRITES)).text)
    done = subprocess.run(
        [str(verify), "verify", "--man=no", str(path)], capture_output=True, text=True, check=False
    )
    assert "trimtab-host" not in done.stderr, done.stderr
    assert done.returncode == 0, done.stderr
