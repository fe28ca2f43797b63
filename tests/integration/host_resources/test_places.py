"""Places: what is read, written and put back of each kind, on real things where there are any."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trees import IRQ, THP, WritableHost, tree
from trimtab import host_resources
from trimtab.errors import HostError
from trimtab.facts.memory import parse_swaps
from trimtab.host import LocalHost, draft_path
from trimtab.host_resources.limits import start_ticks


@pytest.fixture
def host(tmp_path: Path) -> WritableHost:
    return tree(tmp_path / "host")


@given(data=st.binary(max_size=200))
def test_a_file_comes_back_to_the_byte(
    data: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("files") / "x.conf"
    path.write_bytes(data)
    local, place = LocalHost(), f"file:{path}"
    before = host_resources.read(local, place)
    host_resources.write(local, place, "ours\n")
    assert path.read_text() == "ours\n"
    host_resources.restore(local, place, before)
    assert path.read_bytes() == data


def test_a_replaced_file_keeps_its_mode_and_a_new_one_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "x.conf"
    path.write_text("secret")
    path.chmod(0o640)
    LocalHost().install(str(path), b"new")
    assert path.stat().st_mode & 0o777 == 0o640
    LocalHost().install(str(tmp_path / "y.conf"), b"new")
    assert (tmp_path / "y.conf").stat().st_mode & 0o777 == 0o644


def test_what_an_interrupted_write_leaves_is_tidied(tmp_path: Path) -> None:
    path = tmp_path / "x.conf"
    Path(draft_path(str(path))).write_text("half")
    host_resources.tidy(LocalHost(), f"file:{path}")
    assert list(tmp_path.iterdir()) == []


def test_links_and_folders(tmp_path: Path) -> None:
    local, link, folder = LocalHost(), tmp_path / "a" / "link", tmp_path / "a"
    assert host_resources.read(local, f"link:{link}") is None
    assert host_resources.read(local, f"folder:{folder}") is None
    host_resources.write(local, f"folder:{folder}", "there")
    host_resources.write(local, f"link:{link}", "/nowhere")
    assert host_resources.read(local, f"link:{link}") == "/nowhere"
    with pytest.raises(HostError, match="not empty"):
        host_resources.restore(local, f"folder:{folder}", None)
    host_resources.restore(local, f"link:{link}", "/before")
    assert str(link.readlink()) == "/before"
    host_resources.restore(local, f"link:{link}", None)
    host_resources.restore(local, f"folder:{folder}", None)
    assert list(tmp_path.iterdir()) == []
    folder.write_text("a file where a link is meant")
    with pytest.raises(HostError, match="cannot read the link"):
        host_resources.read(local, f"link:{folder}")


def test_kernel_files_mean_the_same_in_several_forms() -> None:
    assert host_resources.is_same_text(THP, "always [madvise] never\n", "madvise")
    assert host_resources.is_same_text(IRQ, "0,1,3\n", "0-1,3")
    assert not host_resources.is_same_text(IRQ, "0-1", "0")
    assert host_resources.is_same_text(
        "/proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456\n", "4096 131072 6291456"
    )
    assert not host_resources.is_same_text("/proc/sys/vm/swappiness", "60\n", None)
    assert host_resources.is_same_text("file:/x", None, None)
    assert not host_resources.is_same_text("file:/x", "a", "a\n"), "of a file every byte counts"


def test_a_swap_area_and_its_priority(host: WritableHost) -> None:
    before = host.read("/proc/swaps")
    assert host_resources.read(host, "swap:/dev/zram0") == "on 100"
    assert host_resources.read(host, "swap:/dev/absent") == "off"
    assert host_resources.is_same_text("swap:/dev/sda2", "on -2", "on -3"), "the kernel chose it"
    assert not host_resources.is_same_text("swap:/dev/sda2", "on 5", "on 6")
    for name in ("/dev/sda2", "/dev/zram0"):
        was = host_resources.read(host, f"swap:{name}")
        host_resources.write(host, f"swap:{name}", "off")
        assert host_resources.read(host, f"swap:{name}") == "off"
        host_resources.restore(host, f"swap:{name}", was)
    assert host.read("/proc/swaps") == before


def test_names_of_swap_files_are_unescaped() -> None:
    (area,) = parse_swaps("Filename Type Size Used Priority\n/a\\040b file 1024 512 -2\n")
    assert (area.name, area.used, area.priority) == ("/a b", 512 * 1024, -2)


def test_limits_of_sessions_keep_other_lines(host: WritableHost) -> None:
    file = "/etc/security/limits.d/99-trimtab.conf"
    for name, text in (("nofile", "65536"), ("memlock", "unlimited"), ("memlock", "8388608")):
        host_resources.write(host, f"limits:{name}", text)
        assert host_resources.is_same_text(
            f"limits:{name}", host_resources.read(host, f"limits:{name}"), text
        )
    lines = host.read(file).splitlines()
    assert "* hard nofile 65536" in lines
    assert "root soft memlock 8192" in lines, "in KiB there"
    host_resources.restore(host, "limits:nofile", None)
    assert "nofile" not in host.read(file)
    host_resources.restore(host, "limits:memlock", None)
    assert not host.exists(file)


def test_a_host_without_pam_limits_says_what_to_do(tmp_path: Path) -> None:
    host = tree(tmp_path / "host")
    host.remove("/etc/security/limits.d/10-own.conf")
    host.remove("/etc/security/limits.d")
    with pytest.raises(HostError, match="use --pid"):
        host_resources.write(host, "limits:nofile", "1")


def test_the_limit_of_a_real_process() -> None:
    if shutil.which("prlimit") is None:
        pytest.skip("prlimit is not installed: apt-get install util-linux")
    local = LocalHost()
    with subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
    ) as child:
        pid = str(child.pid)
        place = f"rlimit:{pid}:{start_ticks(local, pid)}:nofile"
        before = host_resources.read(local, place)
        assert before is not None
        host_resources.write(local, place, "100:200")
        assert host_resources.read(local, place) == "100:200"
        assert host_resources.read(local, f"rlimit:{pid}:1:nofile") is None, (
            "another process of that id"
        )
        child.kill()
        child.wait()
        assert host_resources.read(local, place) is None
        with pytest.raises(HostError, match="has ended"):
            host_resources.write(local, place, "100:200")


@pytest.mark.parametrize("place", ["", "relative", "http://x", "file:"])
def test_what_is_no_place_is_refused(place: str) -> None:
    with pytest.raises(HostError, match="must address one of"):
        host_resources.read(LocalHost(), place)
