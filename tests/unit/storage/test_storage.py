"""What lies in a study is acted upon only if nobody else could have written it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from trimtab.errors import StudyError
from trimtab.storage import atomic_files

ROOT = os.geteuid() == 0
STRANGER = 65534
needs_root = pytest.mark.skipif(not ROOT, reason="only root can give files away")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    (folder / "starts" / "001").mkdir(parents=True)
    (folder / "compiled" / "deep").mkdir(parents=True)
    for name in ("ledger.jsonl", "starts/001/plan.json", "compiled/deep/model.so"):
        (folder / name).write_text("x")
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


def require(study: Path) -> None:
    atomic_files.require_own(study, linked="compiled")


def test_a_folder_of_the_caller_is_taken(study: Path) -> None:
    require(study)
    require(study.parent / "not there yet")


@needs_root
@pytest.mark.parametrize(
    "name", [".", "starts", "starts/001/plan.json", "ledger.jsonl", "compiled/deep/model.so"]
)
def test_what_belongs_to_another_user_is_refused(study: Path, name: str) -> None:
    os.chown(study / name, STRANGER, STRANGER)
    with pytest.raises(StudyError, match=rf"belongs to user {STRANGER}, but you are user 0"):
        require(study)


@pytest.mark.parametrize("name", [".", "starts/001", "ledger.jsonl", "compiled/deep/model.so"])
def test_what_everybody_can_write_is_refused(study: Path, name: str) -> None:
    path = study / name
    path.chmod(stat.S_IMODE(path.stat().st_mode) | stat.S_IWOTH)
    with pytest.raises(StudyError, match="writable by every user"):
        require(study)


@needs_root
def test_what_a_group_with_others_can_write_is_refused(study: Path) -> None:
    os.chown(study / "ledger.jsonl", -1, STRANGER)
    require(study)  # it may read
    (study / "ledger.jsonl").chmod(0o664)
    with pytest.raises(StudyError, match="writable by a group"):
        require(study)


@pytest.mark.parametrize("name", ["report.html", "starts/001/engine.log", "starts/002", "export"])
def test_a_link_is_refused_even_a_dangling_one(study: Path, name: str) -> None:
    (study / name).symlink_to("/nowhere")
    with pytest.raises(StudyError, match="is a symbolic link"):
        require(study)


def test_links_in_what_engines_compile_are_usual(study: Path) -> None:
    (study / "compiled" / "deep" / "latest").symlink_to("model.so")
    require(study)
    with pytest.raises(StudyError, match="is a symbolic link"):
        atomic_files.require_own(study)


def test_a_pipe_is_refused_without_opening_it(study: Path) -> None:
    os.mkfifo(study / "starts" / "001" / "host.journal")
    with pytest.raises(StudyError, match="neither a file nor a folder"):
        require(study)


def test_a_link_to_the_study_is_the_study(study: Path) -> None:
    link = study.parent / "link"
    link.symlink_to(study)
    require(link)


def test_a_write_replaces_a_link_and_leaves_its_target(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("precious")
    (tmp_path / "plan.json").symlink_to(target)
    atomic_files.write(tmp_path / "plan.json", "{}")
    assert target.read_text() == "precious"
    assert not (tmp_path / "plan.json").is_symlink()
    assert (tmp_path / "plan.json").read_text() == "{}"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["plan.json", "precious"]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_modes_do_not_depend_on_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        atomic_files.write(tmp_path / "a", b"x")
        atomic_files.write(tmp_path / "b", b"x", mode=0o755)
        atomic_files.private_folder(tmp_path / "state")
        atomic_files.private_folder(tmp_path / "state")
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a", "b", "state")]
    assert modes == [0o644, 0o755, 0o700]


def test_what_was_there_stays_if_the_write_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_text("before")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        atomic_files.write(path, "after")
    assert [one.name for one in tmp_path.iterdir()] == ["a"]
    assert path.read_text() == "before"


def test_a_private_folder_is_never_anothers(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "file").write_text("")
    for name in ("link", "file"):
        with pytest.raises(StudyError, match="must be a folder of your own"):
            atomic_files.private_folder(tmp_path / name)


def test_the_umask_keeps_others_from_writing() -> None:
    before = os.umask(0o000)
    try:
        atomic_files.restrict_umask()
        assert os.umask(0) == 0o022
        os.umask(0o077)
        atomic_files.restrict_umask()
        assert os.umask(0) == 0o077
    finally:
        os.umask(before)


@needs_root
def test_root_acts_on_no_other_users_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SUDO_UID", raising=False)
    path = tmp_path / "profile.yaml"
    path.write_text("x")
    atomic_files.require_trusted(path)
    os.chown(path, STRANGER, STRANGER)
    link = tmp_path / "link.yaml"
    link.symlink_to(path)
    for one in (path, link):
        with pytest.raises(StudyError, match=f"{one} belongs to user {STRANGER}.*copy it"):
            atomic_files.require_trusted(one)
    monkeypatch.setenv("SUDO_UID", str(STRANGER))  # who typed sudo could have typed its content
    atomic_files.require_trusted(path)


def test_nobody_acts_on_what_all_can_write(tmp_path: Path) -> None:
    path = tmp_path / "profile.yaml"
    path.write_text("x")
    path.chmod(0o666)
    with pytest.raises(StudyError, match="writable by every user"):
        atomic_files.require_trusted(path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StudyError, match="neither a file nor a folder"):
        atomic_files.require_trusted(tmp_path / "pipe")
    atomic_files.require_trusted(tmp_path / "missing")  # whoever reads it says so


@needs_root
@pytest.mark.parametrize("name", ["", "journal.jsonl"])
def test_a_strangers_journal_is_not_acted_upon(tmp_path: Path, name: str) -> None:
    journal = tmp_path / "host" / "journal.jsonl"
    atomic_files.require_own_journal(journal)
    journal.parent.mkdir()
    atomic_files.require_own_journal(journal)
    journal.write_text("{}\n")
    os.chown(journal.parent / name, STRANGER, STRANGER)
    with pytest.raises(StudyError, match=f"belongs to user {STRANGER}"):
        atomic_files.require_own_journal(journal)


def test_a_journal_is_a_plain_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("{}\n")
    (tmp_path / "journal.jsonl").symlink_to("elsewhere")
    with pytest.raises(StudyError, match="is a symbolic link"):
        atomic_files.require_own_journal(tmp_path / "journal.jsonl")
    os.mkfifo(tmp_path / "run.journal")
    with pytest.raises(StudyError, match="neither a file nor a folder"):
        atomic_files.require_own_journal(tmp_path / "run.journal")
