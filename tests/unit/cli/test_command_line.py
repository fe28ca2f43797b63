"""What the words of a server's command say."""

from __future__ import annotations

import pytest

from trimtab.families import read_command


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("vllm serve m --port 1 --port=2", "2"),
        ("vllm serve m -tp 4", "4"),
        ("vllm serve m --tensor_parallel_size=8", "8"),
        ("vllm serve m --tensor-parallel-size", ""),
        ("vllm serve m --tensor-parallel-size-x 3", None),
    ],
)
def test_the_last_value_in_any_spelling_counts(words: str, value: str | None) -> None:
    name = "--port" if "--port" in words else "--tensor-parallel-size"
    assert read_command(words.split()).value(name) == value


def test_the_model_behind_serve_comes_before_an_option() -> None:
    assert read_command(["vllm", "serve", "m", "--model", "n"]).model == "m"
    assert (
        read_command(["python", "-m", "vllm.entrypoints.openai.api_server", "--model=n"]).model
        == "n"
    )
    assert read_command(["vllm", "serve", "--port", "1"]).model is None
