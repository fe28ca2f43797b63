"""The interpreter as a tuning: a server that runs from another environment, proved live."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.cli import trimtab

pytestmark = pytest.mark.alone

ENGINE = ("--engine", "scripted", "--shared-host")
OWN = str(Path(sys.executable).resolve())


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with two environments of the scripted engine, on copies of this Python.

    A copy is another program to the kernel, which is all that this needs of another build.
    """
    folder = tmp_path_factory.mktemp("data")
    for name in ("copy", "other"):
        place = folder / "trimtab" / "engines" / f"scripted@{name}"
        words = ["-m", "venv", "--copies", "--without-pip", str(place)]
        subprocess.run([OWN, *words], check=True, timeout=120)
    return folder


def evidence(study: Path, interpreter: str) -> list[dict[str, object]]:
    """Return the evidence of the first start of the study that had this interpreter."""
    for line in (study / "ledger.jsonl").read_text().splitlines():
        entry = json.loads(line)
        found = [
            one
            for one in _dicts(entry)
            if one.get("verdict") is not None and interpreter in str(one.get("check"))
        ]
        if found:
            return found
    return []


def _dicts(value: object) -> list[dict[str, object]]:
    if isinstance(value, dict):
        return [value, *(one for item in value.values() for one in _dicts(item))]
    if isinstance(value, list):
        return [one for item in value for one in _dicts(item)]
    return []


def test_two_interpreters_are_compared_and_proved_live(data: Path, tmp_path: Path) -> None:
    words = ("interpreter=copy", "interpreter=other", "--pairs", "2", "--study", "c", "--json")
    ran = trimtab("compare", *words, *ENGINE, cwd=tmp_path, XDG_DATA_HOME=str(data))
    assert ran.code == 0, ran.err
    assert ran.json()["starts"] == 4
    for name in ("copy", "other"):
        program = str(data / "trimtab" / "engines" / f"scripted@{name}" / "bin" / "python")
        proved = evidence(tmp_path / "c", program)
        assert proved, (tmp_path / "c" / "ledger.jsonl").read_text()[:2000]
        assert {one["verdict"] for one in proved} == {"yes"}
        assert all(f"{program} runs" in str(one["observed"]) for one in proved)


def test_a_study_tries_it_and_its_profile_holds_it(data: Path, tmp_path: Path) -> None:
    # The smallest budget that has room for a screen of one tuning beside the inert control.
    words = ("--only", "interpreter", "--try", "interpreter=copy", "--budget", "14")
    ran = trimtab("tune", *words, *ENGINE, "--study", "s", "--json", cwd=tmp_path,
                  XDG_DATA_HOME=str(data), timeout=280)  # fmt: skip
    assert ran.code == 0, ran.err
    found = ran.json()
    (verdict,) = (one for one in found["verdicts"] if one["name"] == "interpreter")
    assert (verdict["value"], verdict["metric"]) == ("copy", "output_throughput")
    assert verdict["verdict"] in ("adopt", "likely", "inconclusive", "no effect", "avoid"), verdict
    assert verdict["starts"] >= 8, verdict
    assert verdict["low"] < verdict["effect"] < verdict["high"], verdict

    starts = [one for one in ledger(tmp_path / "s") if one.get("outcome") == "measured"]
    assert len(starts) == found["starts"]
    program = str(data / "trimtab" / "engines" / "scripted@copy" / "bin" / "python")
    tried = [one for one in starts if ["interpreter", "copy"] in one["request"]["candidate"]]
    assert 4 <= len(tried) < len(starts)
    for start in tried:
        (seen,) = (one for one in start["evidence"] if one["check"]["kind"] == "executable")
        assert (seen["check"]["expected"], seen["verdict"]) == (program, "yes")
        assert (seen["where"], seen["check"]["proves"]) == ("/proc/PID/exe", "effect")
    for start in starts:
        assert start in tried or program not in json.dumps(start["evidence"]), "stock is another"
    held = yaml.safe_load((tmp_path / found["profiles"]["max"]).read_text())
    chosen = found["max"] == {"interpreter": "copy"}
    assert (held["plan"]["settings"]["argv"][0] == program) is chosen


def ledger(study: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (study / "ledger.jsonl").read_text().splitlines()]


def test_an_interpreter_that_is_not_there_is_one_line(data: Path, tmp_path: Path) -> None:
    words = ("compare", "stock", "interpreter=none", *ENGINE)
    ran = trimtab(*words, cwd=tmp_path, XDG_DATA_HOME=str(data))
    assert ran.code == 2
    assert "interpreter must be one of copy, other, but is 'none'" in ran.err
    words = ("compare", "stock", "nothing=1", *ENGINE)
    ran = trimtab(*words, cwd=tmp_path, XDG_DATA_HOME=str(data))
    assert ran.code == 2
    assert "no tuning is called 'nothing'" in ran.err


def test_the_commands_say_in_one_line_what_is_wrong(tmp_path: Path) -> None:
    env: dict[str, Any] = {"XDG_DATA_HOME": str(tmp_path / "data")}
    assert trimtab("python", "list", "--json", cwd=tmp_path, **env).json() == {
        "format": 1,
        "pythons": [],
    }
    for words, code, part in (
        (("build", "--plain", "--lto"), 2, "--plain builds without optimizations"),
        (("build", "--source", "none.tgz"), 2, "there is no file none.tgz"),
        (("verify", "none"), 2, "no Python is called 'none'"),
    ):
        ran = trimtab("python", *words, cwd=tmp_path, **env)
        assert ran.code == code, ran.err
        assert part in ran.err.splitlines()[-1]
    ran = trimtab("python", "verify", OWN, "--pairs", "0", "--json", cwd=tmp_path, **env)
    assert ran.code == 0, ran.err
    assert ran.json()["program"] == OWN
