"""The host port: the local machine and a captured one; failures are one line."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from trimtab.errors import HostError
from trimtab.host import LocalHost, SnapshotHost, command_slug


@pytest.fixture
def local() -> LocalHost:
    return LocalHost()


@pytest.fixture
def snapshot(tmp_path: Path) -> SnapshotHost:
    (tmp_path / "root" / "proc" / "1").mkdir(parents=True)
    (tmp_path / "root" / "proc" / "1" / "comm").write_text("init\n")
    (tmp_path / "root" / "proc" / "link").symlink_to("1/comm")
    (tmp_path / "commands").mkdir()
    (tmp_path / "commands" / "uname_-m.txt").write_text("aarch64\n")
    (tmp_path / "meta.yaml").write_text("affinity: [3, 1]\neuid: 7\n")
    return SnapshotHost(tmp_path)


def test_local_reads_kernel_files_and_refuses_long_ones(local: LocalHost, tmp_path: Path) -> None:
    assert local.read("/proc/sys/kernel/osrelease").strip()
    big = tmp_path / "big"
    big.write_text("x" * 100)
    assert local.read(str(big), 100) == "x" * 100
    with pytest.raises(HostError, match="at most 99 bytes"):
        local.read(str(big), 99)
    with pytest.raises(HostError, match="cannot read /absent"):
        local.read("/absent")


def test_local_writes_existing_files_only(local: LocalHost, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("long before")
    local.write(str(path), "now")
    assert path.read_text() == "now"
    with pytest.raises(HostError, match="cannot write"):
        local.write(str(tmp_path / "new"), "1")
    assert not (tmp_path / "new").exists()


def test_local_paths(local: LocalHost, tmp_path: Path) -> None:
    (tmp_path / "b").write_text("")
    (tmp_path / "a").symlink_to("b")
    assert local.listdir(str(tmp_path)) == ("a", "b")
    assert local.glob(f"{tmp_path}/*") == (f"{tmp_path}/a", f"{tmp_path}/b")
    assert local.readlink(f"{tmp_path}/a") == "b"
    assert local.resolve(f"{tmp_path}/a") == os.path.realpath(tmp_path / "b")
    assert local.exists(f"{tmp_path}/a")
    assert not local.exists(f"{tmp_path}/c")
    for call in (local.listdir, local.readlink):
        with pytest.raises(HostError):
            call(f"{tmp_path}/c")


def test_local_runs_with_a_deadline(local: LocalHost) -> None:
    assert local.run([sys.executable, "-c", "print('hello')"]) == "hello\n"
    with pytest.raises(HostError, match=r"must end in 0.2 s"):
        local.run([sys.executable, "-c", "import time; time.sleep(60)"], timeout=0.2)
    with pytest.raises(HostError, match=r"ended with 3: .*bad"):
        local.run([sys.executable, "-c", "import sys; print('bad', file=sys.stderr); sys.exit(3)"])
    with pytest.raises(HostError, match="cannot run 'no-such-program'"):
        local.run(["no-such-program"])


def test_local_identity(local: LocalHost) -> None:
    assert local.affinity() == tuple(sorted(os.sched_getaffinity(0)))
    assert local.euid() == os.geteuid()


def test_snapshot(snapshot: SnapshotHost) -> None:
    assert snapshot.read("/proc/1/comm") == "init\n"
    assert snapshot.exists("/proc/1")
    assert not snapshot.exists("/proc/2")
    assert snapshot.listdir("/proc") == ("1", "link")
    assert snapshot.glob("/proc/*/comm") == ("/proc/1/comm",)
    assert snapshot.readlink("/proc/link") == "1/comm"
    assert snapshot.resolve("/proc/link") == "/proc/1/comm"
    assert snapshot.run(["uname", "-m"]) == "aarch64\n"
    assert snapshot.affinity() == (1, 3)
    assert snapshot.euid() == 7


def test_snapshot_refuses(snapshot: SnapshotHost, tmp_path: Path) -> None:
    with pytest.raises(HostError, match="read-only"):
        snapshot.write("/proc/1/comm", "x")
    with pytest.raises(HostError, match="not in the snapshot"):
        snapshot.run(["lscpu"])
    for call in (snapshot.read, snapshot.listdir, snapshot.readlink):
        with pytest.raises(HostError):
            call("/absent")
    with pytest.raises(HostError, match="at most 2 bytes"):
        snapshot.read("/proc/1/comm", 2)
    with pytest.raises(HostError, match=r"meta\.yaml"):
        SnapshotHost(tmp_path / "proc")
    (tmp_path / "meta.yaml").write_text("- 1\n")
    with pytest.raises(HostError, match="mapping"):
        SnapshotHost(tmp_path)


def test_command_slug() -> None:
    assert command_slug(["ldconfig", "-p"]) == "ldconfig_-p"
    assert command_slug(["npu-smi", "info", "-t", "topo"]) == "npu-smi_info_-t_topo"
