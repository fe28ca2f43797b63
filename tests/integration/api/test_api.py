"""``import trimtab``: the public functions, their results, and the page that describes them."""

from __future__ import annotations

import doctest
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import trimtab
from trimtab import api
from trimtab.api.study_result import TABLES
from trimtab.cli.app import app
from trimtab.errors import UsageError
from trimtab.study.options import Options

PAGE = Path(__file__).parents[3] / "docs" / "api.md"
PUBLIC = [
    *("BenchResult", "CapacityResult", "CompareResult", "Diagnosis", "LintReport", "Profile"),
    *("Reporter", "StudyResult", "TrimtabError", "__version__", "bench", "capacity", "catalog"),
    *("compare", "doctor", "lint", "load_profile", "load_study", "tune"),
]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> trimtab.StudyResult:
    folder = tmp_path_factory.mktemp("api") / "study"
    return trimtab.tune(engine="simulated", landscape="L1", budget="24", seed=1, study=folder)


def test_what_is_public_is_listed_and_there() -> None:
    assert trimtab.__all__ == PUBLIC
    assert set(trimtab.__all__) <= set(dir(trimtab))
    for name in trimtab.__all__:
        assert getattr(trimtab, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        trimtab.nothing  # noqa: B018


@pytest.mark.parametrize("name", [name for name in PUBLIC if name.islower() and name != "catalog"])
def test_each_function_says_what_it_takes_and_raises(name: str) -> None:
    if name.startswith("__"):
        return
    text = inspect.getdoc(getattr(trimtab, name)) or ""
    assert "Raises:" in text
    signature = inspect.signature(getattr(trimtab, name))
    assert signature.return_annotation is not inspect.Signature.empty


def test_the_package_imports_nothing_until_it_is_asked() -> None:
    code = "import sys, trimtab; print(sorted(m for m in sys.modules if m.startswith('trimtab.')))"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"


def test_the_page_is_true(tmp_path: Path, home: Path) -> None:
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL
    parser = doctest.DocTestParser()
    text = PAGE.read_text().replace("```python", "").replace("```", "")
    page = parser.get_doctest(text, {"folder": tmp_path}, "api.md", str(PAGE), 0)
    assert len(page.examples) >= 15
    runner = doctest.DocTestRunner(optionflags=flags)
    runner.run(page)
    assert runner.failures == 0


def test_a_study_is_read_back_as_it_was_returned(study: trimtab.StudyResult) -> None:
    again = trimtab.load_study(study.folder)
    assert again.headline == study.headline
    assert again.verdicts == study.verdicts
    assert again.rows("starts") == study.rows("starts")


def test_the_command_prints_what_the_result_holds(study: trimtab.StudyResult) -> None:
    said = CliRunner().invoke(app, ["show", str(study.folder), "--json"])
    assert json.loads(said.stdout)["verdicts"] == study.as_data()["verdicts"]


@pytest.mark.parametrize("table", TABLES)
def test_tables_have_the_same_rows_everywhere(study: trimtab.StudyResult, table: str) -> None:
    rows = study.rows(table)
    assert len(study.to_pandas(table)) == len(rows)
    assert study.to_polars(table).height == len(rows)


def test_the_starts_hold_the_objective_of_each_valid_start(study: trimtab.StudyResult) -> None:
    frame = study.to_pandas("starts")
    assert list(frame["start"]) == list(range(1, 25))
    assert frame[frame["valid"]]["output_throughput"].notna().all()


def test_a_table_that_there_is_not(study: trimtab.StudyResult) -> None:
    with pytest.raises(UsageError, match=r"table must be one of starts, windows, .*'rows'"):
        study.rows("rows")


def test_a_notebook_shows_headline_and_verdicts(study: trimtab.StudyResult) -> None:
    page = study._repr_html_()
    assert study.headline.text in page
    assert "<td>gain-8=on</td><td>adopt</td>" in page
    assert "gain-8=on" in study.profiles["proven"]._repr_html_()


def test_lint_finds_what_the_command_finds(tmp_path: Path) -> None:
    script = tmp_path / "serve.sh"
    script.write_text("vllm serve /models/m --dtype fp16\n")
    found = trimtab.lint(script, context="vllm=0.32", min_severity="error")
    assert [(one.severity.value, one.setting) for one in found] == [("error", "--dtype")]
    assert found.failed
    said = CliRunner().invoke(
        app, ["lint", str(script), "--context", "vllm=0.32", "--min-severity", "error", "--json"]
    )
    assert json.loads(said.stdout)["findings"] == found.as_data()["findings"]
    assert "--dtype" in found._repr_html_()
    missing = trimtab.lint(tmp_path / "nothing.sh")
    assert (len(missing), missing.failed, len(missing.unreadable)) == (0, True, 1)


def test_an_option_that_there_is_not_is_refused_before_anything_starts() -> None:
    for call in (trimtab.tune, trimtab.bench):
        with pytest.raises(UsageError, match="budgte: there is no such option; known are aa, "):
            call(budgte="24")


def test_the_options_are_those_of_the_command() -> None:
    given = api._options({"only": ["a", "b"], "seed": None, "model": "m"}, "vllm serve m -tp 2")
    assert given == {
        "only": ("a", "b"),
        "model": "m",
        "baseline": ("vllm", "serve", "m", "-tp", "2"),
    }
    assert Options(**given).only == ("a", "b")


def test_what_a_study_tells_reaches_the_reporter(tmp_path: Path) -> None:
    told: list[str] = []
    trimtab.tune(
        engine="simulated",
        landscape="L0",
        budget="12",
        study=tmp_path / "s",
        reporter=trimtab.Reporter(told.append),
    )
    assert f"study: {tmp_path / 's'}" in told


def test_a_study_goes_on_and_is_asked_again(study: trimtab.StudyResult, tmp_path: Path) -> None:
    again = trimtab.tune(study=study.folder, resume=True)
    assert len(again.starts) == len(study.starts)
    like = trimtab.tune(like=study.folder, budget="12", study=tmp_path / "like")
    assert like.record.objective == study.record.objective
    with pytest.raises(UsageError, match="leave --resume out"):
        trimtab.tune(like=study.folder, resume=True)


def test_two_simulated_targets_cannot_be_compared_without_a_server() -> None:
    with pytest.raises(trimtab.TrimtabError):
        trimtab.compare("stock", "stock", engine="scripted", workload="no-such-workload")
