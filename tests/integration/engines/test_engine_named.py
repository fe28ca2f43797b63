"""A command that names its program is measured with that program, however it is written."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakes import BUILDS, of_platform
from trimtab.cli import app
from trimtab.environments.distributions import script_interpreter
from trimtab.errors import UsageError
from trimtab.measurement.targets import open_pair, open_target
from trimtab.study.baseline import parse
from trimtab.study.engine_choice import choose, remarks
from trimtab.study.options import Options

Tune = Callable[..., tuple[int, str, str]]

SHOWN = {
    "cuda": "0.32.0 on cuda",
    "rocm": "0.32.0+rocm700 on rocm",
    "xpu": "0.32.0+xpu on xpu",
    "tpu": "0.32.0+tpu on tpu",
    "cpu": "0.32.0+cpu on cpu",
    "ascend": "0.32.0+empty on ascend",
    "unknown": "0.32.0+empty on an unknown platform",
}


@pytest.fixture
def model(tmp_path: Path) -> str:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text('{"vocab_size": 1000, "torch_dtype": "bfloat16"}')
    return str(folder)


@pytest.fixture
def tune(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tune:
    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["trimtab", "tune", "--dry-run", *words])
        code = app.run()
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def on_path(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def put(*scripts: Path) -> None:
        folders = [str(one.parent) for one in scripts]
        monkeypatch.setenv("PATH", os.pathsep.join([*folders, "/usr/bin", "/bin"]))

    put()
    return put


def engine_line(told: tuple[int, str, str]) -> str:
    code, _, err = told
    assert code == 0, err
    first, second, third = err.splitlines()[:3]
    assert (second.split()[0], third.split()[0]) == ("model", "workload")
    return first


@pytest.mark.parametrize("platform", BUILDS)
def test_the_header_names_the_build(
    platform: str, tmp_path: Path, model: str, tune: Tune, on_path: Callable[..., None]
) -> None:
    script = of_platform(tmp_path / "env", platform)
    on_path(script)
    expected = f"engine    vllm {SHOWN[platform]}, {script}"
    assert engine_line(tune("--", "vllm", "serve", model)) == expected
    assert engine_line(tune("--", str(script), "serve", model)) == expected
    assert engine_line(tune("--model", model)) == expected
    _, out, _ = tune("--json", "--", "vllm", "serve", model)
    shown = json.loads(out)
    assert (shown["guide"] is not None) == (platform == "ascend")
    assert shown["measures"]["platform"] == platform
    arm = [name for name in shown["guide"] or () if name.startswith(("hccl", "task-queue"))]
    tested = [one["name"] for one in shown["space"] if one["name"].startswith(("hccl", "task-q"))]
    assert bool(arm) == (platform == "ascend")
    assert tested == [] or platform == "ascend"


def test_the_first_of_two_on_path_is_measured(
    tmp_path: Path, model: str, tune: Tune, on_path: Callable[..., None]
) -> None:
    cuda, rocm = (of_platform(tmp_path / one, one) for one in ("cuda", "rocm"))
    on_path(rocm, cuda)
    assert engine_line(tune("--", "vllm", "serve", model)).endswith(str(rocm))
    rocm.chmod(0o644)  # a shell goes on to the next
    assert engine_line(tune("--", "vllm", "serve", model)).endswith(str(cuda))


def linked(script: Path, tmp_path: Path) -> str:
    """A link beside other commands, as pipx and uv make it."""
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "vllm").symlink_to(script)
    return str(tmp_path / "local" / "vllm")


def shim(script: Path, tmp_path: Path) -> str:
    (tmp_path / "shims").mkdir()
    made = tmp_path / "shims" / "vllm"
    made.write_text(f'#!/bin/sh\nset -e\nexec "{script}" "$@"\n')
    made.chmod(0o755)
    return str(made)


def conda(script: Path, tmp_path: Path) -> str:
    """An environment of conda has no pyvenv.cfg; the first line alone tells."""
    python = script.with_name("python3.11")
    shutil.copy(script.parent / "python", python, follow_symlinks=False)
    script.write_text(f"#!{python}\n# -*- coding: utf-8 -*-\nimport re\n")
    return str(script)


def relative(script: Path, tmp_path: Path) -> str:
    return f"./{script.relative_to(tmp_path)}"


@pytest.mark.parametrize("way", [linked, shim, conda, relative])
def test_a_command_is_followed_to_its_environment(
    way: Callable[[Path, Path], str],
    tmp_path: Path,
    model: str,
    tune: Tune,
    on_path: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    on_path(of_platform(tmp_path / "other", "cpu"))
    monkeypatch.chdir(tmp_path)
    program = way(of_platform(tmp_path / "env", "cuda"), tmp_path)
    line = engine_line(tune("--", program, "serve", model))
    assert line == f"engine    vllm 0.32.0 on cuda, {tmp_path / program}"


@pytest.mark.parametrize(
    "words",
    [
        ["env", "A=1", "vllm", "serve"],
        ["B=1", "vllm", "serve"],
        ["exec", "vllm", "serve"],
        ["nohup", "env", "A=1", "B=2", "vllm", "serve"],
        ["python3", "-m", "vllm.entrypoints.cli.main", "serve"],
        ["python", "-m", "vllm.entrypoints.openai.api_server", "--model"],
    ],
)
def test_words_before_the_program_change_nothing(
    words: list[str], tmp_path: Path, model: str, tune: Tune, on_path: Callable[..., None]
) -> None:
    script = of_platform(tmp_path / "env", "rocm")
    script.with_name("python3").symlink_to(script.with_name("python"))
    on_path(script)
    line = engine_line(tune("--", *words, model))
    assert line == f"engine    vllm {SHOWN['rocm']}, {script}"


def test_a_program_that_cannot_be_started_is_one_line(
    tmp_path: Path, model: str, tune: Tune, on_path: Callable[..., None]
) -> None:
    script = of_platform(tmp_path / "env", "cuda")
    script.chmod(0o644)
    on_path(script)
    for words, said in (
        (["--", str(script), "serve", model], f"program {script} is not executable: "),
        (["--", "vllm", "serve", model], f"no vllm is on PATH ({script} is not executable), "),
        (["--model", model], f"no vllm is on PATH ({script} is not executable) to serve "),
        (["--", "/nosuch/vllm", "serve", model], "program /nosuch/vllm is not there: "),
    ):
        code, out, err = tune(*words)
        assert (out, len(err.splitlines())) == ("", 1)
        typed = words[0] == "--" and "/" in words[1]
        assert code == (2 if typed else 1)
        assert said in err


def test_the_commands_own_program_comes_before_engine_python(
    tmp_path: Path, model: str, tune: Tune, on_path: Callable[..., None]
) -> None:
    cuda, rocm = (of_platform(tmp_path / one, one) for one in ("cuda", "rocm"))
    python = cuda.with_name("python")
    on_path(cuda)
    for same in (str(cuda), str(python), str(cuda.parents[1])):
        line = engine_line(tune("--engine-python", same, "--", "vllm", "serve", model))
        assert line == f"engine    vllm 0.32.0 on cuda, {cuda}"
    for words in (["vllm"], [str(cuda)], ["python", "-m", "vllm"]):
        other = str(rocm.with_name("python"))
        code, out, err = tune("--engine-python", other, "--", *words, "serve", model)
        assert (code, out, len(err.splitlines())) == (2, "", 1)
        starts = str(cuda if words[0] != "python" else python)
        assert f"the command starts {starts}, but --engine-python names {other}: leave" in err
    code, _, err = tune("--engine-python", "/nosuch", "--", "vllm", "serve", model)
    assert (code, "--engine-python names /nosuch" in err) == (2, True)
    code, _, err = tune("--engine", "vllm", "--", str(rocm), "serve", model)
    assert (code, f"starts {rocm}, but --engine vllm means {cuda}" in err) == (2, True)


def test_engine_python_serves_where_the_command_names_no_program_that_is_here(
    tmp_path: Path, model: str, tune: Tune, on_path: Callable[..., None]
) -> None:
    script = of_platform(tmp_path / "env", "cuda")
    given = ("--engine-python", str(script))
    for words in (
        ["vllm", "serve", model],
        ["/opt/elsewhere/vllm", "serve", model],
        ["docker", "run", "--gpus", "all", "vllm/vllm-openai:v0.32.0", "--model", model],
    ):
        line = engine_line(tune(*given, "--", *words))
        assert line == f"engine    vllm 0.32.0 on cuda, {script}"


@pytest.mark.parametrize("tool", ["docker", "podman"])
def test_an_image_names_no_program_here(
    tool: str, tmp_path: Path, model: str, tune: Tune, on_path: Callable[..., None]
) -> None:
    words = [tool, "run", "--entrypoint", "/opt/venv/bin/vllm", "image:1", "serve", model]
    assert parse(words).program == ""
    code, _, err = tune("--", *words)
    assert (code, f"no vllm is on PATH to serve {model}" in err) == (1, True)
    script = of_platform(tmp_path / "env", "cuda")
    on_path(script)
    told = tune("--", *words)
    assert engine_line(told) == f"engine    vllm 0.32.0 on cuda, {script}"
    assert "the image image:1 does not apply here" in told[2].splitlines()[3]


def test_a_script_that_does_not_say_its_interpreter_needs_one(
    tmp_path: Path, model: str, tune: Tune, on_path: Callable[..., None]
) -> None:
    (tmp_path / "shims").mkdir()
    opaque = tmp_path / "shims" / "vllm"
    opaque.write_text('#!/usr/bin/env bash\nexec pyenv exec vllm "$@"\n')
    opaque.chmod(0o755)
    on_path(opaque)
    code, _, err = tune("--", "vllm", "serve", model)
    assert (code, "name it with --engine-python" in err) == (1, True)
    script = of_platform(tmp_path / "env", "cuda")
    line = engine_line(tune("--engine-python", str(script), "--", "vllm", "serve", model))
    assert line.endswith(str(script))


def test_the_first_line_of_a_script_decides(tmp_path: Path) -> None:
    own, other = (of_platform(tmp_path / one, "cuda") for one in ("own", "other"))
    own.write_text(f"#!{other.with_name('python')}\n")
    assert script_interpreter(own) == other.with_name("python")
    own.write_text("#!/moved/away/bin/python\n")
    assert script_interpreter(own) == own.with_name("python")


def test_another_engine_is_told_beside_the_command() -> None:
    command = parse(["/opt/vllm/bin/vllm", "serve", "m"])
    options = Options(model="m", engine="scripted")
    assert choose(options, command) == options
    (said,) = remarks(options, command)
    assert said.endswith("does not start its /opt/vllm/bin/vllm")
    assert list(remarks(Options(model="m"), command)) == []


def test_a_target_starts_what_it_names(
    tmp_path: Path, model: str, on_path: Callable[..., None]
) -> None:
    cuda, rocm = (of_platform(tmp_path / one, one) for one in ("cuda", "rocm"))
    on_path(cuda)
    today = tmp_path / "today.sh"
    today.write_text(f"{rocm} serve {model}\n")
    other = Options(engine_python=str(cuda))
    with pytest.raises(UsageError, match=r"the command starts .*rocm/bin/vllm, but"):
        open_target(str(today), other, lambda _: None)
    with pytest.raises(UsageError, match=r"the command starts .*rocm/bin/vllm, but"):
        open_pair(("stock", str(today)), other, lambda _: None)
    today.write_text(f"/nosuch/vllm serve {model}\n")
    with pytest.raises(UsageError, match="is not there"):
        open_target(str(today), Options(), lambda _: None)
