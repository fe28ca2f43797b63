"""Leftovers: what is proven to be ours is ended, nothing else."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from trimtab.processes import procfs, recovery
from trimtab.processes.procfs import Stat
from trimtab.processes.recovery import (
    FILE,
    ServerRecord,
    boot_id,
    load,
    own_processes,
    reap_leftovers,
    record,
)

DEAD = (2**22 + 1, 1)
KEEPER = (100, 1000)
COOKIE = "c0" * 16
RUNNING = ServerRecord("boot", COOKIE, DEAD, KEEPER)


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        yield process
        process.kill()


def identity(process: "subprocess.Popen[bytes]") -> tuple[int, int]:
    stat = procfs.read(process.pid)
    assert stat is not None
    return stat.identity


def on_record(folder: Path, **changes: object) -> None:
    base = ServerRecord(boot_id(), "0" * 32, DEAD, DEAD)
    record(folder, replace(base, **changes))  # type: ignore[arg-type]


def test_a_process_on_record_is_ended(tmp_path: Path, sleeper: "subprocess.Popen[bytes]") -> None:
    (tmp_path / "starts" / "001").mkdir(parents=True)
    on_record(tmp_path / "starts" / "001", members=(identity(sleeper),))
    assert reap_leftovers(tmp_path) == (sleeper.pid,)
    assert sleeper.wait() == -9
    assert not list(tmp_path.rglob(FILE))


def test_another_process_with_a_recorded_id_is_left_alone(
    tmp_path: Path, sleeper: "subprocess.Popen[bytes]"
) -> None:
    pid, start = identity(sleeper)
    on_record(tmp_path, members=((pid, start + 1),), keeper=(pid, start + 1))
    assert reap_leftovers(tmp_path) == ()
    assert sleeper.poll() is None
    assert not (tmp_path / FILE).exists()


def test_a_record_of_another_boot_ends_nothing(
    tmp_path: Path, sleeper: "subprocess.Popen[bytes]"
) -> None:
    on_record(tmp_path, boot="another", members=(identity(sleeper),))
    assert reap_leftovers(tmp_path) == ()
    assert sleeper.poll() is None


def test_a_server_whose_owner_lives_is_left_alone(
    tmp_path: Path, sleeper: "subprocess.Popen[bytes]"
) -> None:
    on_record(tmp_path, owner=identity(sleeper), members=(identity(sleeper),))
    assert reap_leftovers(tmp_path) == ()
    assert sleeper.poll() is None
    assert (tmp_path / FILE).exists()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"format": 99}',
        '{"format": 1, "boot": "x", "cookie": "", "owner": 1}',
        json.dumps({"format": 1, **asdict(replace(RUNNING, cookie=""))}),
        json.dumps({"format": 1, **asdict(replace(RUNNING, cookie="x"))}),
        json.dumps({"format": 1, **asdict(RUNNING), "cookie": None}),
    ],
)
def test_a_damaged_record_is_removed(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    assert load(tmp_path / FILE) is None
    assert reap_leftovers(tmp_path) == ()
    assert not (tmp_path / FILE).exists()


def test_an_empty_cookie_matches_no_process() -> None:
    without = replace(RUNNING, cookie="", keeper=(100, 0))
    assert chosen(without, {}, process(7), process(8, ppid=7)) == []


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    running = replace(RUNNING, members=((1, 2), (3, 4)))
    record(tmp_path, running)
    assert load(tmp_path / FILE) == running
    assert json.loads((tmp_path / FILE).read_text())["format"] == recovery.FORMAT


def process(pid: int, *, ppid: int = 1, sid: int = 1, start: int = 2000) -> Stat:
    return Stat(pid, "x", "S", ppid, pid, sid, 0, 0, start)


def chosen(running: ServerRecord, cookies: Mapping[int, str], *processes: Stat) -> list[int]:
    table = {one.pid: one for one in processes}
    return [one.pid for one in own_processes(running, table, lambda pid: cookies.get(pid, ""))]


def test_the_cookie_proves_a_process_and_its_descendants() -> None:
    assert chosen(RUNNING, {7: COOKIE}, process(7), process(8, ppid=7), process(9)) == [7, 8]
    assert chosen(RUNNING, {7: "another"}, process(7), process(8, ppid=7)) == []


def test_a_session_is_ours_while_a_proven_process_is_in_it() -> None:
    title_overwrote_its_cookie = process(8, sid=KEEPER[0])
    assert chosen(RUNNING, {7: COOKIE}, process(7, sid=100), title_overwrote_its_cookie) == [
        7,
        8,
    ]
    # Without proof the session's number may be another's by now.
    assert chosen(RUNNING, {}, process(7, sid=100), process(8, sid=100)) == []


def test_a_session_is_ours_while_its_keeper_lives() -> None:
    keeper = process(100, sid=100, start=KEEPER[1])
    assert chosen(RUNNING, {}, keeper, process(8, ppid=100, sid=100)) == [8]
    younger = process(100, sid=100, start=KEEPER[1] + 1)
    assert chosen(RUNNING, {}, younger, process(8, ppid=100, sid=100)) == []


def test_nothing_older_than_the_keeper_is_ours() -> None:
    assert chosen(RUNNING, {7: COOKIE}, process(7, start=KEEPER[1] - 1)) == []
