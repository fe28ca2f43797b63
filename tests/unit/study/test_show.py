"""``trimtab show``: a study on disk is read as it was answered, or answered again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import typer.main

from tests.json_page import commands
from trimtab import search
from trimtab.cli.app import app
from trimtab.errors import StudyError, StudyMismatchError, TrimtabError, UsageError
from trimtab.model import CheckKind, CheckOutcome, Evidence, Verdict
from trimtab.model.plan import Check
from trimtab.report import Study
from trimtab.report.headline import headline
from trimtab.report.text import summary
from trimtab.report.tuning_evidence import MEANING, tuning_evidence
from trimtab.study import archive, artifacts
from trimtab.study import folder as study
from trimtab.study.artifacts import write_result
from trimtab.study.ledger import Ledger
from trimtab.study.options import Options
from trimtab.study.progress import SilentDisplay
from trimtab.study.signals import Stop
from trimtab.study.tuning import run_study

PAGE = commands()
SAID: list[str] = []


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished simulated study."""
    place = tmp_path_factory.mktemp("studies") / "one"
    asked = {"engine": "simulated", "landscape": "L1", "seed": 3, "skip": ("null-6",)}
    session, ledger, _ = study.create(asked, place, SAID.append)
    with ledger:
        display, stop = SilentDisplay(), Stop()
        executor = study.executor_of(session, ledger, place, display, stop)
        found = run_study(
            session.space,
            search.PhasedStrategy(),
            ledger,
            executor,
            display,
            stop,
            noise=session.noise,
        )
        write_result(session, ledger.starts(), found, place)
    return place


def run(*words: str) -> None:
    typer.main.get_command(app)(list(words), standalone_mode=False)


def test_the_stored_answer_is_what_was_answered(folder: Path) -> None:
    found = artifacts.read(folder, SAID.append)
    assert len(found.starts) > 20
    assert headline(found).next == f"trimtab tune --like {folder} --budget 45"
    assert found.left_out == (("null-6", Verdict.NOT_APPLICABLE, "left out by --skip"),)
    text = " ".join(" ".join(summary(found)).split())
    assert f"Details: trimtab show {folder} [--why NAME | --left-out]" in text


def test_without_a_stored_answer_the_ledger_gives_the_same(folder: Path) -> None:
    before = artifacts.read(folder, SAID.append)
    text = (folder / archive.NAME).read_text()
    (folder / archive.NAME).unlink()
    try:
        again = artifacts.read(folder, SAID.append)
    finally:
        (folder / archive.NAME).write_text(text)
    assert replace(again.conclusion, notes=()) == replace(before.conclusion, notes=())
    assert headline(again) == headline(before)
    assert dict(again.files) == dict(before.files)


def test_a_question_that_is_another_one_here_is_not_answered_anew(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (folder / archive.NAME).read_text()
    (folder / archive.NAME).unlink()

    def differs(*_: object) -> None:
        raise StudyMismatchError("it holds another machine")

    monkeypatch.setattr(study, "require_same_question", differs)
    try:
        with pytest.raises(UsageError, match=r"open its report\.html"):
            artifacts.read(folder, SAID.append)
    finally:
        (folder / archive.NAME).write_text(text)


def test_an_answer_with_the_former_words_is_read(folder: Path) -> None:
    text = (folder / archive.NAME).read_text()
    assert '"verdict": "adopt"' in text
    (folder / archive.NAME).write_text(text.replace('"verdict": "adopt"', '"verdict": "WIN"'))
    try:
        found = artifacts.read(folder, SAID.append)
    finally:
        (folder / archive.NAME).write_text(text)
    assert Verdict.ADOPT in {one.verdict for one in found.conclusion.answers}


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{", '{"format": 2}', '{"format": 1}', '{"format": 1, "title": 3}', "[" * 99_999],
)
def test_a_damaged_answer_is_refused_in_one_line(content: str, folder: Path) -> None:
    text = (folder / archive.NAME).read_text()
    (folder / archive.NAME).write_text(content)
    try:
        with pytest.raises(StudyError, match="remove it") as error:
            artifacts.read(folder, SAID.append)
    finally:
        (folder / archive.NAME).write_text(text)
    assert "\n" not in str(error.value)


def test_an_answer_to_fewer_starts_is_stale(folder: Path) -> None:
    text = (folder / archive.NAME).read_text()
    content = json.loads(text)
    (folder / archive.NAME).write_text(json.dumps({**content, "starts": 3, "title": "old"}))
    try:
        found = artifacts.read(folder, SAID.append)
    finally:
        (folder / archive.NAME).write_text(text)
    assert found.title != "old"


def test_show_prints_tables_evidence_and_json(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("show", str(folder))
    shown = capsys.readouterr().out
    assert shown.startswith(headline(artifacts.read(folder, SAID.append)).text)
    assert "What each tuning is worth" in shown
    run("show", str(folder), "--why", "gain-8")
    assert capsys.readouterr().out.startswith("gain-8=on: adopt\n")
    run("show", str(folder), "--left-out")
    assert "null-6" in capsys.readouterr().out
    run("show", str(folder), "--json")
    told = json.loads(capsys.readouterr().out)
    PAGE["tune"].require(told)
    assert told["headline"]["status"] == "promising, not confirmed"
    run("show", str(folder), "--why", "gain-8", "--json")
    told = json.loads(capsys.readouterr().out)
    PAGE["show --why"].require(told)
    assert told["verdicts"][0]["verdict"] == "adopt"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--why", "gain-9"), "did you mean gain-8"),
        (("--why", "x" * 50), "the study has no tuning"),
        (("--why", "gain-8", "--left-out"), "name one of them"),
    ],
)
def test_what_cannot_be_shown_is_one_line(words: tuple[str, ...], said: str, folder: Path) -> None:
    with pytest.raises(UsageError, match=said):
        run("show", str(folder), *words)


def test_a_folder_without_a_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no study"):
        run("show", str(tmp_path))
    with Ledger.create(tmp_path / study.LEDGER, {"question": {}}):
        pass
    with pytest.raises(UsageError, match="a measurement, not a study"):
        run("show", str(tmp_path))
    with pytest.raises(TrimtabError, match="a measurement"):
        run("tune", "--like", str(tmp_path), "--dry-run")


def test_like_takes_the_options_of_a_study(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = study.options_from_study(folder)
    assert Options(**saved).skip == ("null-6",)
    assert Options(**saved).seed == 3
    run("tune", "--like", str(folder), "--budget", "48", "--dry-run", "--json")
    told = json.loads(capsys.readouterr().out)
    assert {one["name"] for one in told["left_out"]} == {"null-6"}
    assert told["design"]["starts"] > 40
    with pytest.raises(UsageError, match="leave --resume out"):
        run("tune", "--like", str(folder), "--resume")


def test_the_evidence_names_starts_checks_and_profiles(folder: Path) -> None:
    found: Study = artifacts.read(folder, SAID.append)
    first = next(one for one in found.starts if "gain-8" in dict(one.request.candidate))
    check = Check(CheckKind.ENVIRON, "X", "1", "gain-8")
    refuted = replace(
        first, evidence=(Evidence(check, CheckOutcome.NO, "absent", "/proc/1/environ"),)
    )
    starts = tuple(refuted if one is first else one for one in found.starts)
    evidence = tuning_evidence(replace(found, starts=starts), "gain-8=on")
    assert evidence.profiles == ("proven", "max")
    assert all("gain-8" in dict(one.request.candidate) for one in evidence.starts)
    text = evidence.text()
    assert "Checks:    1 refuted" in text
    assert f"start {first.number}: X expected 1, found absent (/proc/1/environ)" in text
    assert f"{len(evidence.starts)} with it" in text
    gone = tuning_evidence(found, "null-6").text()
    assert gone.startswith("null-6: not applicable. left out by --skip")


def test_every_verdict_has_a_meaning() -> None:
    assert list(MEANING) == list(Verdict)
