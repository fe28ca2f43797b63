"""What ``lint --oracle`` and ``doctor --oracle`` ask, of scripted children: chip, version, choice.

Each environment is a folder whose interpreter runs the scripted child; the version that it says is
the folder's name.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.contracts.machines import HOSTS
from trimtab.cli.app import app
from trimtab.cli.oracle_findings import machine_findings
from trimtab.diagnosis import machine
from trimtab.emulator import environments
from trimtab.emulator.machine import EmulatedMachine
from trimtab.environments import managed_environment
from trimtab.errors import EngineMissingError, UsageError
from trimtab.host import SnapshotHost
from trimtab.model.situation import Situation
from trimtab.oracle import vendor
from trimtab.oracle import vendor as environment
from trimtab.oracle.model import Conflict, Handling, OracleReply, OracleSetting, SettingReply
from trimtab.oracle.oracle import Oracle
from trimtab.oracle.output import findings
from trimtab.oracle.settings import OracleTarget, matches_version, oracle_target

CHILD = Path(__file__).parents[2] / "servers" / "oracle_child.py"
OWN = environments.TORCH_NPU


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of environments: the emulator's own, and torch_npu 2.9.0.post9 alone."""
    folder = tmp_path / "engines"
    for version in (OWN, "2.9.0.post9"):
        python = folder / version / "python"
        python.parent.mkdir(parents=True)
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{CHILD}" "$@"\n')
        python.chmod(0o755)

    def interpreter(version: str = "") -> Path:
        found = folder / (version or OWN) / "python"
        if not found.exists():
            raise EngineMissingError(f"{version} is not installed")
        return found

    def kinds(python: Path) -> tuple[str, ...]:
        return ("torch_npu", "vllm-ascend") if python.parent.name == OWN else ("torch_npu",)

    def told(python: Path, machine: EmulatedMachine) -> dict[str, str]:
        return {"PATH": "/usr/bin:/bin", "CHIP": machine.chip, "VERSION": python.parent.name}

    monkeypatch.setattr(environment, "interpreter", interpreter)
    monkeypatch.setattr(vendor, "kinds", kinds)
    monkeypatch.setattr(vendor, "environment", told)
    monkeypatch.setattr(vendor, "mentions", lambda python, names: {})
    monkeypatch.setattr(vendor, "framework_mentions", lambda python, names: {})
    return folder


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "serve.sh"
    path.write_text("export TORCH_NPU_X='refuse on 910B3'\nvllm serve m\n")
    return path


def lint(*words: object) -> Result:
    ran = CliRunner().invoke(app, ["lint", "--oracle", *map(str, words)])
    if ran.exception is not None and not isinstance(ran.exception, SystemExit):
        raise ran.exception
    return ran


def said(*words: object) -> list[dict[str, Any]]:
    found = json.loads(lint("--json", *words).stdout)["findings"]
    return [one for one in found if one["rule"] == "oracle"]


@pytest.mark.usefixtures("beside")
def test_lint_asks_on_the_chip_of_the_context(script: Path) -> None:
    (one,) = said(script)
    assert f"(torch_npu {OWN}, chip 910B3; asked over a stand-in" in one["message"]
    ran = lint(script, "--context", "chip=310P")
    assert ran.exit_code == 0, ran.stdout
    assert f"no NPU was used: torch_npu {OWN}, chip 310P\n" in ran.stderr


@pytest.mark.usefixtures("beside")
def test_lint_asks_on_the_chip_of_the_image(script: Path) -> None:
    run = "docker run -e TORCH_NPU_X='refuse on 910_93' ascend/vllm-ascend:{} vllm serve m\n"
    script.write_text(run.format("v0.23.0-a3") + run.format("v0.23.0"))
    (one,) = said(script)
    assert one["line"] == 1
    assert "chip 910_93;" in one["message"]


@pytest.mark.usefixtures("beside")
def test_a_chip_that_cannot_be_played_is_named(script: Path) -> None:
    (one,) = said(script, "--context", "chip=910")
    assert "chip 910B3; chip 910 cannot be played;" in one["message"]


@pytest.mark.usefixtures("beside")
@pytest.mark.parametrize("version", ["2.9.0.post9", "2.9.0", "v2.9", "2.9.0.post9+git1"])
def test_a_version_that_is_installed_beside_is_asked(script: Path, version: str) -> None:
    (one,) = said(script, "--context", f"torch-npu={version}")
    assert "(torch_npu 2.9.0.post9, chip 910B3; asked over" in one["message"]


@pytest.mark.usefixtures("beside")
@pytest.mark.parametrize("version", ["2.10.0", "2.9.1", "main"])
def test_a_version_that_is_not_installed_is_said(script: Path, version: str) -> None:
    (one,) = said(script, "--context", f"torch-npu={version}")
    note = f"torch_npu {OWN}, chip 910B3; torch_npu {version} is not installed beside;"
    assert note in one["message"]
    script.write_text("export TORCH_NPU_X=fine\nvllm serve m\n")
    assert f"torch_npu {version} is not installed beside\n" in lint(
        script, "--context", f"torch-npu={version}"
    ).stderr  # fmt: skip


@pytest.mark.usefixtures("beside")
def test_an_environment_without_vllm_ascend_is_not_asked_what_that_reads(script: Path) -> None:
    script.write_text(
        "export TORCH_NPU_X=refuse DYNAMIC_EPLB=refuse VLLM_ASCEND_X=refuse\n"
        "vllm serve m --enforce-eager\n"
    )
    found = {one["setting"]: one["message"] for one in said(script, "--context", "torch-npu=2.9")}
    assert "(torch_npu 2.9.0.post9, chip" in found["TORCH_NPU_X"]
    assert f"(torch_npu {OWN}, chip" in found["DYNAMIC_EPLB"]
    assert f"(torch_npu {OWN}, chip" in found["VLLM_ASCEND_X"]
    assert not any("not installed" in message for message in found.values())


@pytest.mark.usefixtures("beside")
def test_the_capture_of_a_graph_counts_where_graphs_are_captured(
    script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graphs: list[bool] = []
    ask = Oracle.ask

    def noted(
        self: Oracle, givens: Sequence[OracleSetting], *, graph: bool = False
    ) -> OracleReply:
        graphs.append(graph)
        return ask(self, givens, graph=graph)

    monkeypatch.setattr(Oracle, "ask", noted)
    lint(script)
    lint(script, "--context", "graphs=off")
    script.write_text(f"{script.read_text().rstrip()} --enforce-eager\n")
    lint(script)
    assert graphs == [True, False, False]


@pytest.mark.usefixtures("beside")
def test_each_file_has_its_findings(script: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.sh"
    other.write_text(f"\n{script.read_text()}")
    assert [(one["file"], one["line"]) for one in said(script, other)] == [
        (str(script), 1), (str(other), 2),
    ]  # fmt: skip


@pytest.mark.usefixtures("beside")
def test_findings_stand_in_the_order_of_lines(script: Path) -> None:
    script.write_text(f"{script.read_text()}find / -name libtc*\n")
    found = json.loads(lint(script, "--json").stdout)["findings"]
    assert [one["line"] for one in found] == sorted(one["line"] for one in found)
    assert found[-1]["rule"] != "oracle"


@pytest.mark.usefixtures("beside")
def test_findings_are_chosen_as_those_of_rules(script: Path) -> None:
    assert said(script, "--select", "orac*")
    assert not said(script, "--select", "inert")
    assert not said(script, "--ignore", "oracle")
    assert said(script, "--min-severity", "error")


@pytest.mark.usefixtures("beside")
def test_a_severity_below_the_least_is_left_out(script: Path) -> None:
    script.write_text("export STREAMS_PER_DEVICE=12\nvllm serve m\n")
    assert [one["severity"] for one in said(script)] == ["warning"]
    assert not said(script, "--min-severity", "error")


def test_nothing_is_asked_that_is_not_chosen(
    script: Path, beside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(version: str = "") -> Path:
        raise AssertionError("the oracle was asked")

    monkeypatch.setattr(environment, "interpreter", asked)
    assert lint(script, "--ignore", "oracle").exit_code == 0


@pytest.mark.usefixtures("beside")
@pytest.mark.parametrize("comment", ["ignore[oracle]", "ignore-file[oracle]"])
def test_a_comment_switches_the_oracle_off(script: Path, comment: str) -> None:
    script.write_text(f"# trimtab: {comment}\n{script.read_text()}")
    data = json.loads(lint(script, "--json").stdout)
    assert {one["rule"] for one in data["findings"]} & {"oracle", "unknown-suppression"} == set()
    assert [one["rule"] for one in data["suppressed"]] == ["oracle"]


@pytest.mark.usefixtures("beside")
def test_that_there_is_nothing_to_ask_is_said(script: Path) -> None:
    script.write_text("export HOME=/\nvllm serve m --enforce-eager\n")
    assert "there is no setting of torch_npu or vllm-ascend to ask about" in lint(script).stderr


@pytest.mark.usefixtures("home")
def test_lint_without_the_emulator_is_one_sentence_beside_the_findings(script: Path) -> None:
    for text in ("export TASK_QUEUE_ENABLE=3\nvllm serve m\n", "echo nothing to ask\n"):
        script.write_text(text)
        ran = lint(script)
        assert ran.exit_code == 2
        assert len(ran.stderr.splitlines()) == 1
        assert "trimtab engine install ascend-emulator" in ran.stderr
        assert ("value-refused" in ran.stdout) is ("TASK_QUEUE" in text)


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("value", ["1", None])
def test_doctor_without_the_emulator_is_one_sentence(
    value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if value is not None:
        monkeypatch.setenv("TASK_QUEUE_ENABLE", value)
    ran = CliRunner().invoke(app, ["doctor", "--oracle"])
    assert isinstance(ran.exception, UsageError)  # exit code 2: 1 would be a finding
    assert "trimtab engine install ascend-emulator" in str(ran.exception)


def doctor(*words: str) -> list[dict[str, Any]]:
    ran = CliRunner().invoke(app, ["doctor", "--oracle", "--json", *words])
    found: list[dict[str, Any]] = json.loads(ran.stdout)["findings"]
    return [one for one in found if one["rule"] == "oracle"]


@pytest.mark.usefixtures("beside")
def test_doctor_asks_on_the_chip_and_version_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_NPU_X", "refuse on 910_93")
    (one,) = doctor("--context", "chip=A3,torch-npu=2.9")
    assert "(torch_npu 2.9.0.post9, chip 910_93; asked over" in one["message"]
    assert doctor("--context", "chip=310P") == []
    ran = CliRunner().invoke(app, ["doctor", "--oracle", "--context", "chip=A3"])
    assert ran.exit_code == 1
    assert "no NPU was used) [oracle]" in " ".join(ran.stdout.split())


@pytest.mark.usefixtures("beside")
def test_doctor_asks_on_the_chip_that_the_machine_has(tmp_path: Path) -> None:
    folder = tmp_path / "machine"
    shutil.copytree(HOSTS / "a2-openeuler", folder, symlinks=True)
    table = folder / "commands" / "npu-smi_info.txt"
    table.write_text(table.read_text().replace("910B3", "910B4"))
    env = {"TORCH_NPU_X": "refuse on 910B4"}
    view = machine.view(SnapshotHost(folder), env, machine.PythonEnvironment("", {}), local=False)
    (one,) = machine_findings(view)
    assert f"(torch_npu {OWN}, chip 910B4; asked over" in one.message


def test_what_is_wanted_comes_from_the_situation_and_the_machine() -> None:
    versions = {"torch-npu": "2.9.0", "vllm-ascend": "0.18.0", "torch": "2.9.0"}
    told = oracle_target(Situation(chip="A2", versions=versions))
    assert told == OracleTarget("910B3", "2.9.0", "0.18.0")
    assert oracle_target(Situation(chip="A2"), ["910B4", "910B4"]).played == "910B4"
    assert oracle_target(Situation(chip="310P"), ["910B4"]).played == "310P"  # told otherwise
    assert oracle_target(Situation(chip="A3"), ["Ascend910"]).played == "910_93"
    assert oracle_target(Situation()) == OracleTarget()
    assert OracleTarget("910").played == OracleTarget().played == "910B3"


def test_each_finding_names_the_software_that_decided() -> None:
    a, b = OracleSetting("A", "1"), OracleSetting("B", "1")
    answers = (
        SettingReply(a, Handling.REJECTED, "no", through="torch_npu"),
        SettingReply(b, Handling.READ_AS, effective="0", through="vllm-ascend"),
    )
    conflict = Conflict((a, b), Handling.REJECTED, "both", "device", "torch_npu")
    versions = {"torch_npu": "2.13.0", "vllm-ascend": "0.23.0", "torch": "2.13.0+cpu"}
    reply = OracleReply("910B3", versions, answers, (conflict,))
    found = [one.message for one in findings(reply, {}, OracleTarget("910B3", "2.13", "0.18.0"))]
    assert "(torch_npu 2.13.0, chip 910B3; asked over" in found[0]
    assert "(vllm-ascend 0.23.0, torch_npu 2.13.0, chip 910B3; vllm-ascend 0.18.0 is " in found[1]
    assert "(torch_npu 2.13.0, chip 910B3; asked over" in found[2]


def test_a_version_may_be_told_in_part() -> None:
    assert matches_version("2.9.0.post9", "2.9")
    assert matches_version("2.13.0", "v2.13.0+git1")
    assert not matches_version("2.13.0", "2.1")
    assert not matches_version("2.9.0", "2.9.0.post9")


def test_every_chip_that_is_played_can_be_asked_about() -> None:
    for name in (*environment.CHIPS, "910B4", "910_9392", "910B4-1"):
        EmulatedMachine(chip=environment.chip(name)).check()
    assert environment.chip("910B4") == "910B4"
    with pytest.raises(UsageError, match=r"A2, A3, 310P, 950, 910B1, .*910B4.*'910A'"):
        environment.chip("910A")


def test_the_emulators_own_stands_in_for_what_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = environments.engine()
    monkeypatch.setattr(
        managed_environment,
        "interpreter",
        lambda recipe: tmp_path if recipe.name == own.name else None,
    )
    for version in ("", "2.13", "2.12.0", "nonsense", "2.9.0"):
        assert environment.nearest_interpreter(version) == tmp_path
