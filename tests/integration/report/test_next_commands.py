"""What a study prints behind ``Next:`` runs when it is pasted into a shell."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.report.test_headline import pasted
from tests.unit.report.test_headline_agrees import WRITTEN
from trimtab.errors import BaselineFailedError, StudyError
from trimtab.model import StudyStatus
from trimtab.study import artifacts, tuning
from trimtab.study.progress import Reporter

TINY = """\
name: quick
input_tokens: 8
output_tokens: 8
arrival: {concurrency: 2}
warmup: 4
warmup_max: 4
windows: 2
window_requests: 8
max_seconds: 5
"""


def shell(line: str, folder: Path) -> str:
    """Run a line in a shell that finds this trimtab; fail where it does."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(
        ["sh", "-c", line],
        cwd=folder,
        env={**os.environ, "PATH": path, "COLUMNS": "80"},
        capture_output=True,
        text=True,
        timeout=300,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert ran.returncode == 0, f"{line}: {ran.stdout}{ran.stderr}"
    return ran.stdout


def dry(line: str) -> str:
    """Return a command that starts nothing."""
    name = shlex.split(line)[1]
    return line if name == "show" else f"{line} --dry-run"


@pytest.mark.parametrize(
    ("landscape", "budget", "status", "name"),
    [
        ("one-gain", 24, StudyStatus.RECOMMENDED, "show"),
        ("L2", 30, StudyStatus.PROMISING, "tune"),
        ("L0", 12, StudyStatus.NO_GAIN, "tune"),
    ],
)
def test_the_next_command_of_each_headline_runs(
    landscape: str, budget: int, status: StudyStatus, name: str, home: Path
) -> None:
    source = landscape
    if landscape in WRITTEN:
        source = f"{landscape}.yaml"
        (home / source).write_text(WRITTEN[landscape])
    said = shell(
        f"trimtab tune --engine simulated --landscape {source} --budget {budget} "
        "--seed 0 --study 'my study'",
        home,
    )
    lines = said.splitlines()
    assert (
        next(line for line in lines if line.startswith("Result:"))
        .split(None, 1)[1]
        .startswith(status.value)
    )
    line = pasted(lines)
    assert shlex.split(line)[:2] == ["trimtab", name]
    assert shell(dry(line), home)
    assert shell("trimtab show 'my study'", home)


def test_each_command_of_a_study_of_real_servers_runs(home: Path) -> None:
    (home / "quick.yaml").write_text(TINY)
    said = shell(
        "trimtab tune --engine scripted --workload quick.yaml --budget 8 --only max-num-seqs "
        "--shared-host --study 'my study'",
        home,
    )
    assert shell(dry(pasted(said.splitlines())), home)
    advice = artifacts.read(home / "my study", print).advice
    confirmations = dict(advice.confirm)
    assert "max" in confirmations
    for line in (advice.show, advice.use, advice.larger, *confirmations.values()):
        if line:
            assert shell(dry(line), home), line
    assert shell(f"{advice.show} --why max-num-seqs", home)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (BaselineFailedError("it failed"), "what it measured: trimtab show 'my study'"),
        (StudyError("full"), "go on with: trimtab tune --study 'my study' --resume"),
        (KeyboardInterrupt(), "go on with: trimtab tune --study 'my study' --resume"),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, BaseException) else "",
)
def test_a_study_that_cannot_go_on_is_not_to_be_resumed(
    error: BaseException, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    with pytest.raises(type(error)), tuning._hint(Path("my study"), Reporter(told.append)):
        raise error
    assert told == ["study: my study", said]
