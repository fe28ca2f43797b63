"""The recipes of CONTRIBUTING, each applied to a copy of the source and used."""

import filecmp
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
_RECIPE = re.compile(
    r"<!-- recipe: (?P<name>[\w-]+), file: (?P<file>[\w./-]+)(?:, after: (?P<after>.*?))? -->\n"
    r"```python\n(?P<code>.*?)```",
    re.DOTALL,
)
RECIPES = {
    match["name"]: match for match in _RECIPE.finditer((ROOT / "CONTRIBUTING.md").read_text())
}


class Copy:
    """A copy of the source with one recipe applied."""

    def __init__(self, folder: Path, recipe: str) -> None:
        self.folder = folder
        shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
        match = RECIPES[recipe]
        place, code = folder / match["file"], match["code"]
        if after := match["after"]:
            before, mark, rest = place.read_text().partition(f"{after}\n")
            code = before + mark + code + rest
        place.write_text(code)
        assert touched(ROOT / "src", folder / "src") == [match["file"].removeprefix("src/")]

    def run(self, *words: str, code: int = 0) -> str:
        """Return what a command of the copy prints; it must end with ``code``."""
        return self.python("-m", "trimtab", *words, code=code)

    def python(self, *words: str, code: int = 0) -> str:
        """Return what Python prints with the copy; it must end with ``code``."""
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(self.folder / "src"), "COLUMNS": "80"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(self.run(*words, "--json", code=code))

    def lint(self, text: str) -> list[tuple[str, str]]:
        """Return rule and setting of each finding in a launch script."""
        (self.folder / "serve.sh").write_text(text)
        report = self.json("lint", "serve.sh", code=1)
        return [(finding["rule"], finding["setting"]) for finding in report["findings"]]


def touched(before: Path, after: Path) -> list[str]:
    """Return the files that differ, as paths below ``after``."""
    names = {path.relative_to(top) for top in (before, after) for path in top.rglob("*.py")}
    return sorted(
        str(name)
        for name in names
        if not (before / name).exists()
        or not (after / name).exists()
        or not filecmp.cmp(before / name, after / name, shallow=False)
    )


def test_each_recipe_is_executed_below() -> None:
    assert set(RECIPES) == {"tuning", "variable", "rule", "exporter", "metric"}


def test_a_tuning_is_one_entry(tmp_path: Path) -> None:
    copy = Copy(tmp_path, "tuning")
    (entry,) = copy.json("catalog", "example-arena-test")["tunings"]
    assert entry["values"] == [None, "2", "4"]
    assert copy.lint("export GLIBC_EXAMPLE_LIMIT=100\nvllm serve m\n") == [
        ("value-refused", "GLIBC_EXAMPLE_LIMIT")
    ]
    design = copy.json("tune", "--engine", "scripted", "--dry-run", "--only", "example-arena-test")
    assert "example-arena-test" in json.dumps(design)


def test_a_variable_is_one_entry(tmp_path: Path) -> None:
    copy = Copy(tmp_path, "variable")
    assert copy.lint("export EXAMPLE_LOG_LEVEL=loud\nvllm serve m\n") == [
        ("value-refused", "EXAMPLE_LOG_LEVEL")
    ]
    listed = {entry["name"] for entry in copy.json("catalog")["tunings"]}
    assert "example-log-level" in listed


def test_a_rule_is_one_function(tmp_path: Path) -> None:
    copy = Copy(tmp_path, "rule")
    assert copy.lint("export EXAMPLE_RING=0,1\nvllm serve m\n") == [
        ("example-ring-alone", "EXAMPLE_RING")
    ]
    rules = {rule["id"] for rule in copy.json("catalog", "--rules")["rules"]}
    assert "example-ring-alone" in rules


def test_an_exporter_is_one_file(tmp_path: Path) -> None:
    copy = Copy(tmp_path, "exporter")
    assert "example (one word a line)" in " ".join(copy.run("export", "--help").split())
    words = ("export", "--preset", "guide", "--chip", "A2", "--model", "org/model")
    text = copy.run(*words, "--format", "example")
    assert "serve\norg/model\n" in text
    assert "guide" in text


def test_a_metric_of_a_start_is_one_row(tmp_path: Path) -> None:
    copy = Copy(tmp_path, "metric")
    assert "startup_minutes" in copy.run("tune", "--help")
    design = copy.json(
        *("tune", "--engine", "scripted", "--dry-run"),
        *("--objective", "output_throughput,startup_minutes"),
    )
    assert "startup_minutes" in json.dumps(design)
    program = (
        "from trimtab.metrics.table import StartSample, measure_start;"
        "print(measure_start(StartSample(90.0, cold=False)))"
    )
    assert copy.python("-c", program) == "{'startup_minutes': 1.5, 'startup': 90.0}\n"
