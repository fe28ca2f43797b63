"""``bench``, ``compare`` and ``capacity`` measure the server that is named, dry runs included."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import of_platform
from tests.json_page import commands
from tests.support.show_samples import profile_of
from trimtab.cli import app
from trimtab.model import Settings
from trimtab.profiles.profile import EngineId, write_profile
from trimtab.study.artifacts import advise
from trimtab.study.options import Options
from trimtab.study.session import open_session

Run = Callable[..., tuple[int, str, str]]
SLO = "ttft_p99<=500ms"
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("bench",),
    ("compare", "stock", "eager=True"),
    ("capacity", "--slo", SLO),
)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["trimtab", *words])
        code = app.run()
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text('{"vocab_size": 1000, "torch_dtype": "bfloat16"}')
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return str(folder)


def measured(told: tuple[int, str, str]) -> dict[str, Any]:
    code, out, err = told
    assert code == 0, err
    shown: dict[str, Any] = json.loads(out)
    notes = [json.loads(line)["text"] for line in err.splitlines()]
    assert [note.split()[0] for note in notes[:3]] == ["engine", "model", "workload"]
    assert shown["dry_run"] is True
    commands()["bench --dry-run"].require(shown)
    return shown


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_a_command_names_the_server(
    words: tuple[str, ...], run: Run, model: str, tmp_path: Path
) -> None:
    script = of_platform(tmp_path / "env", "rocm")
    served = (str(script), "serve", model, "--max-num-seqs", "64")
    file = tmp_path / "serve.sh"
    file.write_text(" ".join(served) + "\n")
    for way in (("--", *served), ("--baseline", str(file))):
        shown = measured(run(*words, "--dry-run", "--json", *way))
        assert shown["measures"]["path"] == str(script)
        assert (shown["measures"]["platform"], shown["measures"]["model"]) == ("rocm", model)
        plan = next(iter(shown["commands"].values()))
        assert f"{script} serve {model}" in plan
        assert "--max-num-seqs 64" in plan
    code, out, err = run(*words, "--dry-run", "--", *served)
    assert code == 0
    first = err.splitlines()[0]
    assert first == f"engine    vllm 0.32.0+rocm700 on rocm, {script}"
    assert out.startswith("Would make ")


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_what_is_measured_is_named_once(
    words: tuple[str, ...], run: Run, model: str, tmp_path: Path
) -> None:
    script = of_platform(tmp_path / "env", "cuda")
    file = tmp_path / "serve.sh"
    file.write_text(f"{script} serve {model}\n")
    command = ("--", str(script), "serve", model)
    named = (words[0], *([str(file)] * (2 if words[0] == "compare" else 1)))
    targets = (*named, *(words[1:] if words[0] == "capacity" else ()))
    for beside, said in (
        (command, "leave the command out"),
        (("--baseline", str(file)), "leave --baseline out"),
        (("--demo",), "leave --demo out"),
    ):
        code, out, err = run(*targets, "--dry-run", *beside)
        assert (code, out, said in err) == (2, "", True)
    code, _, err = run(*words, "--dry-run", "--demo", *command)
    assert (code, "--demo serves the built-in model" in err) == (2, True)
    code, _, err = run(*words, "--dry-run", "--", "vllm", "serve", model)
    assert (code, "no vllm is on PATH" in err) == (1, True)
    code, _, err = run(*words, "extra", "more", "--dry-run")
    assert (code, "a command goes behind '--'" in err) == (2, True)
    code, _, err = run(*words, "--dry-run", "--resume")
    assert (code, "leave --resume out" in err) == (2, True)


def test_a_preset_and_a_profile_are_compared_on_their_own_servers(
    run: Run, model: str, tmp_path: Path
) -> None:
    cuda, rocm = (of_platform(tmp_path / one, one) for one in ("cuda", "rocm"))
    file = tmp_path / "tomorrow.sh"
    file.write_text(f"{rocm} serve {model}\n")
    shown = measured(
        run("compare", "stock", str(file), "--dry-run", "--json", "--", str(cuda), "serve", model)
    )
    assert f"{cuda} serve" in shown["commands"]["stock"]
    assert f"{rocm} serve" in shown["commands"]["tomorrow.sh"]


@pytest.mark.parametrize("words", [("bench",), ("capacity", "--slo", SLO)])
@pytest.mark.parametrize(
    "beside",
    [
        ("--demo",),
        ("--engine", "scripted"),
        ("--engine-python", "python3"),
        ("--baseline", "x.sh"),
        ("--", "vllm", "serve", "m"),
    ],
)
def test_a_server_that_runs_is_named_alone(
    words: tuple[str, ...], beside: tuple[str, ...], run: Run
) -> None:
    code, out, err = run(*words, "--url", "http://127.0.0.1:1", *beside)
    name = "the command" if beside[0] == "--" else beside[0]
    assert (code, out) == (2, "")
    assert f"--url measures a server that runs: leave {name} out" in err


def test_the_plan_has_its_starts_and_no_folder(
    run: Run, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    engine = ("--engine", "scripted", "--dry-run", "--json")
    assert measured(run("bench", *engine, "--starts", "6"))["starts"] == [6, 6]
    assert measured(run("compare", "stock", "stock", *engine))["starts"] == [8, 24]
    assert measured(run("compare", "stock", "stock", *engine, "--pairs", "3"))["starts"] == [6, 6]
    shown = measured(run("capacity", "--slo", SLO, *engine))
    assert (shown["starts"], shown["minutes"]) == ([4, 5], None)
    assert [one.name for one in tmp_path.iterdir()] == ["model"]


def test_a_profile_is_measured_with_its_own_model(run: Run, model: str, tmp_path: Path) -> None:
    script = of_platform(tmp_path / "env", "cuda")
    for served in ("Org/Name-7B", model):
        plain = profile_of(Settings(argv=(str(script), "serve", served)))
        path = tmp_path / "profile.mine.yaml"
        write_profile(replace(plain, model=served, engine=EngineId("python", "0.32.0", {})), path)
        shown = measured(run("bench", str(path), "--dry-run", "--json"))
        assert shown["measures"]["model"].partition(" (")[0] == served
        assert f"{script} serve {served}" in shown["commands"]["profile.mine.yaml"]
    other = of_platform(tmp_path / "other", "rocm")
    code, _, err = run("bench", str(path), "--dry-run", "--engine-python", str(other))
    assert (code, f"profile.mine.yaml starts {script}, but --engine-python names" in err) == (2, 1)


def test_what_a_next_command_needs_names_the_secrets(tmp_path: Path) -> None:
    command = ("vllm", "serve", "m", "--api-key", "abcdef123")
    session = open_session(Options(engine="scripted", baseline=command), lambda _: None)
    found = advise(session, (), tmp_path, {})
    assert found.larger_cost.endswith("; API_KEY in the environment")
    assert found.confirm_cost.endswith("; API_KEY in the environment")
    plain = open_session(Options(engine="scripted"), lambda _: None)
    assert "environment" not in advise(plain, (), tmp_path, {}).larger_cost


def test_what_a_preset_cannot_set_is_said_after_the_header(run: Run, tmp_path: Path) -> None:
    model = tmp_path / "m"
    model.mkdir()
    (model / "config.json").write_text('{"vocab_size": 1000}')
    script = of_platform(tmp_path / "env", "ascend")
    command = ("--dry-run", "--", str(script), "serve", str(model))
    for words in (("bench", "guide-v1"), ("compare", "stock", "guide-v1")):
        code, _, err = run(*words, *command)
        lines = err.splitlines()
        assert code == 0
        assert [line.split()[0] for line in lines[:3]] == ["engine", "model", "workload"]
        assert [
            line for line in lines[3:] if line.startswith("guide-v1 without container-image: ")
        ]
