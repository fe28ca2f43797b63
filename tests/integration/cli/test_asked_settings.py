"""A setting that is asked for is tested, or refused with a sentence that says what to do."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakes import of_platform
from trimtab.cli import app

Run = Callable[..., tuple[int, str, str]]

CPU_ONLY = "is not tested here: a study tries it on cpu only, and the platform is cuda"
ASCEND = "it acts on ascend, and the platform is cuda"
BY_HAND = "write it into a copy of your command, and run 'trimtab compare' with the two files"

REFUSED = [
    ("--try", "gpu-memory-utilization=0.95", BY_HAND),
    ("--try", "--gpu_memory_utilization=0.95", "did you mean gpu-memory-utilization?"),
    ("--try", "GPU-MEMORY-UTILIZATION=0.95", "did you mean gpu-memory-utilization?"),
    ("--try", "HCCL_BUFFSIZE=1024", "did you mean hccl-buffsize?"),
    ("--try", "hccl-buffsize=1024", f"--try hccl-buffsize is not tested here: {ASCEND}"),
    ("--try", "TASK_QUEUE_ENABLE=2", "did you mean task-queue?"),
    ("--try", "Task-Queue=2", "did you mean task-queue?"),
    ("--try", "task-queue=2", f"--try task-queue is not tested here: {ASCEND}"),
    ("--try", "max-num-seqs=64", f"--try max-num-seqs {CPU_ONLY}"),
    ("--try", "dtype=float32", f"--try dtype {CPU_ONLY}"),
    ("--try", "eager=False", "eager must be True, but is 'False'"),
    ("--try", "nosuch=1", "'trimtab catalog' lists all"),
    ("--try", "eager", "--try must be TUNING=VALUE"),
    ("--only", "max-num-seqs", f"--only max-num-seqs {CPU_ONLY}"),
    ("--only", "--max-num-seqs", "did you mean max-num-seqs?"),
    ("--only", "hccl-*", f"--only hccl-* is not tested here: {ASCEND}"),
    ("--only", "OMP_NUM_THREADS", "did you mean omp-threads?"),
    ("--skip", "OMP_NUM_THREADS", "did you mean omp-threads?"),
    ("--arm", "guide", "--arm guide is not measured here, because nothing on cuda reads"),
    ("--arm", "GUIDE", "no preset is called 'GUIDE'"),
    ("--arm", "stock", "--arm stock is the baseline"),
]


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text('{"vocab_size": 1000, "torch_dtype": "bfloat16"}')
    monkeypatch.setenv("PATH", "/usr/bin:/bin")

    def call(platform: str, *words: str) -> tuple[int, str, str]:
        folder = tmp_path / platform
        script = folder / "bin" / "vllm"
        script = script if script.exists() else of_platform(folder, platform)
        command = (*words, "--dry-run", "--", str(script), "serve", str(model))
        monkeypatch.setattr(sys, "argv", ["trimtab", *command])
        code = app.run()
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.mark.parametrize(("option", "value", "said"), REFUSED)
def test_what_is_not_tested_is_refused_in_one_line(
    option: str, value: str, said: str, run: Run
) -> None:
    code, out, err = run("cuda", "tune", option, value)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert said in err


@pytest.mark.parametrize("value", ["True", "true", "on", "1"])
def test_a_switch_is_on_in_every_spelling(value: str, run: Run) -> None:
    code, out, err = run("rocm", "tune", "--json", "--try", f"eager={value}")
    assert code == 0, err
    space = {one["name"]: one for one in json.loads(out)["space"]}
    assert "eager" in space
    code, out, _ = run("rocm", "compare", "stock", f"eager={value}")
    assert code == 0
    assert "--enforce-eager" in out


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("gpu-memory-utilization=0.95", BY_HAND),
        ("task-queue=1", f"task-queue=1 cannot be measured here: {ASCEND}"),
        ("TASK_QUEUE_ENABLE=1", "did you mean task-queue?"),
        ("max-num-seqs=abc", "max-num-seqs must be 8, but is 'abc'"),
    ],
)
def test_compare_refuses_alike(value: str, said: str, run: Run) -> None:
    code, out, err = run("cuda", "compare", "stock", value)
    assert (code, out, said in err) == (2, "", True)
