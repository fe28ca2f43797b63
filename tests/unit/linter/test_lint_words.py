"""Words of a command: placeholders hide nothing, and JSON that a shell takes apart is said."""

from __future__ import annotations

import pytest

from trimtab import linter
from trimtab.model.situation import Situation


def argv(text: str) -> tuple[str, ...]:
    (launch,) = linter.read("run.sh", text).launches
    return launch.argv


def rules(text: str) -> list[tuple[str, str, int]]:
    return [
        (one.rule, one.setting, one.place.line)
        for one in linter.check(linter.read("run.sh", text), Situation())
        if one.place and one.severity.value != "info"
    ]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("vllm serve <model> --x 1", ("<model>", "--x", "1")),
        ("vllm serve <your model> --x <port>", ("<your model>", "--x", "<port>")),
        ("vllm serve <model>\\\n --x 1", ("<model>", "--x", "1")),
        ("vllm serve /p/<name>/q --x=<a.b-c>", ("/p/<name>/q", "--x=<a.b-c>")),
        ("vllm serve http://<host>:8000 --x 1", ("http://<host>:8000", "--x", "1")),
        ('vllm serve "<model>" --x 1', ("<model>", "--x", "1")),
        ("vllm serve <org>/<model> --x 1", ("<org>/<model>", "--x", "1")),
        ("vllm serve m --x 1 < in > out", ("m", "--x", "1")),
        ("vllm serve m <in 2> err", ("m",)),
        ("vllm serve m <<< word > out", ("m",)),
        ("vllm serve m < <(echo) >out", ("m",)),
        ("vllm serve m <in>out", ("m",)),
        ("vllm serve m <<E >f\n<b>\nE", ("m",)),
    ],
)
def test_a_placeholder_is_a_word_and_a_redirection_is_none(
    line: str, words: tuple[str, ...]
) -> None:
    assert argv(line + "\n") == ("vllm", "serve", *words)


LOST = [("quotes-lost", "--hf-overrides", 1)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('{"a":1}', LOST),
        ('{"a":{"b":"c"}}', LOST),
        ('"{"a":1}"', LOST),
        ("'{\"a\":1}'", []),
        ('"{\\"a\\":1}"', []),
        ('\\{\\"a\\":1\\}', []),
        ('"{\\"a\\":\\"$X\\"}"', []),
        ("$X", []),
        ("\"{'a': 1}\"", []),
        ('"{a: 1}"', []),
    ],
)
@pytest.mark.parametrize(
    "line", ["vllm serve m --hf-overrides {}", "vllm serve m --hf-overrides={}"]
)
def test_json_that_loses_its_quotes_is_said(
    line: str, value: str, expected: list[tuple[str, str, int]]
) -> None:
    assert rules(line.format(value) + "\n") == expected


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("X='{\"a\": 1}'\nvllm serve m --hf-overrides $X\n", 2),
        ('docker run vllm/vllm-openai m \\\n  --hf-overrides {"a":1}\n', 2),
        ("ssh h vllm serve m --hf-overrides '{\"a\":1}'\n", 1),
    ],
)
def test_json_is_lost_in_other_ways(text: str, line: int) -> None:
    assert rules(text) == [("quotes-lost", "--hf-overrides", line)]


def test_a_variable_between_quotes_keeps_its_json() -> None:
    assert rules('X=\'{"a": 1}\'\nvllm serve m --hf-overrides "$X"\n') == []


def test_own_names_of_a_script_need_no_export() -> None:
    text = "VLLM_ROOT=/x\nVLLM_PID=$!\nVLLM_STARTED=1\nOMP_NUM_THREADS=4\nvllm serve m\n"
    assert rules(text) == [("not-exported", "OMP_NUM_THREADS", 4)]
