"""Reading the stream: every split gives the same answer, and stamps belong to the last byte."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.load.sse import decode, describe_error, split_events


def event(content: object) -> bytes:
    return b"data: " + json.dumps(content).encode() + b"\n\n"


def token(text: str = "a", finish: str | None = None) -> bytes:
    return event({"choices": [{"index": 0, "text": text, "finish_reason": finish}]})


USAGE = event({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}})
DONE = b"data: [DONE]\n\n"
WHOLE = token("\n\n") + token("é") + token("data: x", "length") + USAGE + DONE


def pieces(body: bytes, cuts: list[int]) -> list[tuple[float, bytes]]:
    edges = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    return [(float(end), body[begin:end]) for begin, end in pairwise(edges)]


@given(st.lists(st.integers(0, 10_000), max_size=12), st.booleans())
def test_framing_does_not_depend_on_the_splits(cuts: list[int], crlf: bool) -> None:
    body = WHOLE.replace(b"\n", b"\r\n") if crlf else WHOLE
    answer = decode(pieces(body, cuts))
    assert (answer.prompt_tokens, answer.output_tokens) == (7, 3)
    assert answer.finished
    assert not answer.error
    assert len(answer.chunks) == 3


@given(st.lists(st.integers(0, 10_000), max_size=12))
def test_an_event_is_stamped_when_its_last_byte_arrives(cuts: list[int]) -> None:
    ends = [WHOLE.index(b"\n\n") + 2]
    while len(ends) < 3:
        ends.append(WHOLE.index(b"\n\n", ends[-1]) + 2)
    parts = pieces(WHOLE, cuts)
    expected = tuple(min(at for at, _ in parts if at >= end) for end in ends)
    assert decode(parts).chunks == expected


def test_comments_other_fields_and_unended_events_do_not_count() -> None:
    body = b": ping\n\nevent: x\ndata: 1\ndata:2\nid: 3\n\ndata: cut"
    assert list(split_events([(1.0, body)])) == [(1.0, b"1\n2")]


def test_the_usage_report_is_no_token() -> None:
    assert decode([(1.0, USAGE)]).chunks == ()


def test_usage_that_runs_along_keeps_its_last_value() -> None:
    running = event({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 1}})
    assert decode([(1.0, running + USAGE)]).output_tokens == 3
    assert decode([(1.0, USAGE + event({"choices": [], "usage": None}))]).output_tokens == 3


def test_missing_usage_is_unknown_and_not_zero() -> None:
    answer = decode([(1.0, token() + DONE)])
    assert answer.output_tokens is None
    assert answer.finished


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (event({"error": {"message": "engine is dead", "code": 500}}), "engine is dead"),
        (event({"error": "plain"}), "plain"),
        (b"data: {not json\n\n", "not JSON"),
        (b"data: 7\n\n", "7"),
        (b"data: " + b"[" * 100_000 + b"\n\n", "[[["),
    ],
)
def test_errors_in_the_stream_are_told(body: bytes, named: str) -> None:
    answer = decode([(1.0, token()), (2.0, body), (3.0, token() + DONE)])
    assert named in answer.error
    assert answer.chunks == (1.0,)


@given(st.binary(max_size=400))
def test_any_bytes_are_read_without_an_exception(body: bytes) -> None:
    answer = decode([(1.0, b"data: " + body + b"\n\n")])
    assert "\n" not in answer.error
    assert "\n" not in describe_error(body)


def test_error_bodies() -> None:
    assert describe_error(b'{"error":{"message":"a\\nb"}}') == "a b"
    assert describe_error(b'{"message":"m"}') == "m"
    assert describe_error(b'{"detail":"Not Found"}') == "Not Found"
    assert describe_error(b"<html>\n  no") == "<html> no"
    assert describe_error(b"") == ""
    assert describe_error(b"\x1b[31mred\x07 \xe2\x80\xaeback") == "?[31mred? ?back"


def test_an_error_that_is_nested_deep_is_shown_as_it_came() -> None:
    body = b'{"error":' + b"[" * 300 + b"]" * 300 + b"}"
    assert describe_error(body).startswith('{"error":[[[')
