"""Prompts that people wrote: formats, limits, and what is wrong named by its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import default_rng

from tests.support.scripted import scripted
from trimtab.errors import WorkloadError
from trimtab.load.prompts import PromptText, pick, read_texts, tokenizer
from trimtab.load.requests import build_requests
from trimtab.load.runner import run_load
from trimtab.load.workload import load_workload


def words(text: str) -> tuple[int, ...]:
    return tuple(300 + sum(word.encode()) % 600 for word in text.split())


def sharegpt(folder: Path, count: int) -> Path:
    said = [
        {
            "conversations": [
                {"from": "human", "value": f"question number {n} of them all"},
                {"from": "gpt", "value": "an answer of six words here"},
                {"from": "human", "value": "more"},
            ]
        }
        for n in range(count)
    ]
    path = folder / "sharegpt.json"
    path.write_text(json.dumps(said))
    return path


def mine(folder: Path, prompts: str) -> str:
    path = folder / "mine.yaml"
    path.write_text(
        f"prompts: {prompts}\narrival: {{concurrency: 2}}\nwarmup: 2\nwindows: 1\n"
        "window_requests: 6\n"
    )
    return str(path)


def test_sharegpt_gives_first_question_and_the_length_of_its_answer(tmp_path: Path) -> None:
    texts = read_texts(sharegpt(tmp_path, 3))
    assert texts[2] == PromptText("question number 2 of them all", "an answer of six words here")
    (one, *_) = pick(texts, 3, default_rng(1), words, where="f")
    assert len(one[0]) == 6
    assert one[1] == 6


def test_json_lines_say_their_lengths(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text('{"prompt": "a b c d", "output_tokens": 9}\n\n')
    assert read_texts(path) == [PromptText("a b c d", output_tokens=9)]


def test_what_no_request_can_be_made_of_is_passed_over() -> None:
    texts = [
        PromptText("one two three four five", output_tokens=5),
        PromptText("one two three four five", output_tokens=6),  # the same prompt again
        PromptText("too short", "an answer of five words"),
        PromptText("one two three four six", "short"),
        PromptText("w " * 1025, "an answer of five words"),
        PromptText("w " * 1000, "w " * 1049),
        PromptText("", output_tokens=5),
    ]
    said: list[str] = []
    with pytest.raises(WorkloadError, match=r"needs 2 different ones, but of 7 there are 1"):
        pick(texts, 2, default_rng(0), words, where="f", say=said.append)
    (sentence,) = said
    assert sentence.startswith("6 of 7 prompts of f were left out")


def test_ones_own_prompts_may_have_any_length() -> None:
    texts = [PromptText("w " * 5000, output_tokens=1), PromptText("one", output_tokens=3000)]
    said: list[str] = []
    found = pick(texts, 2, default_rng(0), words, where="f", say=said.append)
    assert sorted((len(prompt), wanted) for prompt, wanted in found) == [(1, 3000), (5000, 1)]
    assert said == []


def test_what_was_left_out_is_told_with_the_load(tmp_path: Path) -> None:
    said = [json.loads(sharegpt(tmp_path, 10).read_text())] * 2  # each comes twice
    (tmp_path / "sharegpt.json").write_text(json.dumps([*said[0], *said[1]]))
    workload = load_workload(mine(tmp_path, "sharegpt.json"))
    with scripted(tmp_path) as server:
        load = run_load(server.url, "scripted-model", workload, 5, vocab=1000)
    assert "were left out" in load.marks["prompts-left-out"]


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused_with_its_name(text: str) -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        path = Path(folder) / "f.json"
        path.write_text(text, encoding="utf-8", errors="replace")
        try:
            found = read_texts(path)
        except WorkloadError as error:
            named = str(path) in str(error)
        else:
            named = bool(found)
        assert named


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "holds no prompt"),
        ("[{}]", "entry 1: must hold"),
        ("[1", "must be JSON"),
        ('{"prompt": "x", "output_tokens": 0}', "line 1: must hold"),
        ('{"prompt": "x", "output_tokens": 3}\n{', "line 2: must be JSON"),
        ('[{"conversations": [{"from": "human", "value": "alone"}]}]', "holds no prompt"),
    ],
)
def test_a_wrong_file_is_named_with_its_place(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    path.write_text(text)
    with pytest.raises(WorkloadError, match=says):
        read_texts(path)


def test_written_prompts_reach_the_server_as_its_own_tokens(tmp_path: Path) -> None:
    sharegpt(tmp_path, 40)
    workload = load_workload(mine(tmp_path, "sharegpt.json"))
    assert workload.prompts == str(tmp_path / "sharegpt.json")
    assert workload.prompts_sha256 is not None
    requests = build_requests(workload, 5, 1000, words)
    assert build_requests(workload, 5, 1000, words) == requests
    assert build_requests(workload, 6, 1000, words) != requests
    with scripted(tmp_path) as server:
        assert tokenizer(server.url, "m", None)("hello you") == words("hello you")
        load = run_load(server.url, "scripted-model", workload, 5, vocab=1000)
    assert load.failed == ""
    assert {one.prompt_tokens for one in load.records} == {6}
    assert {one.output_tokens for one in load.records} == {6}


def test_a_server_that_does_not_tokenize_is_named(tmp_path: Path) -> None:
    with pytest.raises(WorkloadError, match="/tokenize must turn prompts into tokens"):
        tokenizer("http://127.0.0.1:9", "m", None)("x")
    (tmp_path / "sharegpt.json").write_text("[]")
    path = Path(mine(tmp_path, "sharegpt.json"))
    path.write_text(path.read_text() + "input_tokens: 3\n")
    with pytest.raises(WorkloadError, match="prompts bring input_tokens"):
        load_workload(str(path))
    with pytest.raises(WorkloadError, match=r"prompts .*absent.* cannot be read"):
        load_workload(mine(tmp_path, "absent.json"))


def test_a_load_of_conversations_is_served(tmp_path: Path) -> None:
    text = (
        "input_tokens: 8\noutput_tokens: 4\nturns: {min: 1, max: 4}\narrival: {concurrency: 3}\n"
        "warmup: 3\nwindows: 2\nwindow_requests: 9\n"
    )
    (tmp_path / "talk.yaml").write_text(text)
    workload = load_workload(str(tmp_path / "talk.yaml"))
    with scripted(tmp_path) as server:
        load = run_load(server.url, "scripted-model", workload, 5, vocab=1000)
    assert load.failed == ""
    assert len(load.windows) == 2
    by_index = {one.index: one for one in load.records}
    for index, one in by_index.items():
        if index >= 3:  # what came before on its stream had ended
            assert by_index[index - 3].done <= one.sent
