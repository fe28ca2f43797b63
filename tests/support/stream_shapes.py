"""The table of stream shapes: what a server sends when, and what trimtab must measure of it.

``scripts/make_stream_shapes.py`` writes docs/stream-shapes.md from it; test_load_shapes.py
feeds it to the client. All instants are milliseconds after the intended send.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

PROMPT_TOKENS = 3

Part = tuple[float, bytes | None]
"""What arrives when; ``None`` is the end of the connection."""

CHUNKED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)
CLOSING = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
SIZED = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
OLD = b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Shape:
    """One shape: its group, what it is, the bytes, and what must be measured.

    ``error`` is a part of the error of a request that fails; all else is then absent.
    """

    group: str
    name: str
    parts: tuple[Part, ...]
    ttft: float | None = None
    itl: tuple[float, ...] = ()
    tpot: float | None = None
    tokens: int = 0
    error: str = ""


def event(content: object) -> bytes:
    """Return a server-sent event."""
    return b"data: " + json.dumps(content, ensure_ascii=False).encode() + b"\n\n"


def text(words: str, finish: str | None = None, **more: object) -> bytes:
    """Return an event of /v1/completions with some text."""
    return event({"choices": [{"index": 0, "text": words, "finish_reason": finish, **more}]})


def delta(finish: str | None = None, **content: object) -> bytes:
    """Return an event of /v1/chat/completions."""
    return event({"choices": [{"index": 0, "delta": content, "finish_reason": finish}]})


def usage(tokens: int) -> bytes:
    """Return an event with the usage report alone."""
    return event({"choices": [], "usage": counts(tokens)})


def counts(tokens: int) -> dict[str, int]:
    """Return a usage report."""
    return {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": tokens}


def counted(words: str, tokens: int, finish: str | None = None) -> bytes:
    """Return an event of /v1/completions that carries the usage so far."""
    choice = {"index": 0, "text": words, "finish_reason": finish}
    return event({"choices": [choice], "usage": counts(tokens)})


def with_ids(words: str, ids: Sequence[int], finish: str | None = None) -> bytes:
    """Return an event of /v1/completions with its token ids."""
    return text(words, finish, token_ids=[*ids])


def stream(
    *events: tuple[float, bytes], head: bytes = CHUNKED, close: bool = False
) -> tuple[Part, ...]:
    """Return a whole answer: its head at 0.24 ms, the events, and its end."""
    chunked = head is CHUNKED
    body = [(at, b"%x\r\n%b\r\n" % (len(one), one) if chunked else one) for at, one in events]
    parts: list[Part] = [(0.24, head), *body]
    last = events[-1][0]
    if chunked:
        parts.append((last, b"0\r\n\r\n"))
    if close or not chunked:
        parts.append((last + 1, None))
    return tuple(parts)


def ended(
    events: Iterable[tuple[float, bytes]], at: float, tokens: int
) -> tuple[tuple[float, bytes], ...]:
    """Return events with a usage report and ``[DONE]`` after them."""
    return (*events, (at, usage(tokens) + DONE))


def framed(
    events: Iterable[tuple[float, bytes]], head: bytes, *, at: float = 0.24
) -> tuple[Part, ...]:
    """Return an answer whose head names the length of its body."""
    body = list(events)
    length = b"Content-Length: %d\r\n\r\n" % sum(len(one) for _, one in body)
    return ((at, head + length), *body)


def chunk(data: bytes, extension: bytes = b"") -> bytes:
    """Return one chunk of a chunked body."""
    return b"%x%b\r\n%b\r\n" % (len(data), extension, data)


def several(*choices: tuple[int, dict[str, object]]) -> bytes:
    """Return an event with the choices of these indices."""
    return event(
        {"choices": [{"index": index, "finish_reason": None, **one} for index, one in choices]}
    )


def spelt(plain: bytes, line_end: bytes) -> bytes:
    """Return events with another line end."""
    return plain.replace(b"\n", line_end)


A, B, C, LAST = text("a"), text("b"), text("c"), text("d", "length")
PLAIN = ended([(204, A), (224, B), (244, C), (264, LAST)], 265, 4)
USUAL = {"ttft": 204.0, "itl": (20.0, 20.0, 20.0), "tpot": 20.0, "tokens": 4}
EMPTY = text("")


def usual(group: str, name: str, parts: tuple[Part, ...]) -> Shape:
    """Return a shape of which the same is measured as of the plain one."""
    return Shape(group, name, parts, 204.0, (20.0, 20.0, 20.0), 20.0, 4)


TOKENS = (
    usual("Tokens", "one token a chunk, usage at the end", stream(*PLAIN)),
    usual("Tokens", "an empty chunk first", stream((0.24, EMPTY), *PLAIN)),
    usual("Tokens", "two empty chunks first", stream((0.24, EMPTY), (9, EMPTY), *PLAIN)),
    usual(
        "Tokens",
        "an empty chunk with the finish reason last",
        stream(
            *ended(
                [(204, A), (224, B), (244, C), (264, text("d")), (290, text("", "length"))], 291, 4
            )
        ),
    ),
    usual(
        "Tokens",
        "an empty chunk in the middle, and the usage has no token for it",
        stream(*ended([(204, A), (224, B), (230, EMPTY), (244, C), (264, LAST)], 265, 4)),
    ),
    usual(
        "Tokens",
        "an empty chunk in the middle, and the usage has one (an incomplete character)",
        stream(*ended([(204, A), (224, EMPTY), (244, C), (264, LAST)], 265, 4)),
    ),
    usual(
        "Tokens",
        "an empty chunk first, and the usage has a token for each chunk",
        stream(*ended([(204, EMPTY), (224, B), (244, C), (264, LAST)], 265, 4)),
    ),
    usual(
        "Tokens",
        "an empty chunk with the finish reason, and the usage has a token for each chunk",
        stream(*ended([(204, A), (224, B), (244, C), (264, text("", "length"))], 265, 4)),
    ),
    usual(
        "Tokens",
        "an empty chunk first and one in the middle, and the usage has one token more than texts",
        stream((0.24, EMPTY), *ended([(204, A), (224, EMPTY), (244, C), (264, LAST)], 265, 4)),
    ),
    usual(
        "Tokens",
        "no text at all (special tokens)",
        stream(
            *ended([(204, EMPTY), (224, EMPTY), (244, EMPTY), (264, text("", "length"))], 265, 4)
        ),
    ),
    Shape(
        "Tokens",
        "two tokens a chunk",
        stream(
            *ended([(204, text("ab")), (244, text("cd")), (284, text("ef", "length"))], 285, 6)
        ),
        204.0,
        (40.0, 40.0),
        16.0,
        6,
    ),
    Shape(
        "Tokens",
        "two tokens a chunk, an empty chunk first, in the middle and last",
        stream(
            (0.24, EMPTY),
            (204, text("ab")),
            (220, EMPTY),
            (244, text("cd")),
            (284, text("ef")),
            (324, text("gh")),
            (330, text("", "length")),
            (331, usage(8) + DONE),
        ),
        204.0,
        (40.0, 40.0, 40.0),
        120.0 / 7,
        8,
    ),
    Shape(
        "Tokens",
        "all tokens in one chunk",
        stream(*ended([(204, text("abcd", "length"))], 205, 4)),
        204.0,
        (),
        0.0,
        4,
    ),
    Shape(
        "Tokens",
        "one token",
        stream(*ended([(204, text("a", "length"))], 205, 1)),
        204.0,
        (),
        None,
        1,
    ),
    Shape(
        "Tokens",
        "several events in one read",
        stream((204, A + B), (244, C + LAST + usage(4) + DONE)),
        204.0,
        (0.0, 40.0, 0.0),
        40.0 / 3,
        4,
    ),
    usual(
        "Tokens",
        "token ids, empty for what is no token",
        stream(
            *ended(
                [
                    (0.24, with_ids("", [])),
                    (204, with_ids("", [7])),
                    (224, with_ids("b", [8])),
                    (244, with_ids("c", [9])),
                    (264, with_ids("", [2])),
                    (290, with_ids("", [], "length")),
                ],
                291,
                4,
            )
        ),
    ),
    Shape(
        "Tokens",
        "log probabilities, empty for what is no token",
        stream(
            *ended(
                [
                    (0.24, text("", logprobs={"tokens": []})),
                    (204, text("", logprobs={"tokens": ["?"]})),
                    (224, text("ab", logprobs={"tokens": ["a", "b"]})),
                ],
                225,
                3,
            )
        ),
        204.0,
        (20.0,),
        10.0,
        3,
    ),
)

CHAT = (
    usual(
        "Chat",
        "a role first",
        stream(
            (0.24, delta(role="assistant", content="")),
            *ended(
                [
                    (204, delta(content="a")),
                    (224, delta(content="b")),
                    (244, delta(content="c")),
                    (264, delta("length", content="d")),
                ],
                265,
                4,
            ),
        ),
    ),
    usual(
        "Chat",
        "a role first, and an empty delta with the finish reason last",
        stream(
            (0.24, delta(role="assistant")),
            *ended(
                [
                    (204, delta(content="a")),
                    (224, delta(content="b")),
                    (244, delta(content="c")),
                    (264, delta(content="d")),
                    (280, delta("stop")),
                ],
                281,
                4,
            ),
        ),
    ),
    usual(
        "Chat",
        "reasoning, then content, then a tool call",
        stream(
            (0.24, delta(role="assistant", content="")),
            *ended(
                [
                    (204, delta(reasoning_content="a")),
                    (224, delta(reasoning="b")),
                    (244, delta(content="c")),
                    (
                        264,
                        delta(
                            "tool_calls", tool_calls=[{"index": 0, "function": {"arguments": "{"}}]
                        ),
                    ),
                ],
                265,
                4,
            ),
        ),
    ),
    usual(
        "Chat",
        "a role in each delta, and an incomplete character",
        stream(
            (0.24, delta(role="assistant", content="")),
            *ended(
                [
                    (204, delta(role="assistant", content="a")),
                    (224, delta(role="assistant", content="")),
                    (244, delta(role="assistant", content="c")),
                    (264, delta("length", role="assistant", content="d")),
                ],
                265,
                4,
            ),
        ),
    ),
)

CHOICES = (
    Shape(
        "Choices",
        "two choices, each in its own chunk",
        stream(
            *ended(
                [
                    (204, several((0, {"text": "a"}))),
                    (206, several((1, {"text": "b"}))),
                    (224, several((0, {"text": "c"}))),
                    (226, several((1, {"text": "d"}))),
                ],
                227,
                4,
            )
        ),
        204.0,
        (2.0, 18.0, 2.0),
        22.0 / 3,
        4,
    ),
    Shape(
        "Choices",
        "two choices in one chunk, the first without text",
        stream(
            (0.24, several((0, {"text": ""}), (1, {"text": ""}))),
            *ended(
                [
                    (204, several((0, {"text": ""}), (1, {"text": "b"}))),
                    (224, several((0, {"text": "cd"}), (1, {"text": "d"}))),
                ],
                225,
                4,
            ),
        ),
        204.0,
        (20.0,),
        20.0 / 3,
        4,
    ),
    Shape(
        "Choices",
        "a role for each of two choices",
        stream(
            (0.24, several((0, {"delta": {"role": "assistant", "content": ""}}))),
            (0.3, several((1, {"delta": {"role": "assistant", "content": ""}}))),
            *ended(
                [
                    (204, several((0, {"delta": {"content": "a"}}))),
                    (204, several((1, {"delta": {"content": ""}}))),
                    (224, several((0, {"delta": {"content": "c"}}), (1, {"delta": {}}))),
                ],
                225,
                3,
            ),
        ),
        204.0,
        (0.0, 20.0),
        10.0,
        3,
    ),
)

USAGE = (
    usual(
        "Usage",
        "in every chunk, the first with no token yet",
        stream(
            (0.24, counted("", 0)),
            (204, counted("a", 1)),
            (224, counted("", 2)),
            (244, counted("c", 3)),
            (264, counted("d", 4, "length")),
            (265, usage(4) + DONE),
        ),
    ),
    Shape(
        "Usage",
        "in every chunk, two tokens in the first",
        stream(
            (0.24, counted("", 0)),
            (204, counted("", 2)),
            (230, counted("", 2)),
            (244, counted("c", 3)),
            (264, counted("d", 4, "length")),
            (265, DONE),
        ),
        204.0,
        (40.0, 20.0),
        20.0,
        4,
    ),
    usual(
        "Usage",
        "in the last chunk, beside its text",
        stream((204, A), (224, B), (244, C), (264, counted("d", 4, "length") + DONE)),
    ),
    usual(
        "Usage",
        "in an empty last chunk with the finish reason",
        stream(
            (204, A), (224, B), (244, C), (264, text("d")), (290, counted("", 4, "length") + DONE)
        ),
    ),
    usual(
        "Usage",
        "null in every chunk but the last",
        stream(*((at, one.replace(b"}]}", b'}], "usage": null}')) for at, one in PLAIN)),
    ),
    usual(
        "Usage",
        "of the prompt alone at the start, of all at the end",
        stream((0.24, event({"choices": [], "usage": {"prompt_tokens": 3}})), *PLAIN),
    ),
    usual(
        "Usage",
        "none counted at the start, all at the end",
        stream(
            (0.24, counted("", 0)),
            *ended([(204, A), (224, EMPTY), (244, C), (264, LAST)], 265, 4),
        ),
    ),
    usual(
        "Usage",
        "with a fraction of zero",
        stream(*PLAIN[:-1], (265, usage(4).replace(b"4}", b"4.0}") + DONE)),
    ),
    usual(
        "Usage",
        "beside an empty choice without a reason",
        stream(*PLAIN[:-1], (265, counted("", 4) + DONE)),
    ),
    Shape(
        "Usage", "absent", stream((204, A), (224, LAST + DONE)), error="without its usage report"
    ),
    Shape(
        "Usage",
        "no number",
        stream(
            (204, A),
            (
                224,
                event({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": "4"}})
                + DONE,
            ),
        ),
        error="without its usage report",
    ),
    Shape(
        "Usage",
        "negative",
        stream((204, A), (224, usage(-4) + DONE)),
        error="without its usage report",
    ),
    Shape(
        "Usage",
        "of tokens that no event holds",
        stream((204, usage(4) + DONE)),
        error="the usage counts 4 tokens, but no event holds any",
    ),
)

ENDS = (
    usual(
        "Ends",
        "no [DONE], the body is framed",
        stream((204, A), (224, B), (244, C), (264, LAST), (265, usage(4))),
    ),
    usual(
        "Ends",
        "[DONE] without its empty line",
        stream((204, A), (224, B), (244, C), (264, LAST), (265, usage(4) + b"data: [DONE]")),
    ),
    usual("Ends", "[DONE], then more", stream(*PLAIN, (400, A))),
    usual(
        "Ends",
        "the connection ends after [DONE] (Connection: close)",
        stream(*PLAIN, head=CLOSING),
    ),
    usual("Ends", "the connection ends after [DONE] (HTTP/1.0)", stream(*PLAIN, head=OLD)),
    usual("Ends", "chunked, and the connection ends too", stream(*PLAIN, close=True)),
    Shape(
        "Ends",
        "the connection ends before [DONE]",
        stream((204, A), (224, B), (244, C), (264, LAST), (265, usage(4)), head=CLOSING),
        error="before the answer's [DONE]",
    ),
    Shape(
        "Ends",
        "the connection ends before the usage",
        stream((204, A), (224, LAST + DONE), head=OLD),
        error="without its usage report",
    ),
    Shape(
        "Ends",
        "the connection ends within a chunked body",
        ((0.24, CHUNKED), (204, b"%x\r\n%b\r\n" % (len(A), A)), (210, None)),
        error="closed by the server before the answer ended",
    ),
    Shape(
        "Ends",
        "an error in the stream",
        stream((204, A), (224, event({"error": {"message": "engine is dead"}}))),
        error="engine is dead",
    ),
    Shape(
        "Ends",
        "an event named error, without choices",
        stream(
            (204, A), (224, b'event: error\ndata: {"message": "engine is dead"}\n\n'), *PLAIN[-1:]
        ),
        error="engine is dead",
    ),
    Shape(
        "Ends",
        "an error after the usage",
        stream((204, counted("a", 1)), (224, event({"detail": "engine is dead"})), (230, DONE)),
        error="engine is dead",
    ),
    Shape("Ends", "no JSON", stream((204, A), (224, b"data: {no\n\n")), error="not JSON: {no"),
)

LINES = (
    *(
        usual("Lines", name, stream(*((at, spelt(one, end)) for at, one in PLAIN)))
        for name, end in (("CRLF", b"\r\n"), ("CR", b"\r"))
    ),
    usual(
        "Lines",
        "a comment and pings between events",
        stream(
            (0.24, b": ok\n\n"),
            (204, A),
            (210, b": ping\n\n"),
            (224, B),
            (230, b"event: ping\ndata: {}\n\n"),
            (240, b"data:\n\n"),
            *PLAIN[2:],
        ),
    ),
    usual(
        "Lines",
        "fields event, id and retry",
        stream(*((at, b"event: message\nid: 7\nretry: 10\n" + one) for at, one in PLAIN)),
    ),
    usual(
        "Lines",
        "data over several lines",
        stream(
            *(
                (at, one.replace(b'data: {"choices": ', b'data: {"choices":\ndata: '))
                for at, one in PLAIN
            )
        ),
    ),
    usual(
        "Lines",
        "no blank after the colon",
        stream(*((at, one.replace(b"data: ", b"data:")) for at, one in PLAIN)),
    ),
    usual("Lines", "a byte order mark first", stream((204, b"\xef\xbb\xbf" + A), *PLAIN[1:])),
    usual(
        "Lines",
        "text that looks like framing",
        stream(
            *ended(
                [
                    (204, text("\n\ndata: x")),
                    (224, text("é\u2028")),
                    (244, text("[DONE]")),
                    (264, LAST),
                ],
                265,
                4,
            )
        ),
    ),
    usual(
        "Lines",
        "a line end of each kind",
        stream(
            *(
                (at, spelt(one, end))
                for (at, one), end in zip(
                    PLAIN, (b"\r\n", b"\r", b"\n", b"\r\n", b"\r"), strict=True
                )
            )
        ),
    ),
    usual(
        "Lines",
        "half of a surrogate pair in each of two chunks",
        stream(
            *ended(
                [
                    (204, text("?").replace(b"?", rb"\ud83d")),
                    (224, text("?").replace(b"?", rb"\ude00")),
                    (244, C),
                    (264, LAST),
                ],
                265,
                4,
            )
        ),
    ),
    usual(
        "Lines",
        "NaN, as Python writes it",
        stream(
            *((at, one.replace(b'{"choices"', b'{"score": NaN, "choices"')) for at, one in PLAIN)
        ),
    ),
    usual(
        "Lines",
        "HTTP 103 before the answer",
        ((0.1, b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"), *stream(*PLAIN)),
    ),
)

ACCENT = text("é")
SPLIT = ACCENT[: ACCENT.index(b"\xc3") + 1], ACCENT[ACCENT.index(b"\xa9") :]

READS = (
    usual(
        "Reads",
        "an event in two, within its JSON and within its empty line",
        stream(
            (190, A[:25]),
            (204, A[25:]),
            (210, B[:-1]),
            (224, B[-1:]),
            *PLAIN[2:],
        ),
    ),
    usual(
        "Reads",
        "an event in two, within a character",
        stream((190, SPLIT[0]), (204, SPLIT[1]), *PLAIN[1:]),
    ),
    usual(
        "Reads",
        "CRLF, and the last LF comes late",
        stream((204, spelt(A, b"\r\n")[:-1]), (210, b"\n"), *PLAIN[1:]),
    ),
    usual(
        "Reads",
        "the end of each chunk comes with the next",
        (
            (0.24, CHUNKED),
            (204, chunk(A)[:-2]),
            (224, b"\r\n" + chunk(B)[:-2]),
            (244, b"\r\n" + chunk(C)[:-2]),
            (264, b"\r\n" + chunk(LAST)),
            (265, chunk(usage(4) + DONE) + b"0\r\n\r\n"),
        ),
    ),
    usual(
        "Reads",
        "chunk extensions and a trailer, and the end comes late",
        (
            (0.24, CHUNKED),
            *((at, chunk(one, b";a=b")) for at, one in PLAIN),
            (900, b"0\r\nX-Took: 1\r\n\r\n"),
        ),
    ),
    usual("Reads", "a body of known length", framed(PLAIN, SIZED)),
    usual("Reads", "a status without a reason", framed(PLAIN, b"HTTP/1.1 200\r\n")),
    usual(
        "Reads",
        "HTTP/1.0 that keeps the connection",
        framed(PLAIN, b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n"),
    ),
    Shape(
        "Reads",
        "a proxy holds all back to the end (the head comes with it)",
        framed(((264, one) for _, one in PLAIN), SIZED, at=264),
        264.0,
        (0.0, 0.0, 0.0),
        0.0,
        4,
    ),
    Shape(
        "Reads",
        "compressed, which no request asks for",
        framed(
            [(265, gzip.compress(b"".join(one for _, one in PLAIN), mtime=0))],
            SIZED + b"Content-Encoding: gzip\r\n",
        ),
        error="the answer is compressed (gzip)",
    ),
)

SHAPES: tuple[Shape, ...] = (*TOKENS, *CHAT, *CHOICES, *USAGE, *ENDS, *LINES, *READS)
