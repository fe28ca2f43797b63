"""The preparation on real systems: this machine's check, and a fresh root file system."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.cli import trimtab

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[2]
ASKED = "TRIMTAB_TEST_ROOTFS"


def test_check_of_this_machine(tmp_path: Path) -> None:
    done = trimtab("prepare", "--check", "--json", "--target", "cpu", cwd=tmp_path)
    data = done.json()
    assert len(data["steps"]) == 8
    states = {one["state"] for one in data["steps"]}
    wanted = 1 if "missing" in states else 3 if "unknown" in states else 0
    assert done.code == wanted


def test_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    state = tmp_path / "state"
    before = {path: path.stat().st_mtime_ns for path in Path("/etc/apt").rglob("*")}
    words = ("prepare", "--dry-run", "--target", "cpu", "--mirror", "http://mirror.example")
    trimtab(*words, cwd=tmp_path, XDG_STATE_HOME=str(state))
    assert {path: path.stat().st_mtime_ns for path in Path("/etc/apt").rglob("*")} == before
    assert not state.exists()


@pytest.mark.timeout(3600)
def test_a_fresh_root_file_system_becomes_a_server_that_answers(tmp_path: Path) -> None:
    if not os.environ.get(ASKED):
        pytest.skip(f"takes longer than 3 minutes and 1.5 GB of wheels: set {ASKED}=1 to run it")
    lacking = [one for one in ("debootstrap", "podman", "runc") if not _has(one)]
    if lacking or os.geteuid() != 0:
        pytest.skip(f"needs root and: apt-get install {' '.join(lacking)}")
    index = os.environ.get("INDEX_OF_TORCH")
    given = () if index is None else ("--torch-index", index)
    words = [
        sys.executable,
        str(ROOT / "scripts" / "prepare_rootfs.py"),
        "--folder",
        str(tmp_path),
    ]
    done = subprocess.run([*words, *given], check=False, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0
    assert "4/4 asked for a completion: '" in done.stdout
    assert list(tmp_path.iterdir()) == []


def _has(program: str) -> bool:
    return shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is not None
