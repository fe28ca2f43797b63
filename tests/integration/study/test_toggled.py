"""A live tuning in a real start: it alternates under the load, and nothing is left behind."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from trimtab.catalog import CATALOG, Source, Tuning
from trimtab.errors import HostError
from trimtab.host import LocalHost
from trimtab.host_settings.transaction import pending_places, recover, temporary_writes
from trimtab.knobs import Sysfs
from trimtab.model import (
    CheckOutcome,
    Outcome,
    Phase,
    RestartCost,
    Risk,
    RiskLevel,
    Scope,
    Start,
    StartRequest,
    candidate,
)
from trimtab.study import folder as study
from trimtab.study.executors import live as trial
from trimtab.study.options import Options
from trimtab.study.progress import SilentDisplay
from trimtab.study.session import Session
from trimtab.study.signals import Stop

NAME = "fake-setting"
JOURNAL = "host.journal"


class Recorder(LocalHost):
    """The machine, with every write to it kept; ``at_write`` is called after each."""

    def __init__(self, at_write: Callable[[int, str], None] = lambda count, path: None) -> None:
        self.written: list[str] = []
        self._at_write = at_write

    def write(self, path: str, text: str) -> None:
        super().write(path, text)
        self.written.append(text)
        self._at_write(len(self.written), path)


def setting(folder: Path) -> Path:
    return folder / "setting"


def opened(folder: Path, host: LocalHost) -> Session:
    """Open a session whose catalogue has one more tuning: a file in ``folder``, stock 60."""
    tuning = Tuning(
        name=NAME,
        layer="kernel",
        summary="A setting of the kernel that is a plain file.",
        knob=Sysfs(str(setting(folder)), int),
        values=(None, 1),
        stock="60",
        risk=Risk(RiskLevel.NONE, "None."),
        sources=(Source("this test", "tests"),),
        scope=Scope.HOST,
        restart=RestartCost.LIVE,
    )
    asked = Options(engine="scripted", shared_host=True)
    session = study.resolve(asked, lambda said: None)
    patient = session.workload.model_copy(update={"request_deadline": 120.0})
    return replace(session, host=host, workload=patient, catalog={**CATALOG, NAME: tuning})


def run(folder: Path, host: LocalHost, block: int = 0, stop: Stop | None = None) -> Start:
    session = opened(folder, host)
    values = candidate({NAME: 1})
    request = StartRequest(Phase.HOST, block, f"{NAME}=1", values, 7, live=NAME)
    return trial.run_trial(
        session, request, 1, folder / "starts" / "001", SilentDisplay(), stop or Stop()
    )


def prepare(folder: Path, setattr_: Callable[[object, str, object], None]) -> None:
    """Make the setting, a server that reads it, and a lock of this test's own."""
    setting(folder).write_text("60\n")
    live = {"file": str(setting(folder)), "text": "1", "log_effect": 1.0}
    (folder / "behaviour.json").write_text(json.dumps({"live": live, "token_seconds": 0.01}))
    setattr_(trial, "temporary_writes", partial(temporary_writes, lock=folder / "lock"))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    prepare(tmp_path, monkeypatch.setattr)
    monkeypatch.setenv("TRIMTAB_SCRIPTED", str(tmp_path / "behaviour.json"))
    return tmp_path


def journal(folder: Path) -> Path:
    return folder / "starts" / "001" / JOURNAL


@pytest.mark.parametrize(("block", "order"), [(0, [0, 1, 1, 0]), (1, [1, 0, 0, 1])])
def test_the_setting_alternates(place: Path, block: int, order: list[int]) -> None:
    host = Recorder()
    start = run(place, host, block)
    assert (start.outcome, start.detail) == (Outcome.MEASURED, "")
    assert [window.on for window in start.windows] == [NAME if on else "" for on in order]
    assert host.written == (["1", "60\n"] if order[0] == 0 else ["1", "60\n"] * 2)
    assert setting(place).read_text() == "60\n"
    assert pending_places(journal(place)) == ()
    (seen,) = [one for one in start.evidence if one.check.tuning == NAME]
    assert (seen.verdict, seen.observed) == (CheckOutcome.YES, "1")
    kept = json.loads((place / "starts" / "001" / "evidence.json").read_text())
    assert kept[-1]["check"]["tuning"] == NAME


def test_windows_stand_apart_by_what_was_on_the_way(place: Path) -> None:
    start = run(place, Recorder())
    ends = [(window.begin, window.end) for window in start.windows]
    assert all(end < begin for (_, end), (begin, _) in pairwise(ends))
    assert [window.requests for window in start.windows] == [12] * 4
    lines = (place / "starts" / "001" / "requests.jsonl").read_text().splitlines()
    done = [json.loads(line)["done"] for line in lines]
    for (_, end), (begin, _) in pairwise(ends):
        assert sum(end < one <= begin for one in done) >= 4, "the four streams' requests"


def test_a_stop_in_mid_load_restores_it(place: Path) -> None:
    stop = Stop()
    host = Recorder(lambda count, path: stop.event.set())
    with pytest.raises(KeyboardInterrupt):
        run(place, host, stop=stop)
    assert host.written == ["1", "60\n"]
    assert setting(place).read_text() == "60\n"


def test_a_refusal_fails_the_start_with_its_sentence(place: Path) -> None:
    class Deaf(LocalHost):
        def write(self, path: str, text: str) -> None:
            if text == "1":
                raise HostError(f"cannot write {path}: Invalid argument")
            super().write(path, text)

    start = run(place, Deaf())
    assert start.outcome is Outcome.START_FAILED
    assert "Invalid argument" in start.detail
    (seen,) = [one for one in start.evidence if one.check.tuning == NAME]
    assert seen.verdict is CheckOutcome.NO
    assert setting(place).read_text() == "60\n"


KILLED = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.integration.study.test_toggled import Recorder, prepare, run

folder = Path(sys.argv[2])
prepare(folder, setattr)
run(folder, Recorder(lambda count, path: os._exit(9)))
"""


def test_what_a_killed_run_left_on_is_restored(place: Path) -> None:
    root = str(Path(__file__).parents[3])
    command = [sys.executable, "-c", KILLED, root, str(place)]
    done = subprocess.run(command, check=False, timeout=120)
    assert done.returncode == 9
    assert setting(place).read_text() == "1"
    assert pending_places(journal(place)) == (str(setting(place)),)
    assert recover(journal(place), LocalHost(), lock=place / "lock") == ()
    assert setting(place).read_text() == "60\n"
