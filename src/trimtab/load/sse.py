"""Reading a streamed completion: from stamped pieces of the body to token times and counts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import orjson

_ONE_EVENT = re.compile(rb"data: ([^\r\n]*)\n\n").fullmatch

Piece = tuple[float, bytes]
"""A part of a response body and the instant (seconds) at which it arrived."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a stream said. Token counts are ``None`` when the server reported no usage.

    ``chunks`` holds the arrival of each chunk that stands for tokens; ``finished`` is whether
    the stream came to its ``[DONE]``.
    """

    chunks: tuple[float, ...]
    prompt_tokens: int | None
    output_tokens: int | None
    finished: bool
    error: str = ""


def split_events(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Yield the data of every complete server-sent event, stamped when its last byte arrived.

    Follows the WHATWG event stream format: events end at an empty line, lines end in LF or
    CRLF, only ``data`` fields count. An event without its empty line is dropped.
    """
    rest = b""
    for instant, body in pieces:
        if not rest and (whole := _ONE_EVENT(body)):  # nearly always, in a quarter of the time
            yield instant, whole[1]
            continue
        *events, rest = (rest + body).replace(b"\r\n", b"\n").split(b"\n\n")
        for event in events:
            lines = [line[5:] for line in event.split(b"\n") if line.startswith(b"data:")]
            if lines:
                yield instant, b"\n".join(line.removeprefix(b" ") for line in lines)


def decode(pieces: Iterable[Piece]) -> Answer:
    """Decode the body of a streamed ``/v1/completions`` answer.

    A chunk with an empty ``choices`` list (the usage report) is not a token. A chunk with empty
    text is one, because vLLM sends it while a character is incomplete (vLLM 0.32
    entrypoints/openai/completion/serving.py), unless it only carries the finish reason after
    other chunks, as some servers send.
    """
    chunks: list[float] = []
    prompt = output = None
    for instant, data in split_events(pieces):
        if data == b"[DONE]":
            return Answer(tuple(chunks), prompt, output, finished=True)
        try:
            event = orjson.loads(data)
        except ValueError:
            return Answer(tuple(chunks), prompt, output, False, f"not JSON: {_short(data)}")
        if not isinstance(event, dict) or event.get("error"):
            return Answer(tuple(chunks), prompt, output, False, describe_error(data))
        usage = event.get("usage")
        if isinstance(usage, dict):
            prompt = _count(usage.get("prompt_tokens"), prompt)
            output = _count(usage.get("completion_tokens"), output)
        if _is_token(event.get("choices"), first=not chunks):
            chunks.append(instant)
    return Answer(tuple(chunks), prompt, output, finished=False)


def describe_error(body: bytes) -> str:
    """Return what an error body says, in one short line."""
    try:
        content = orjson.loads(body)
        error = content.get("error", content) if isinstance(content, dict) else content
        message = error.get("message") if isinstance(error, dict) else None
        return _short(message.encode() if isinstance(message, str) else orjson.dumps(error))
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):  # it writes less deep than it reads
        return _short(body)


def _is_token(choices: object, *, first: bool) -> bool:
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return False
    choice = choices[0]
    return bool(choice.get("text")) or first or choice.get("finish_reason") is None


def _count(value: object, otherwise: int | None) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise


def _short(body: bytes) -> str:
    return " ".join(body[:200].decode(errors="replace").split())
