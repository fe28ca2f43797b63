"""docker's ``--env-file`` is read to the letter: what is wrong in it stands in that file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from trimtab import linter
from trimtab.cli.app import app
from trimtab.model.situation import Situation

RUN = "docker run --env-file {} vllm/vllm-openai:v0.32.0 m\n"
FILE = (
    "# a comment\n"
    "export VLLM_LOGGING_LEVEL=DEBUG\n"
    'OMP_NUM_THREADS="4"\n'
    "  HF_HOME=$HOME/hf\n"
    "VLLM_LOGGING_LEVL=DEBUG\n"
    "VLLM_USE_V1 = 1\n"
    "TOKENIZERS_PARALLELISM=false # why\n"
    "HF_TOKEN\n"
    "A=b c\n"
)
RIGHT = {
    ("env-file-refused", "export VLLM_LOGGING_LEVEL", 2),
    ("env-file-literal", "OMP_NUM_THREADS", 3),
    ("env-file-literal", "HF_HOME", 4), ("unknown-variable", "VLLM_LOGGING_LEVL", 5),
    ("env-file-refused", "VLLM_USE_V1 ", 6), ("env-file-literal", "TOKENIZERS_PARALLELISM", 7),
}  # fmt: skip
RULES = {"env-file-refused", "env-file-literal", "unknown-variable"}


def linted(*names: str) -> tuple[set[tuple[str, str, str, int]], list[str]]:
    result = CliRunner().invoke(app, ["lint", *names, "--json"])
    said = json.loads(result.stdout)
    found = {
        (Path(one["file"]).name, one["rule"], one["setting"], one["line"])
        for one in said["findings"]
        if one["rule"] in RULES
    }
    return found, [one["message"] for one in said.get("unread", ())]


@pytest.mark.parametrize("both", [False, True])
def test_the_file_beside_the_script_is_read(tmp_path: Path, *, both: bool) -> None:
    (tmp_path / "run.sh").write_text(RUN.format("vllm.env"))
    (tmp_path / "vllm.env").write_text(FILE)
    names = ["run.sh", "vllm.env"] if both else ["run.sh"]
    found, _ = linted(*(str(tmp_path / one) for one in names))
    assert found == {("vllm.env", *one) for one in RIGHT}


@pytest.mark.parametrize("name", ["/nowhere/x.env", "$HOME/x.env", "absent.env", "folder"])
def test_one_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "run.sh").write_text(RUN.format(name))
    (tmp_path / "folder").mkdir()
    result = CliRunner().invoke(app, ["lint", str(tmp_path / "run.sh")])
    assert f"{name} is not read" in result.output


def test_the_same_file_is_no_fault_for_compose(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("services: {v: {image: i, env_file: .env}}\n")
    (tmp_path / ".env").write_text('OMP_NUM_THREADS="4"\nHF_HOME=${HOME}/x # c\n')
    assert linted(str(tmp_path))[0] == set()


def test_a_file_that_the_script_writes_reaches_the_server() -> None:
    text = "cat > x.env <<'E'\nOMP_NUM_THREADS='4'\nA=1\nE\n" + RUN.format("x.env")
    document = linter.read("run.sh", text)
    assert {one.name: one.value for one in document.launches[0].env} == {
        "OMP_NUM_THREADS": "'4'", "A": "1",
    }  # fmt: skip
    places = [
        one.place.line
        for one in linter.check(document, Situation())
        if one.rule == "env-file-literal" and one.place
    ]
    assert (places, document.unread) == ([2], ())


def test_podman_reads_a_file_in_its_own_way(tmp_path: Path) -> None:
    (tmp_path / "run.sh").write_text(RUN.format("a.env").replace("docker", "podman"))
    (tmp_path / "a.env").write_text("A='1'\n")
    assert linted(str(tmp_path / "run.sh"))[0] == set()
