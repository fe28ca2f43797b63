"""Workload files: presets are valid, and what is wrong is named by its key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trimtab.errors import WorkloadError
from trimtab.load.lengths import Lengths
from trimtab.load.presets import DEFAULT, PRESETS
from trimtab.load.workload import Workload, load_workload

GOOD = "input_tokens: 8\noutput_tokens: [1, 2]\narrival: {concurrency: 2}\n"


def write(folder: Path, text: str) -> str:
    path = folder / "mine.yaml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_workloads_that_survive_json(name: str) -> None:
    workload = load_workload(name)
    assert workload.name == name
    assert Workload.model_validate(workload.model_dump(mode="json")) == workload


def test_the_presets_that_others_rely_on() -> None:
    assert {
        DEFAULT,
        "chat",
        "rag",
        "code",
        "summarise",
        "agent",
        "batch",
        "poisson-small",
        "tiny",
    } <= set(PRESETS)
    small = load_workload("mixed-small")
    assert small.concurrency == 8
    assert small.input_tokens == Lengths(values=(32, 64, 128))
    assert small.output_tokens == Lengths(values=(16, 32, 64))
    assert (small.warmup, small.windows, small.window_requests) == (16, 16, 24)
    assert (small.max_seconds, small.request_deadline) == (15, 120)
    tiny = load_workload("tiny")
    assert (tiny.concurrency, tiny.warmup, tiny.windows, tiny.window_requests) == (4, 4, 2, 12)
    assert load_workload("rag").shared_prefix > 0
    assert load_workload("poisson-small").concurrency is None


def test_a_file_is_read(tmp_path: Path) -> None:
    workload = load_workload(write(tmp_path, GOOD + "windows: 1\nmax_seconds: 3\n"))
    assert workload.name == "mine"
    assert workload.input_tokens == Lengths(values=(8,))
    assert workload.output_tokens == Lengths(values=(1, 2))
    assert workload.concurrency == 2
    assert (workload.windows, workload.max_seconds) == (1, 3.0)
    ranged = load_workload(write(tmp_path, GOOD.replace("8", "{min: 3, max: 9}", 1)))
    assert ranged.input_tokens == Lengths(min=3, max=9)
    open_loop = load_workload(write(tmp_path, GOOD.replace("concurrency: 2", "rate: 0.5")))
    assert (open_loop.concurrency, open_loop.arrival.rate) == (None, 0.5)


def test_the_tail_keeps_every_stream_busy() -> None:
    closed = load_workload("tiny")
    assert closed.requests == 4 + 2 * 12 + 4
    opened = load_workload("poisson-small")
    assert opened.requests == opened.measured + opened.window_requests


@pytest.mark.parametrize(
    ("text", "key", "must"),
    [
        (GOOD + "windows: 0\n", "windows", "greater than or equal to 1"),
        (GOOD + "windows: '3'\n", "windows", "integer"),
        (GOOD + "windows: 2.5\n", "windows", "integer"),
        (GOOD + "windows: true\n", "windows", "integer"),
        (GOOD + "window: 3\n", "window", "not a key"),
        (GOOD + "max_seconds: .inf\n", "max_seconds", "finite"),
        (GOOD + "max_seconds: 0\n", "max_seconds", "greater than 0"),
        (GOOD + "name: ''\n", "name", "at least 1 character"),
        (GOOD + "shared_prefix: -1\n", "shared_prefix", "greater than or equal to 0"),
        (GOOD.replace("2}", "0}"), "arrival.concurrency", "greater than or equal to 1"),
        (GOOD.replace("concurrency: 2", "rate: -1.0"), "arrival.rate", "greater than 0"),
        (GOOD.replace("concurrency: 2", ""), "arrival", "exactly one"),
        (GOOD.replace("2}", "2, rate: 1.0}"), "arrival", "exactly one"),
        (GOOD.replace("{concurrency: 2}", "8"), "arrival", "dictionary"),
        (GOOD.replace("8", "0", 1), "input_tokens.values.0", "greater than or equal to 1"),
        (GOOD.replace("8", "[]", 1), "input_tokens", "at least one"),
        (GOOD.replace("8", "true", 1), "input_tokens", "number of tokens"),
        (GOOD.replace("8", "{min: 9, max: 3}", 1), "input_tokens", "min <= max"),
        (GOOD.replace("8", "{min: 9}", 1), "input_tokens", "min and max"),
        (GOOD.replace("8", "{average: 9}", 1), "input_tokens.average", "not a key"),
        (GOOD.replace("8", "{mean: 9}", 1), "input_tokens", "both numbers"),
        (GOOD.replace("8", "{mean: 9, sd: 2, median: 3}", 1), "input_tokens", "one form"),
        (GOOD.replace("8", "{edges: [1, 4], weights: [0]}", 1), "input_tokens", "above 0"),
        (GOOD.replace("2}", "2, constant: true}"), "arrival", "with a rate only"),
        (GOOD.replace("2}", "2, speed: 2}"), "arrival", "with a trace only"),
        (
            GOOD.replace("concurrency: 2", "rate: 1.0, constant: true, burstiness: 2"),
            "arrival",
            "no burstiness",
        ),
        (GOOD.replace("concurrency: 2", "trace: t.jsonl"), "", "leave them out"),
        ("arrival: {trace: none.jsonl}", "none.jsonl", "cannot be read"),
        (GOOD.replace("input_tokens", "input"), "input", "not a key"),
        ("output_tokens: 1\narrival: {concurrency: 1}", "input_tokens", "must be given"),
        (GOOD.replace("8", "1000000", 1), "prompt tokens", "at most"),
    ],
)
def test_the_wrong_key_is_named_in_one_line(
    text: str, key: str, must: str, tmp_path: Path
) -> None:
    with pytest.raises(WorkloadError, match=re.escape(must)) as caught:
        load_workload(write(tmp_path, text))
    assert key in str(caught.value)
    assert "mine.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "- 1\n",
        "just words\n",
        "",
        "a: [1, 2\n",
        "!!python/object/apply:os.getcwd []\n",
        GOOD + "windows: 1\nwindows: 2\n",
        "a: &a [1]\nb: *a\n",
        "#" * 1_000_001,
        "[" * 5000,
    ],
)
def test_what_is_no_plain_mapping_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(WorkloadError, match=r"mine\.yaml") as caught:
        load_workload(write(tmp_path, text))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("source", ["absent", "", ".", "a\0b"])
def test_what_is_neither_preset_nor_file_lists_the_presets(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WorkloadError, match="mixed-small"):
        load_workload(source)
