"""``trimtab prepare`` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from trimtab.cli.app import app
from trimtab.errors import UsageError

HOSTS = Path(__file__).parents[2] / "hosts"


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["prepare", *words])


def test_check_of_a_captured_machine_says_what_is_missing() -> None:
    done = run("--check", "--snapshot", str(HOSTS / "a2-openeuler"))
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    assert lines[0] == "ascend-a2 on openeuler 22.03, aarch64"
    assert "satisfied       8 chips (A2)" in lines[2]
    assert lines[-1] == "2 satisfied, 3 missing, 2 unknown, 1 not applicable"


def test_check_as_json() -> None:
    done = run("--check", "--json", "--snapshot", str(HOSTS / "cuda"))
    data = json.loads(done.stdout)
    assert data["target"] == "cuda"
    assert [one["name"] for one in data["steps"]][:2] == ["devices", "os-mirror"]
    assert {"state", "sentence", "reason"} <= data["steps"][0].keys()


@pytest.mark.parametrize(
    ("only", "code"), [("package-index", 0), ("devices", 0), ("os-packages", 3), ("engine", 1)]
)
def test_exit_codes(only: str, code: int) -> None:
    assert run("--check", "--only", only, "--snapshot", str(HOSTS / "a3")).exit_code == code


def test_a_dry_run_shows_the_commands_and_the_refusals() -> None:
    done = run("--dry-run", "--snapshot", str(HOSTS / "k8s-pod"))
    assert done.exit_code == 0
    assert "    /usr/bin/python3 -m venv --system-site-packages /opt/vllm\n" in done.stdout
    done = run("--dry-run", "--json", "--snapshot", str(HOSTS / "a3"))
    assert done.exit_code == 1
    engine = next(one for one in json.loads(done.stdout)["steps"] if one["name"] == "engine")
    assert "no builds for Python 3.12" in engine["refusal"]


def test_undo_of_nothing(home: Path) -> None:
    done = run("--undo")
    assert done.exit_code == 0
    assert done.stdout == "there is nothing to undo\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--check", "--undo"], "--check and --undo must not be given together"),
        (["--check", "--only", "nothing"], "--only must be one of devices, os-mirror"),
        (["--snapshot", str(HOSTS / "a3")], "--snapshot shows a captured machine"),
        (["--check", "--target", "a2"], "--target must be one of ascend-a2"),
        (["--check", "--mirror", "mirror"], "--mirror must be an address"),
        (["--check", "--models", "x"], "--models must be huggingface or modelscope"),
        (["--check", "--release", "1.0"], "--release must be one of 0.23.0"),
        (["--check", "--environment", "opt"], "--environment must be an absolute folder"),
        (["--emit", "helm"], "--emit must be dockerfile or shell"),
    ],
)
def test_usage(words: list[str], said: str) -> None:
    done = run(*words)
    assert isinstance(done.exception, UsageError)
    assert said in str(done.exception)


def test_emit_prints_the_file_alone() -> None:
    done = run("--target", "ascend-a3", "--emit", "dockerfile", "--base", "openeuler")
    assert done.exit_code == 0
    assert done.stdout.startswith("# ascend-a3 on openeuler 24.03, written by trimtab")
