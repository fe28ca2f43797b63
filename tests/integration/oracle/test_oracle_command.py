"""``trimtab oracle check`` over a scripted child in place of the vendors' code."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from trimtab.cli.app import app
from trimtab.errors import EngineError, UsageError
from trimtab.oracle import vendor
from trimtab.oracle import vendor as environment
from trimtab.oracle import vendor as wide_model
from trimtab.oracle.model import Handling, OracleSetting
from trimtab.oracle.oracle import Oracle

CHILD = Path(__file__).parents[2] / "servers" / "oracle_child.py"


@pytest.fixture
def python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an interpreter that runs the scripted child whatever it is told to run."""
    path = tmp_path / "python"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{CHILD}" "$@"\n')
    path.chmod(0o755)
    monkeypatch.setattr(vendor, "kinds", lambda python: ("torch_npu",))
    monkeypatch.setattr(vendor, "environment", lambda python, machine: {"PATH": "/usr/bin:/bin"})
    monkeypatch.setattr(vendor, "mentions", lambda python, names: {})
    monkeypatch.setattr(vendor, "framework_mentions", lambda python, names: {})
    monkeypatch.setattr(environment, "interpreter", lambda version="": path)
    return path


@pytest.fixture
def oracle(python: Path) -> Iterator[Oracle]:
    with Oracle(python) as found:
        yield found


def run(*words: str) -> tuple[int, str]:
    ran = CliRunner().invoke(app, ["oracle", "check", *words])
    if ran.exception is not None and not isinstance(ran.exception, SystemExit):
        raise ran.exception
    return ran.exit_code, ran.stdout


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("fine", Handling.ACCEPTED),
        ("refuse", Handling.REJECTED),
        ("crash", Handling.CRASHED),
        ("hang", Handling.HUNG),
    ],
)
def test_each_end_of_a_check_is_an_answer(oracle: Oracle, text: str, verdict: Handling) -> None:
    (answer,) = oracle.alone([OracleSetting("X", text)])
    assert answer.verdict is verdict
    assert "\n" not in answer.sentence


def test_settings_that_exclude_each_other_are_found_among_others(oracle: Oracle) -> None:
    reply = oracle.ask(
        [
            OracleSetting("C", "1"),
            OracleSetting("A", "1"),
            OracleSetting("D", "1"),
            OracleSetting("B", "1"),
        ]
    )
    assert [one.verdict for one in reply.answers] == [Handling.ACCEPTED] * 4
    (conflict,) = reply.conflicts
    assert {one.name for one in conflict.givens} == {"A", "B"}
    assert conflict.sentence == "RuntimeError: A or B"


def test_a_name_that_nobody_asks_for_is_ignored(oracle: Oracle) -> None:
    assert oracle.alone([OracleSetting("NOBODY", "1")])[0].verdict is Handling.IGNORED


def test_a_child_that_ends_by_itself_is_an_error_of_ours(oracle: Oracle) -> None:
    with pytest.raises(EngineError, match="it had enough"):
        oracle.alone([OracleSetting("X", "quit")])


def test_software_that_does_not_import_is_one_line(python: Path) -> None:
    python.write_text(python.read_text().replace('"$@"', "-m oracle_child broken"))
    with Oracle(python) as oracle, pytest.raises(EngineError, match="no such thing"):
        oracle.alone([OracleSetting("X", "1")])


@pytest.mark.usefixtures("python")
def test_the_exit_code_tells_whether_all_is_taken_as_written(tmp_path: Path) -> None:
    assert run("--setting", "X=fine")[0] == 0
    code, out = run("--setting", "X=refuse")
    assert code == 1
    assert "X=refuse: rejected at the first use of the device: ValueError: no way" in out
    assert "no NPU was used" in out


@pytest.mark.usefixtures("python")
def test_json_is_one_object() -> None:
    code, out = run("--setting", "X=warn", "--json")
    (reply,) = json.loads(out)["replies"]
    assert code == 0
    assert reply["answers"][0]["said"] == ["Warning: mind the gap"]
    assert reply["versions"] == {"torch_npu": "0.1"}


@pytest.mark.usefixtures("python")
def test_a_launch_file_is_asked_about(tmp_path: Path) -> None:
    script = tmp_path / "serve.sh"
    script.write_text("export HCCL_ALGO=refuse OTHER=refuse\nvllm serve m --max-model-len 5\n")
    code, out = run("--file", str(script))
    assert code == 1
    assert "HCCL_ALGO=refuse: rejected" in out
    assert "OTHER" not in out


@pytest.mark.usefixtures("python")
def test_lint_shows_the_answers_at_their_places(tmp_path: Path) -> None:
    script = tmp_path / "serve.sh"
    script.write_text("export HCCL_ALGO=refuse\nvllm serve m\n")
    for form in ("text", "json", "sarif", "github"):
        ran = CliRunner().invoke(app, ["lint", str(script), "--oracle", "--format", form])
        assert ran.exit_code == 1, ran.output
        assert "no way" in ran.stdout
    assert f"{script}:1:" in CliRunner().invoke(app, ["lint", str(script), "--oracle"]).stdout


@pytest.mark.parametrize(
    "words",
    [
        (), ("--setting", "X"), ("--setting", "X=1", "--chip", "Z"),
        ("--setting", "X=1", "--through", "cuda"),
        ("--setting", "--enforce-eager"), ("--setting", "--tensor-parallel-size=2"),
        ("--setting", "X=1", "--setting", "X=2"),
        ("--setting", "npu-max-split-size=250", "--setting", "PYTORCH_NPU_ALLOC_CONF=x"),
        ("--profile", "nowhere.yaml"), ("--profile", __file__), ("--file", "nowhere.sh"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("python")
def test_bad_input_is_a_usage_error(words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        run(*words)


@pytest.mark.usefixtures("home")
def test_a_missing_environment_says_how_to_install_it() -> None:
    with pytest.raises(UsageError, match="trimtab engine install ascend-emulator"):
        run("--setting", "X=1")
    with pytest.raises(UsageError, match=r"emulator --torch-npu 2\.12\.0"):
        run("--setting", "X=1", "--torch-npu", "2.12.0")


def test_names_are_looked_up_as_whole_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "lib" / "python3.11" / "site-packages"
    (place / "torch_npu" / "lib").mkdir(parents=True)
    (place / "torch_npu" / "lib" / "libtorch_npu.so").write_bytes(b"\0TASK_QUEUE_ENABLE\0")
    (place / "vllm_ascend").mkdir()
    (place / "vllm_ascend" / "envs.py").write_text("os.getenv('VLLM_X')  # TASK_QUEUE_ENABLE_2")
    (place / "vllm_ascend" / "empty.py").touch()
    found = vendor.mentions(tmp_path / "bin" / "python", ["TASK_QUEUE_ENABLE", "VLLM_X", "VLLM"])
    assert found == {
        "TASK_QUEUE_ENABLE": ("torch_npu",), "VLLM_X": ("vllm-ascend",), "VLLM": ()
    }  # fmt: skip


@pytest.mark.parametrize("error", ["no compiler", "the child ended by itself"])
@pytest.mark.usefixtures("python")
def test_software_that_does_not_run_is_no_answer_about_a_setting(
    error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(python: Path, machine: object) -> dict[str, str]:
        raise EngineError(error)

    monkeypatch.setattr(vendor, "environment", broken)
    with pytest.raises(UsageError, match=error):
        run("--setting", "X=1")


@pytest.mark.usefixtures("python")
def test_what_a_file_does_not_tell_is_named(tmp_path: Path) -> None:
    script = tmp_path / "serve.sh"
    script.write_text(
        'export TASK_QUEUE_ENABLE=$LEVEL HCCL_ALGO=fine\nvllm serve m --additional-config "$C"\n'
    )
    ran = CliRunner().invoke(app, ["oracle", "check", "--file", str(script), "--json"])
    assert ran.exit_code == 0, ran.output
    why = "the file does not tell its whole value"
    assert f"not asked: TASK_QUEUE_ENABLE=$LEVEL: {why}" in ran.stderr
    assert json.loads(ran.stdout)["not_asked"] == [
        {"setting": "TASK_QUEUE_ENABLE", "value": "$LEVEL", "why": why},
        {"setting": "--additional-config", "value": "$C", "why": why},
    ]


def test_a_setting_of_canns_own_is_given_to_no_check(oracle: Oracle) -> None:
    devices = OracleSetting("ASCEND_RT_VISIBLE_DEVICES", "refuse")
    reply = oracle.ask([devices, OracleSetting("X", "fine"), OracleSetting("Y", "fine")])
    assert [one.verdict for one in reply.answers] == [
        Handling.NOT_OBSERVABLE, Handling.ACCEPTED, Handling.ACCEPTED
    ]  # fmt: skip
    assert reply.answers[0].sentence == "read by CANN, which is in no wheel"
    assert not reply.conflicts
    assert oracle.at_once((devices,)) is None


def test_a_refusal_over_unknown_workers_decides_nothing(oracle: Oracle) -> None:
    givens = [OracleSetting("X", "size"), OracleSetting("Y", "refuse")]
    (sized, refused) = oracle.ask([*givens, OracleSetting("--tensor-parallel-size", "4")]).answers
    assert (sized.verdict, refused.verdict) == (Handling.REJECTED, Handling.REJECTED)
    (sized, refused) = oracle.ask([*givens, OracleSetting("--tensor-parallel-size", "")]).answers
    assert (sized.verdict, refused.verdict) == (Handling.NOT_OBSERVABLE, Handling.REJECTED)
    assert "--data-parallel-size, which are not all known here: ValueError: 8" in sized.sentence


def test_names_of_the_software_around_are_looked_up_when_no_vendor_has_them(
    oracle: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    sought: list[str] = []

    def beside(python: Path, names: set[str]) -> dict[str, tuple[str, ...]]:
        sought.extend(names)
        return {"OMP_NUM_THREADS": ("torch",)}

    monkeypatch.setattr(vendor, "mentions", lambda python, names: {"X": ("torch_npu",)})
    monkeypatch.setattr(vendor, "framework_mentions", beside)
    threads, taken, _ = oracle.alone(
        [
            OracleSetting("OMP_NUM_THREADS", "1"),
            OracleSetting("X", "fine"),
            OracleSetting("HCCL_RDMA_TC", "1"),
        ]
    )
    assert sought == ["OMP_NUM_THREADS"]
    assert threads.verdict is Handling.NOT_OBSERVABLE
    assert threads.sentence == "read by torch, which is not judged here"
    assert taken.verdict is Handling.ACCEPTED


def test_libraries_of_torch_and_vllm_are_looked_into(tmp_path: Path) -> None:
    place = tmp_path / "lib" / "python3.11" / "site-packages"
    (place / "torch" / "lib").mkdir(parents=True)
    (place / "torch" / "lib" / "libgomp.so.1").write_bytes(
        b"\0OMP_NUM_THREADS_1\0OMP_NUM_THREADS\0"
    )
    (place / "torch" / "lib" / "empty.so").touch()
    (place / "vllm").mkdir()
    (place / "vllm" / "envs.py").write_text("OMP_NUM_THREADS VLLM_X")
    names = ["OMP_NUM_THREADS", "VLLM_X", "NUM_THREADS"]
    assert vendor.framework_mentions(tmp_path / "bin" / "python", names) == {
        "OMP_NUM_THREADS": ("torch", "vllm"), "VLLM_X": ("vllm",), "NUM_THREADS": ()
    }  # fmt: skip


@pytest.mark.usefixtures("home")
def test_the_oracles_model_is_divided_by_many_workers() -> None:
    folder = wide_model.ensure_model()
    config = json.loads((folder / "config.json").read_text())
    assert all(config["num_attention_heads"] % workers == 0 for workers in (1, 2, 8, 24, 64))
    assert (folder / "tokenizer.json").is_file()
    assert wide_model.ensure_model() == folder
