"""What trimtab tells people to type exists, and its list of engines survives a broken one."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from trimtab.cli.app import app

SOURCES = Path(__file__).parents[3] / "src" / "trimtab"
TYPED = re.compile(r"(?:['`]|Example:|with:|it:) *trimtab ([a-z]+)\b")
"""Where a text tells what to type."""


def commands() -> set[str]:
    group = typer.main.get_command(app)
    return set(getattr(group, "commands", {}))


@pytest.mark.parametrize("path", sorted(SOURCES.rglob("*.py")), ids=lambda path: path.name)
def test_every_command_that_is_named_exists(path: Path) -> None:
    named = {match[1] for match in TYPED.finditer(path.read_text())}
    assert named <= commands()


def test_the_search_for_named_commands_finds_some() -> None:
    texts = [path.read_text() for path in SOURCES.rglob("*.py")]
    assert {"tune", "doctor", "engine"} <= {m[1] for text in texts for m in TYPED.finditer(text)}
    assert TYPED.findall("see 'trimtab catalog'\n# Run it:   trimtab run -p") == ["catalog", "run"]


def test_a_broken_engine_is_listed_with_its_reason(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "vllm"
    broken.write_text("#!/bin/sh\nexec docker run vllm\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    ran = CliRunner().invoke(app, ["engine", "list", "--json"])
    assert ran.exit_code == 0
    rows = {row["name"]: row for row in json.loads(ran.output)["engines"]}
    assert set(rows) == {"scripted", "vllm"}
    assert (rows["scripted"]["version"], rows["scripted"]["reason"]) == ("0.32.0+cpu", None)
    assert rows["vllm"]["version"] is None
    assert "names no interpreter" in rows["vllm"]["reason"]
    ran = CliRunner().invoke(app, ["engine", "list"])
    lines = {line.split()[0]: line for line in ran.output.splitlines()}
    assert "cannot be used" in lines["vllm"]
    assert "0.32.0+cpu" in lines["scripted"]
