"""Reading /proc: identities, descendants, CPU time."""

import os
import sys

import pytest

from trimtab.processes import procfs
from trimtab.processes.procfs import Stat, descendants, parse_stat

LINE = (
    "4153 (VLLM::Engine) (x) S 4080 4070 4060 0 -1 4194304 100 200 0 0 250 50 30 20 20 0 6 0 "
    "123456 1000 200 18446744073709551615 0 0"
)


def stat(pid: int, ppid: int) -> Stat:
    return Stat(pid, "x", "S", ppid, pid, pid, own=10, reaped=1, start=pid)


def test_a_line_of_stat_is_parsed_whatever_the_name() -> None:
    found = parse_stat(LINE)
    assert found == Stat(4153, "VLLM::Engine) (x", "S", 4080, 4070, 4060, 300, 50, 123456)
    assert found.identity == (4153, 123456)
    assert found.alive


@pytest.mark.parametrize("state", ["Z", "X"])
def test_a_zombie_does_not_live(state: str) -> None:
    assert not parse_stat(LINE.replace(" S ", f" {state} ")).alive


@pytest.mark.parametrize("text", ["", "4153 (x) S 1 2", "x (y) S " + "0 " * 30])
def test_another_line_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="22 fields"):
        parse_stat(text)


def test_descendants_come_after_their_parents() -> None:
    tree = {one.pid: one for one in (stat(5, 4), stat(4, 2), stat(2, 1), stat(9, 8), stat(3, 2))}
    assert [one.pid for one in descendants(2, tree)] == [4, 3, 5]
    assert descendants(5, tree) == []


def test_cpu_time_counts_ended_children() -> None:
    assert procfs.cpu_ticks([stat(1, 0), stat(2, 1)]) == 22


def test_this_process_is_found() -> None:
    own = procfs.read(os.getpid())
    assert own is not None
    assert own.ppid == os.getppid()
    assert own.sid == os.getsid(0)
    assert procfs.snapshot()[os.getpid()].identity == own.identity
    assert procfs.environment(os.getpid()).get("PATH") == os.environ["PATH"]
    assert list(procfs.cmdline(os.getpid())) == sys.orig_argv


def test_no_process_is_none_and_empty() -> None:
    gone = 2**22 + 1  # above the kernel's largest process id
    assert procfs.read(gone) is None
    assert procfs.cmdline(gone) == ()
    assert procfs.environment(gone) == {}
