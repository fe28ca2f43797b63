"""What the words of a server's command say."""

from __future__ import annotations

import pytest

from trimtab.knobs.server_arg import model_of, option_value


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
    names = ("--port",) if "--port" in words else ("--tensor-parallel-size", "-tp")
    assert option_value(words.split(), *names) == value


def test_the_model_behind_serve_comes_before_an_option() -> None:
    assert model_of(["vllm", "serve", "m", "--model", "n"]) == "m"
    assert model_of(["python", "-m", "vllm.entrypoints.openai.api_server", "--model=n"]) == "n"
    assert model_of(["vllm", "serve", "--port", "1"]) is None
