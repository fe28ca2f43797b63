"""Commands in a terminal of 80 columns and in a pipe: whole words, and nothing that steers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contracts.machines import HOSTS
from tests.terminals import STYLE, in_pipe, in_terminal, too_long

A2 = ("--snapshot", str(HOSTS / "a2-openeuler"))
SCRIPT = """export OMP_NUM_THREADS=100
export HCCL_BUFFSIZE=0
docker run --device /dev/davinci0 quay.io/ascend/vllm-ascend:v0.18.0 \
  vllm serve Qwen/Qwen2.5-0.5B-Instruct --gpu-memory-utilisation 0.9 --max-num-seqs 256
"""
COMMANDS = {
    "tune": ("tune", "--engine", "simulated", "--landscape", "L1", "--budget", "8"),
    "tune refused": ("tune", "--engine", "simulated", "--landscape", "nowhere"),
    "tune --dry-run": ("tune", "--engine", "scripted", "--dry-run"),
    "tune --dry-run -v": ("tune", "--engine", "scripted", "--dry-run", "-v"),
    "tune --slo refused": ("tune", "--engine", "scripted", "--slo", "ttft_p99<=1"),
    "show refused": ("show", "nowhere"),
    "bench refused": ("bench", "--engine", "scripted", "--workload", "nowhere"),
    "compare refused": ("compare", "stock", "nowhere.yaml", "--engine", "scripted"),
    "capacity refused": ("capacity", "--engine", "scripted", "--slo", "nothing<=1ms"),
    "workload list": ("workload", "list"),
    "workload show": ("workload", "show", "chat"),
    "workload refused": ("workload", "show", "nowhere"),
    "lint": ("lint", "serve.sh"),
    "lint --all": ("lint", "--all", "serve.sh"),
    "lint refused": ("lint", "nowhere.sh"),
    "doctor": ("doctor", *A2),
    "doctor --all": ("doctor", "--all", *A2),
    "doctor refused": ("doctor", "--python", "./serve.sh"),
    "diff": ("diff", "guide", "image-a2"),
    "diff refused": ("diff", "guide", "nowhere"),
    "catalog": ("catalog", "--layer", "hccl"),
    "catalog NAME": ("catalog", "ascend-*", "jemalloc"),
    "catalog --rules": ("catalog", "--rules"),
    "catalog refused": ("catalog", "nowhere"),
    "oracle refused": ("oracle", "check"),
    "export": ("export", "--preset", "guide", *A2, "--format", "docker", "--output", "made"),
    "export refused": ("export", "nowhere.yaml"),
    "run refused": ("run", "--profile", "nowhere.yaml"),
    "host plan": ("host", "plan", "--preset", "guide", *A2),
    "host status": ("host", "status", "--state", "state"),
    "host refused": ("host", "plan", "--set", "nothing=1"),
    "prepare": ("prepare", "--check", *A2),
    "prepare --dry-run": ("prepare", "--dry-run", *A2),
    "prepare refused": ("prepare", "--check", "--release", "nothing"),
    "engine list": ("engine", "list"),
    "engine refused": ("engine", "install", "nothing"),
    "python list": ("python", "list"),
    "python refused": ("python", "verify", "nothing"),
    "no command": ("nothing",),
}
cases = pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS.keys())


@pytest.fixture(autouse=True)
def folder(home: Path, tmp_path: Path) -> None:
    (tmp_path / "serve.sh").write_text(SCRIPT)


@cases
def test_a_terminal_of_80_columns_shows_whole_words(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    code, text = in_terminal(words, tmp_path, NO_COLOR="1")
    assert text.strip(), "it says something"
    assert not STYLE.search(text), "NO_COLOR is set"
    assert not too_long(text)
    assert code in (0, 1, 2)
    assert "Traceback" not in text


@cases
def test_a_pipe_gets_neither_colours_nor_bars(words: tuple[str, ...], tmp_path: Path) -> None:
    _, out, err = in_pipe(words, tmp_path)
    for text in (out, err):
        assert not {"\x1b", "\r", "━"} & set(text)


def test_a_terminal_has_colours_unless_they_are_not_wanted(tmp_path: Path) -> None:
    for words in (("lint", "serve.sh"), ("doctor", *A2), ("catalog", "--layer", "hccl")):
        assert STYLE.search(in_terminal(words, tmp_path)[1])


@pytest.mark.parametrize(
    ("words", "fields"),
    [(("catalog",), 4), (("catalog", "--rules"), 4), (("diff", "guide", "image-a2"), 3)],
)
def test_a_list_in_a_pipe_has_a_line_for_each_entry(
    words: tuple[str, ...], fields: int, tmp_path: Path
) -> None:
    _, out, _ = in_pipe(words, tmp_path)
    rows = [line.split("\t") for line in out.splitlines() if "\t" in line]
    assert len(rows) > 15
    assert {len(row) for row in rows} == {fields}


def test_a_wider_terminal_is_used(tmp_path: Path) -> None:
    narrow = in_terminal(("doctor", "--all", *A2), tmp_path, 80)[1].splitlines()
    wide = in_terminal(("doctor", "--all", *A2), tmp_path, 200)[1].splitlines()
    whole = in_terminal(("doctor", "--all", "--wide", *A2), tmp_path, 80)[1].splitlines()
    assert len(narrow) > len(wide) > len(whole)
