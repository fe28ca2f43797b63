"""Reading a streamed completion: from stamped pieces of the body to token times and counts.

docs/metrics.md defines what counts as a token; `trimtab.load.tokens` decides it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from trimtab.load.tokens import Chunks

_ONE_EVENT = re.compile(rb"data: ([^\r\n]*)\n\n").fullmatch
_BOM: Final = b"\xef\xbb\xbf"
_DONE: Final = b"[DONE]"

Piece = tuple[float, bytes]
"""A part of a response body and the instant (seconds) at which it arrived."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a stream said. Token counts are ``None`` when the server reported no usage.

    ``chunks`` holds the arrival of each chunk that stands for tokens; ``finished`` is whether
    the stream came to its ``[DONE]``. ``greeting`` and ``opens_with_token`` are those of
    `trimtab.load.tokens.Chunks`.
    """

    chunks: tuple[float, ...]
    prompt_tokens: int | None
    output_tokens: int | None
    finished: bool
    error: str = ""
    greeting: tuple[float, ...] = ()
    opens_with_token: bool = False


def split_events(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Yield the data of every server-sent event, stamped when its last needed byte arrived.

    Follows the WHATWG event stream format: lines end in LF, CRLF or CR, an event ends at an empty
    line, only ``data`` fields count, a byte order mark may come first. An event without its empty
    line is dropped, unless it is ``[DONE]`` at the end of all. Reads each byte once.
    """
    line, data, instant = bytearray(), list[bytes](), 0.0
    after_return, first = False, True
    for instant, body in pieces:
        if not (line or data or after_return) and (whole := _ONE_EVENT(body)):
            first = False
            yield instant, whole[1]  # nearly always, in a quarter of the time
            continue
        if after_return and body:
            body, after_return = body.removeprefix(b"\n"), False
        for part in body.splitlines(keepends=True):
            line += part
            if part[-1] not in b"\r\n":
                continue
            after_return = part.endswith(b"\r")
            event = _take(bytes(line), data, first=first)
            line, first = bytearray(), False
            if event is not None:
                yield instant, event
        after_return = after_return and body.endswith(b"\r")
    _take(bytes(line), data, first=first)
    if b"\n".join(data).strip() == _DONE:
        yield instant, _DONE


def _take(line: bytes, data: list[bytes], *, first: bool) -> bytes | None:
    """Add a line to the event's data; return the data that it ends, ``None`` if it ends none."""
    text = line.rstrip(b"\r\n")
    if first:
        text = text.removeprefix(_BOM)
    if text:
        name, _, value = text.partition(b":")
        if name == b"data":
            data.append(value.removeprefix(b" "))
        return None
    if not data:
        return None
    whole = b"\n".join(data)
    data.clear()
    return whole


def decode(pieces: Iterable[Piece]) -> Answer:
    """Decode the body of a streamed answer of ``/v1/completions`` or ``/v1/chat/completions``."""
    chunks = Chunks()
    for instant, data in split_events(pieces):
        bare = data.strip()
        if bare == _DONE:
            return _answer(chunks, finished=True)
        if not bare:
            continue  # keeps the connection alive
        try:
            event = orjson.loads(bare)
        except ValueError:
            try:
                event = _lenient(bare)
            except (ValueError, RecursionError):
                return _answer(chunks, error=f"not JSON: {_short(data)}")
        if not isinstance(event, dict) or event.get("error") or _says_why(event):
            return _answer(chunks, error=describe_error(data))
        chunks.add(instant, event)
    return _answer(chunks)


def _lenient(data: bytes) -> object:
    """Return the JSON of an event that orjson does not take.

    Half of a surrogate pair is legal where a server cuts its text into UTF-16 units, and Python's
    servers write NaN.

    Raises:
        ValueError: it is no JSON.
        RecursionError: it is nested too deep.
    """
    return json.loads(data)


def _says_why(event: Mapping[str, object]) -> bool:
    """Whether an event reports an error without the key that vLLM has for it."""
    if "choices" in event:
        return False
    return event.get("object") == "error" or bool(event.get("message") or event.get("detail"))


def _answer(chunks: Chunks, *, finished: bool = False, error: str = "") -> Answer:
    return Answer(
        chunks.instants(),
        chunks.prompt_tokens,
        chunks.output_tokens,
        finished,
        error,
        chunks.greeting,
        chunks.opens_with_token,
    )


def describe_error(body: bytes) -> str:
    """Return what an error body says, in one short line."""
    try:
        content = orjson.loads(body)
        error = content.get("error", content) if isinstance(content, dict) else content
        known = error if isinstance(error, dict) else {}
        message = known.get("message") or known.get("detail")
        return _short(message.encode() if isinstance(message, str) else orjson.dumps(error))
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):  # it writes less deep than it reads
        return _short(body)


def _short(body: bytes) -> str:
    """Return the beginning of a body in one line, without what would steer a terminal."""
    text = " ".join(body[:200].decode(errors="replace").split())
    return "".join(one if one.isprintable() else "?" for one in text)
