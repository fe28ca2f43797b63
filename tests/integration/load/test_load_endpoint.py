"""Before a load: which page is missing, and why a server cannot be measured."""

from __future__ import annotations

import pytest

from tests.support.answering import answer, serving
from trimtab.errors import EndpointMissingError
from trimtab.load.preflight import require_completions
from trimtab.load.workload import load_workload

TOKEN = b'data: {"choices":[{"text":"a","finish_reason":null}]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":4,"completion_tokens":2}}\n\n'
DONE = b"data: [DONE]\n\n"
TINY = load_workload("tiny")


def check(body: bytes, status: str, more: str = "") -> None:
    with serving(answer(body, status, more)) as (place, heads):
        try:
            require_completions(f"http://127.0.0.1:{place[1]}/llm", "m", None, TINY)
        finally:
            assert heads[0].startswith(b"POST /llm/v1/completions ")


@pytest.mark.parametrize(
    ("status", "body", "named"),
    [
        ("404 N", b'{"detail":"Not Found"}', r"POST /v1/completions answers 404 .*token ids"),
        ("405 N", b"", r"answers 405: trimtab measures completions with token ids"),
        ("501 N", b"", r"answers 501: trimtab measures completions"),
        ("404 N", b'{"error":{"message":"no model `m`"}}', r"name a model .* with --model"),
        ("422 U", b'{"detail":"prompt: str"}', r"answers 422 .*prompts as token ids"),
        ("400 B", b'{"error":{"message":"text only"}}', r"answers 400 \(text only\)"),
        ("401 U", b"", "set VLLM_API_KEY"),
        ("200 OK", b'{"choices":[]}', "no event stream"),
        ("200 OK", TOKEN + DONE, "streams no usage report"),
    ],
)
def test_a_server_that_cannot_be_measured(status: str, body: bytes, named: str) -> None:
    with pytest.raises(EndpointMissingError, match=named):
        check(body, status)


def test_a_redirect() -> None:
    with pytest.raises(EndpointMissingError, match="redirects to /else"):
        check(b"", "307 T", "Location: /else\r\n")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        ("200 OK", TOKEN + TOKEN + USAGE + DONE),
        ("503 S", b"busy"),
        ("200 OK", b'data: {"error":{"message":"engine is dead"}}\n\n'),
    ],
)
def test_the_rest_is_left_to_the_load(status: str, body: bytes) -> None:
    check(body, status)
