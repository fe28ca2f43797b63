"""Applied settings: exactly back, whatever happens in between, on a machine that is a tree."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trees import (
    HOSTS,
    IRQ,
    KEEPS_NOTHING,
    SWAPS,
    THP,
    UNIT,
    WRITES,
    WritableHost,
    reboot,
    tree,
)
from trimtab.errors import HostError, SettingRefusedError, UsageError
from trimtab.host import SnapshotHost
from trimtab.host_settings import applied_settings as held
from trimtab.host_settings import plan, render
from trimtab.host_settings.applied_settings import SettingState
from trimtab.host_settings.journal import JournalState, PendingRestore, erase_if_done, load, note
from trimtab.host_settings.transaction import recover, temporary_writes
from trimtab.model import HostWrite

ROOT = Path(__file__).parents[3]
SWAPPINESS = "/proc/sys/vm/swappiness"
ONE = HostWrite(SWAPPINESS, "1")


class Box:
    """A tree with its journal and lock."""

    def __init__(self, folder: Path) -> None:
        self.host: WritableHost = tree(folder / "host")
        self.before = self.host.image()
        self.folder, self.lock = folder / "var" / "lib" / "state", folder / "lock"

    def apply(self, *writes: HostWrite, label: str = "test") -> None:
        held.apply(
            writes,
            self.host,
            label=label,
            folder=self.folder,
            lock=self.lock,
            clock=lambda: datetime(2026, 1, 2, tzinfo=UTC),
        )

    def rollback(self, *, force: bool = False, forget: bool = False) -> tuple[str, ...]:
        return held.rollback(
            self.host, force=force, forget=forget, folder=self.folder, lock=self.lock
        )

    def status(self) -> held.HostStatus:
        return held.status(self.host, folder=self.folder)

    def standing(self, place: str) -> SettingState:
        return {one.place: one.standing for one in self.status().settings}[place]

    def is_as_before(self) -> bool:
        return self.host.image() == self.before and not (self.folder / held.JOURNAL).exists()


class Damaged:
    """A captured machine, not to be written, with a journal of one write of every kind."""

    def __init__(self, folder: Path) -> None:
        self.host = SnapshotHost(HOSTS / "a2-openeuler")
        self.folder, self.lock = folder / "state", folder / "lock"
        self.folder.mkdir()
        self.journal = self.folder / held.JOURNAL
        note(self.journal, {**APPLY, "writes": [asdict(one) for one in WRITES]})
        for one in WRITES:
            entry = {"do": "write", "path": one.path, "before": None, "after": one.text}
            note(self.journal, entry)


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def test_applied_stands_and_goes_back_byte_for_byte(box: Box) -> None:
    assert box.status().nothing
    box.apply(*WRITES)
    status = box.status()
    assert status.stands
    assert (status.label, status.at) == ("test", "2026-01-02T00:00:00+00:00")
    assert [one.place for one in status.settings] == [one.path for one in WRITES]
    assert box.host.read("/proc/swaps") == SWAPS
    assert box.host.read("/run/irqbalance") == "inactive\n"
    assert box.folder.stat().st_mode & 0o777 == 0o700
    assert (box.folder / held.JOURNAL).stat().st_mode & 0o777 == 0o600
    assert box.rollback() == ()
    assert box.is_as_before()
    assert box.status().nothing
    assert box.rollback() == ()


@pytest.fixture
def fast(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory if there is one: the steps wait for the disk some thousand times."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory, prefix="trimtab-") as folder:
        yield Path(folder)


@pytest.mark.parametrize("operation", ["apply", "rollback", "replace"])
def test_killed_at_every_step_nothing_is_lost(operation: str, fast: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.killing", str(fast), operation],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    # Each write has an entry (torn, whole, on disk) and at least one change, before and after.
    assert int(done.stdout) > 4 * len(WRITES)


def test_what_had_the_value_already_is_not_ours(box: Box) -> None:
    box.apply(HostWrite(THP, "madvise"), ONE)
    (thp, swappiness) = box.status().settings
    assert not thp.journalled
    assert swappiness.journalled
    box.host.write(THP, "never")
    assert box.standing(THP) is SettingState.CHANGED
    assert box.rollback() == ()
    assert box.host.read(THP) == "always madvise [never]\n"


def test_a_refused_write_takes_all_back(box: Box) -> None:
    with pytest.raises(SettingRefusedError, match="Invalid argument; all was put back"):
        box.apply(*WRITES, HostWrite("/sys/kernel/mm/transparent_hugepage/defrag", "sometimes"))
    assert box.is_as_before()


def test_what_somebody_else_changed_is_left_unless_told_otherwise(box: Box) -> None:
    box.apply(*WRITES)
    box.host.write(SWAPPINESS, "42")
    box.host.install(UNIT, b"theirs")
    assert box.standing(SWAPPINESS) is SettingState.CHANGED
    assert not box.status().stands
    said = box.rollback()
    assert len(said) == 2
    assert "was left at '42': somebody changed it" in said[0]
    assert box.host.read(SWAPPINESS) == "42\n"
    status = box.status()
    assert status.undoing
    assert {one.place for one in status.settings} == {SWAPPINESS, f"file:{UNIT}"}
    assert len(box.rollback()) == 2
    assert box.rollback(force=True) == ()
    assert box.is_as_before()


def test_forgotten_is_left_for_good(box: Box) -> None:
    box.apply(ONE, HostWrite(IRQ, "0"))
    box.host.write(SWAPPINESS, "42")
    assert len(box.rollback(forget=True)) == 1
    assert box.status().nothing
    assert box.host.read(SWAPPINESS) == "42\n"
    assert box.host.read(IRQ) == "0-1\n"


def test_a_second_apply_goes_back_to_the_beginning(box: Box) -> None:
    box.apply(*WRITES, label="first")
    box.apply(HostWrite(SWAPPINESS, "0"), label="second")
    status = box.status()
    assert status.label == "second"
    assert status.stands
    assert [one.place for one in status.settings] == [SWAPPINESS]
    assert box.host.read(IRQ) == "0-1\n"
    assert box.rollback() == ()
    assert box.is_as_before()


def test_a_second_apply_takes_what_somebody_else_set_for_what_was_before(box: Box) -> None:
    box.apply(ONE)
    box.host.write(SWAPPINESS, "42")
    box.apply(HostWrite(SWAPPINESS, "0"))
    assert box.rollback() == ()
    assert box.host.read(SWAPPINESS) == "42\n"


def test_a_second_apply_does_not_override_somebody_else(box: Box) -> None:
    box.apply(ONE, HostWrite(IRQ, "0"))
    box.host.write(IRQ, "1")
    with pytest.raises(HostError, match="rollback --force"):
        box.apply(ONE)
    assert box.host.read(IRQ) == "1\n"


def test_a_reboot_ends_kernel_settings_and_that_is_no_fault(box: Box) -> None:
    box.apply(*KEEPS_NOTHING[2:])
    reboot(box.host, **{SWAPPINESS: "60\n", THP: "always [madvise] never\n", IRQ: "0-1\n"})
    box.host.lay("/proc/swaps", box.before["/proc/swaps"][2:-1].encode().decode("unicode_escape"))
    assert box.standing(SWAPPINESS) is SettingState.REBOOT
    assert not box.status().stands
    assert box.rollback() == ()
    assert box.host.read(SWAPPINESS) == "60\n"
    assert box.status().nothing


def test_after_a_reboot_the_same_can_be_applied_again(box: Box) -> None:
    box.apply(ONE)
    reboot(box.host, **{SWAPPINESS: "60\n"})
    box.apply(ONE)
    assert box.status().stands
    box.rollback()
    assert box.host.read(SWAPPINESS) == "60\n"


def test_what_files_make_again_after_a_reboot_is_taken_back(box: Box) -> None:
    made = plan.keep("sysctl", [ONE, HostWrite(THP, "always")], "test", box.host)
    assert [one.path for one, _ in made.left_out] == [THP]
    before = box.host.read(SWAPPINESS)
    box.apply(*made.writes, ONE, HostWrite(THP, "always"))
    reboot(box.host, **{SWAPPINESS: "1\n", THP: "always [madvise] never\n"})
    assert box.standing(SWAPPINESS) is SettingState.HOLDS
    assert box.standing(THP) is SettingState.REBOOT
    assert box.rollback() == ()
    assert box.host.read(SWAPPINESS) == before
    assert (
        box.host.read("/etc/sysctl.d/99-trimtab.conf") == "# somebody's own\nvm.swappiness = 30\n"
    )


def test_an_apply_that_was_killed_shows(box: Box) -> None:
    box.apply(ONE, HostWrite(IRQ, "0"))
    journal = box.folder / held.JOURNAL
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:-1]) + lines[-1][:5])
    box.host.write(IRQ, "0-1")
    status = box.status()
    assert not status.complete
    assert box.standing(IRQ) is SettingState.UNMADE
    assert box.rollback() == ()
    assert box.is_as_before()


WRITE = {"do": "write", "path": SWAPPINESS, "before": "10\n", "after": "1", "boot": ""}
APPLY = {"do": "apply", "label": "x", "writes": [{"path": SWAPPINESS, "text": "1"}]}


@pytest.mark.parametrize(
    "line",
    [
        b"garbage",
        bytes(range(1, 10)) + b"\xff\xfe",
        b"\0" * 40,
        b"",
        b"[" * 100_000,
        b"7",
        b'{"do":"writ',
        *(
            json.dumps(one).encode()
            for one in (
                {"do": "written"},
                {"do": ["write"]},
                {**WRITE, "path": 7},
                {**WRITE, "path": "vm.swappiness"},
                {**WRITE, "path": "/proc/sys/vm/swap\0piness"},
                {**WRITE, "path": "rlimit:12:nofile"},
                {**WRITE, "path": "rlimit:1:2:core"},
                {**WRITE, "before": 10},
                {**WRITE, "after": "\ud800"},
                {**WRITE, "boot": 7},
                {"do": "write", "path": SWAPPINESS, "after": "1"},
                {"do": "restored"},
                {"do": "apply", "label": "x"},
                {**APPLY, "writes": 5},
                {**APPLY, "writes": ["x"]},
                {**APPLY, "writes": [{"x": 1}]},
                {**APPLY, "writes": [{"path": SWAPPINESS, "text": 1}]},
                {**APPLY, "label": None},
            )
        ),
    ],
    ids=lambda line: repr(line[:40]),
)
@pytest.mark.parametrize("where", ["alone", "before", "after"])
def test_a_damaged_journal_is_one_line_and_nothing_is_done(
    line: bytes, where: str, box: Box
) -> None:
    box.apply(ONE)
    journal = box.folder / held.JOURNAL
    whole = b"" if where == "alone" else journal.read_bytes()
    damaged = line + b"\n" + whole if where == "before" else whole + line + b"\n"
    journal.write_bytes(damaged)
    now = box.host.image()
    number = 4 if where == "after" else 1
    told = rf"line {number} of the journal {journal} must be .* by hand.*\(mv {journal} "
    for act in (
        box.rollback,
        lambda: box.rollback(force=True),
        lambda: box.apply(HostWrite(THP, "always")),
        box.status,
        lambda: recover(journal, box.host, lock=box.lock, erase=True),
    ):
        with pytest.raises(HostError, match=told) as caught:
            act()
        assert "\n" not in str(caught.value)
    assert box.host.image() == now
    assert journal.read_bytes() == damaged


@pytest.mark.parametrize("entry", [WRITE, {**APPLY, "at": "\u00e9"}, {"do": "applied"}])
def test_what_an_interrupted_append_leaves_is_skipped_and_cut_off(
    entry: dict[str, object], tmp_path: Path
) -> None:
    """Every beginning of an entry; the same line with its end is damage."""
    first = {**WRITE, "path": THP}
    whole = tmp_path / "whole"
    note(whole, first)
    before = whole.read_bytes()
    note(whole, entry)
    line = whole.read_bytes().removeprefix(before)
    torn = tmp_path / "torn"
    for length in range(len(line) - 1):
        torn.write_bytes(before + line[:length])
        assert load(torn) == JournalState((PendingRestore(THP, "10\n", ("1",)),))
        note(torn, entry)
        assert torn.read_bytes() == whole.read_bytes()
        torn.write_bytes(before + line[:length] + b"\n")
        with pytest.raises(HostError, match="line 2"):
            load(torn)
    torn.write_bytes((before + line)[:-1])
    assert load(torn) == load(whole)
    note(torn, {"do": "applied"})
    assert torn.read_bytes() == before + line + b'{"do":"applied"}\n'


@pytest.mark.parametrize("end", [b"garbage", b'{"do":"zzz', b'{"do":"write","path":7}', b"\0"])
def test_nothing_is_written_after_an_end_that_is_no_torn_entry(end: bytes, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    note(journal, WRITE)
    damaged = journal.read_bytes() + end
    journal.write_bytes(damaged)
    for act in (
        lambda: note(journal, WRITE),
        lambda: load(journal),
        lambda: erase_if_done(journal),
    ):
        with pytest.raises(HostError, match="line 2"):
            act()
    assert journal.read_bytes() == damaged


def test_no_entry_is_written_that_could_not_be_read_back(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="must name a place"):
        note(tmp_path / "journal", {**WRITE, "path": "swap:/with\nnewline"})
    assert not (tmp_path / "journal").exists()


@hypothesis.settings(max_examples=150)
@given(data=st.data())
def test_whatever_happens_to_a_journal_it_is_understood_or_left(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        box = Damaged(Path(folder))
        whole = box.journal.read_bytes()
        start = data.draw(st.integers(0, len(whole)))
        end = data.draw(st.integers(start, min(len(whole), start + 60)))
        damaged = whole[:start] + data.draw(st.binary(max_size=8)) + whole[end:]
        box.journal.write_bytes(damaged)
        try:
            load(box.journal)
        except HostError:
            with pytest.raises(HostError, match="journal"):
                held.rollback(box.host, force=True, folder=box.folder, lock=box.lock)
            assert box.journal.read_bytes() == damaged
            return
        held.status(box.host, folder=box.folder)


def test_a_running_study_keeps_an_apply_out_and_the_other_way_round(box: Box) -> None:
    study = box.folder.parent / "study.journal"
    study.parent.mkdir(parents=True)
    with temporary_writes((HostWrite(THP, "always"),), box.host, study, lock=box.lock):
        with pytest.raises(HostError, match="another trimtab is changing this host"):
            box.apply(ONE)
        with pytest.raises(HostError, match="another trimtab"):
            held.apply((ONE,), box.host, label="x", folder=box.folder, lock=box.lock)
    assert box.is_as_before()
    box.apply(ONE)
    with (
        temporary_writes((HostWrite(SWAPPINESS, "0"),), box.host, study, lock=box.lock),
        pytest.raises(HostError, match="another trimtab"),
    ):
        box.rollback()
    assert box.status().stands, "a study puts back what it found"
    assert box.rollback() == ()


def test_two_applies_at_once_are_one(tmp_path: Path) -> None:
    """A real second process: the first holds the lock inside its apply."""
    box = Box(tmp_path)
    code = (
        "import sys; from pathlib import Path\n"
        "from trimtab.host_settings.transaction import host_lock\n"
        "with host_lock(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(box.lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(HostError, match="another trimtab"):
            box.apply(ONE)
        other.kill()
    box.apply(ONE)
    box.rollback()
    assert box.is_as_before()


@pytest.mark.parametrize("form", sorted(plan.FORMS))
def test_every_form_is_removed_again(form: str, box: Box) -> None:
    settings = (ONE, HostWrite(THP, "always"))
    made = plan.keep(form, settings, "profile proven", box.host)
    box.apply(*made.writes, *settings)
    assert box.status().stands
    text = "".join(one.text for one in made.writes)
    assert "profile proven" in text
    assert "trimtab host rollback" in text
    assert box.rollback() == ()
    assert box.is_as_before()


def test_the_tuned_profile_joins_the_active_one(box: Box) -> None:
    made = {one.path: one.text for one in plan.keep("tuned", [ONE], "x", box.host).writes}
    assert made["file:/etc/tuned/active_profile"] == "balanced trimtab\n"
    assert render.parse_tuned_profile(made["file:/etc/tuned/trimtab/tuned.conf"]) == (ONE,)


def test_a_host_without_tuned_says_so(tmp_path: Path) -> None:
    host = tree(tmp_path / "host")
    for name in ("active_profile", "profile_mode"):
        host.remove(f"/etc/tuned/{name}")
    host.remove("/etc/tuned")
    with pytest.raises(HostError, match="install tuned"):
        plan.keep("tuned", [ONE], "x", host)
    with pytest.raises(UsageError, match="must be one of sysctl, systemd, tuned"):
        plan.keep("fstab", [ONE], "x", host)


def test_the_journal_of_the_first_format_is_read(box: Box) -> None:
    box.folder.mkdir(parents=True)
    entry = {"do": "write", "path": SWAPPINESS, "before": "10\n", "after": "1"}
    (box.folder / held.JOURNAL).write_text(json.dumps(entry) + "\n")
    box.host.write(SWAPPINESS, "1")
    assert box.status().label == "?"
    assert box.rollback() == ()
    assert box.host.read(SWAPPINESS) == "10\n"


def test_a_disk_that_is_full_stops_before_the_write(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("trimtab.host_settings.journal.os.write", full)
    with pytest.raises(HostError, match="No space left"):
        box.apply(ONE)
    monkeypatch.undo()
    assert box.host.read(SWAPPINESS) == box.before[SWAPPINESS][2:-3] + "\n"
    assert box.rollback() == ()
    assert box.is_as_before()
