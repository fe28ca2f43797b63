"""``--json`` of every command: the object of docs/json.md, alone on standard output."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from tests.contracts.machines import HOSTS
from tests.json_page import commands, events
from tests.servers.profiles import written
from tests.support.show_samples import PROFILE
from trimtab.cli import terminal
from trimtab.cli.app import app
from trimtab.errors import UsageError
from trimtab.model import (
    Comparison,
    Design,
    Effect,
    Outcome,
    Phase,
    Plan,
    Settings,
    Start,
    StartRequest,
)
from trimtab.study.progress import EventDisplay

PAGE = commands()
SNAPSHOT = ("--snapshot", str(HOSTS / "a2-openeuler"))
CASES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("tune --dry-run", ("tune", "--engine", "simulated", "--landscape", "L1", "--dry-run")),
    ("lint", ("lint", "serve.sh")),
    ("doctor", ("doctor", *SNAPSHOT)),
    ("diff", ("diff", "serve.sh", "image-cpu")),
    ("catalog", ("catalog", "--layer", "hccl")),
    ("catalog --rules", ("catalog", "--rules")),
    ("prepare", ("prepare", "--check", *SNAPSHOT)),
    ("prepare --dry-run", ("prepare", "--dry-run", *SNAPSHOT)),
    ("export", ("export", "--preset", "guide", *SNAPSHOT, "--format", "sysctl")),
    ("export", ("export", "--preset", "guide", *SNAPSHOT, "--format", "sysctl", "--output", "x")),
    ("host plan", ("host", "plan", "--preset", "guide", *SNAPSHOT)),
    ("host plan", ("host", "plan", "--preset", "guide", "--snapshot", str(HOSTS / "k8s-pod"))),
    ("host status", ("host", "status", "--state", "state")),
    ("host status", ("host", "verify", "--state", "state")),
    ("host rollback", ("host", "rollback", "--state", "state")),
    ("engine list", ("engine", "list")),
    ("python list", ("python", "list")),
    ("python verify", ("python", "verify", "/usr/bin/python3", "--pairs", "0")),
)
ELSEWHERE = {
    "tune": "tests/unit/study/test_show.py",
    "show --why": "tests/unit/study/test_show.py",
    "bench": "tests/e2e/test_measure.py",
    "compare": "tests/e2e/test_measure.py",
    "capacity": "tests/e2e/test_measure.py",
    "doctor --profile": "below",
    "run --json FILE": "below",
    "python build": "below",
    "oracle check": "below",
    "bench --dry-run": "test_measured_server.py",
    "oracle binding": "the vendors' wheels",
}


@pytest.fixture(autouse=True)
def folder(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    Path("serve.sh").write_text("export HCCL_BUFFSIZE=0\nvllm serve m\n")
    yield
    terminal.choose()


def test_every_section_of_the_page_is_held_by_a_test() -> None:
    assert set(PAGE) == {name for name, _ in CASES} | set(ELSEWHERE)


def test_every_command_with_json_has_a_section() -> None:
    def paths(command: Any, path: tuple[str, ...] = ()) -> list[str]:
        below = getattr(command, "commands", {})
        found = [name for key, sub in below.items() for name in paths(sub, (*path, key))]
        own = any("--json" in param.opts for param in command.params)
        return [*found, " ".join(path)] if own else found

    titles = " ".join(PAGE) + " show host apply host verify python fetch"
    for path in paths(typer.main.get_command(app)):
        assert path in titles, f"docs/json.md has no section for trimtab {path}"


@pytest.mark.parametrize(("title", "words"), CASES, ids=[" ".join(words) for _, words in CASES])
def test_the_object_is_as_the_page_says(title: str, words: tuple[str, ...]) -> None:
    ran = CliRunner().invoke(app, [*words, "--json"])
    if ran.exception is not None and not isinstance(ran.exception, SystemExit):
        raise ran.exception
    PAGE[title].require(json.loads(ran.stdout))
    for line in ran.stderr.splitlines():
        assert {"event", "format", "time"} <= set(json.loads(line)), line


def test_the_evidence_of_a_server(tmp_path: Path) -> None:
    plan = Plan((), Settings(("vllm", "serve", "m")))
    path = written(replace(PROFILE, answers=(), risks={}, plan=plan), tmp_path)
    words = ["doctor", "--pid", str(os.getpid()), "--profile", str(path), "--json"]
    PAGE["doctor --profile"].require(json.loads(CliRunner().invoke(app, words).stdout))
    from trimtab.run import comparability

    PAGE["run --json FILE"].require(comparability.as_data("proven", plan, (), ()))


def test_a_python_on_record(capsys: pytest.CaptureFixture[str]) -> None:
    from trimtab.cli.python import _made
    from trimtab.interpreters.store import Record

    _made(Record("3.11-pgo", "built", "3.11.15", {}), as_json=True)
    PAGE["python build"].require(json.loads(capsys.readouterr().out))


def test_replies_of_the_oracle(capsys: pytest.CaptureFixture[str]) -> None:
    from trimtab.oracle import output

    terminal.print_json(output.as_data(()))
    PAGE["oracle check"].require(json.loads(capsys.readouterr().out))


def test_a_failure_leaves_standard_output_empty() -> None:
    ran = CliRunner().invoke(app, ["diff", "serve.sh", "nowhere.sh", "--json"])
    assert isinstance(ran.exception, UsageError)
    assert ran.stdout == ""


def test_events_have_the_keys_of_the_page() -> None:
    request = StartRequest(Phase.SCREEN, 0, "row 1", (), 1)
    measured = Start(1, request, "d", Outcome.MEASURED, {"ttft_p99": 0.1}, detail="slow")
    leader = Comparison("row 1", "ttft_p99", 1.0, 1.1, Effect(1.1, 1.0, 1.2, 0.01, 4))
    stream = io.StringIO()
    made = EventDisplay(stream, "ttft_p99")
    made.begin_study(Design(8, 16, 9, 2, 27.5, ("a", "b"), (), 0.04, 0.058))
    made.expect(4, 0)
    made.begin_start(1, request)
    made.state("load")
    made.end_start(measured)
    made.best(leader)
    made.note("x")
    made.error("x", 2)
    shared = {"event", "format", "time"}
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert {(line["event"], frozenset(set(line) - shared)) for line in lines} == events()
