"""Reading a streamed completion: from stamped pieces of the body to token times and counts.

docs/metrics.md defines what counts as a token; `trimtab.load.sse` decides it.

Which chunks of a stream stand for tokens. Pure; docs/metrics.md has the rules in words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, auto
from typing import Any, Final

import orjson

_TEXTS: Final = ("content", "reasoning_content", "reasoning", "refusal", "tool_calls")
_TEXTS_BEFORE: Final = "function_call"
"""What tool_calls was called before."""


class ChunkKind(IntEnum):
    """What a chunk shows by itself; of several choices in one chunk the greatest counts."""

    NOTHING = auto()
    CLOSING = auto()  # no text, but the reason why the answer ended
    EMPTY = auto()  # no text: a token whose text is incomplete or special, or nothing
    TOKEN = auto()


@dataclass(slots=True)
class Chunks:
    """The chunks of one answer, as they arrive; then the instants of those that are tokens.

    ``prompt_tokens`` and ``output_tokens`` are the last that the server reported, ``None`` before.
    """

    prompt_tokens: int | None = None
    output_tokens: int | None = None
    _seen: list[tuple[float, ChunkKind]] = field(default_factory=list)
    _running: bool = False
    _begun: set[str] = field(default_factory=set)

    def add(self, instant: float, event: Mapping[str, Any]) -> None:
        """Take one event of the stream."""
        choices = event.get("choices")
        usage = event.get("usage")
        before = self.output_tokens or 0
        if isinstance(usage, dict):  # not Mapping, which takes five times as long
            self.prompt_tokens = _count(usage.get("prompt_tokens"), self.prompt_tokens)
            self.output_tokens = _count(usage.get("completion_tokens"), self.output_tokens)
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
            return
        choice = choices[0]
        if choice.get("text") and self._seen and "token_ids" not in choice:
            self._seen.append((instant, ChunkKind.TOKEN))  # nearly always
            return
        if not self._seen:  # a server that counts along does so from the first chunk on
            self._running = self.output_tokens is not None
        rose = (self.output_tokens or 0) > before if self._running and usage else None
        shown = [self._kind(choice, rose) for choice in choices if isinstance(choice, dict)]
        self._seen.append((instant, max(shown)))

    def _kind(self, choice: Mapping[str, Any], rose: bool | None) -> ChunkKind:
        index = str(choice.get("index"))
        first = index not in self._begun
        self._begun.add(index)
        return _kind(choice, rose, first=first)

    @property
    def greeting(self) -> tuple[float, ...]:
        """When chunks without text arrived before the first text, if several tokens share chunks.

        They are a server's greeting if all its answers open so, and tokens if only some do.
        """
        kinds = [kind for _, kind in self._seen]
        if ChunkKind.TOKEN not in kinds or (self.output_tokens or 0) <= sum(
            map(_countable, kinds)
        ):
            return ()
        opening = self._seen[: kinds.index(ChunkKind.TOKEN)]
        return tuple(instant for instant, kind in opening if kind is ChunkKind.EMPTY)

    @property
    def opens_with_token(self) -> bool:
        """Whether the first chunk is known to be a token."""
        return bool(self._seen) and self._seen[0][1] is ChunkKind.TOKEN

    def instants(self) -> tuple[float, ...]:
        """Return when each chunk arrived that stands for tokens."""
        kinds = [kind for _, kind in self._seen]
        if kinds.count(ChunkKind.TOKEN) == len(kinds):
            return tuple(instant for instant, _ in self._seen)  # nearly always
        chosen = set(_doubtful_tokens(kinds, self.output_tokens))
        return tuple(
            instant
            for index, (instant, kind) in enumerate(self._seen)
            if kind is ChunkKind.TOKEN or index in chosen
        )


def _kind(choice: Mapping[str, Any], rose: bool | None, *, first: bool) -> ChunkKind:
    """Return what a choice shows. ``rose``: whether its chunk's usage counts more than before.

    ``first`` is whether no chunk before had this choice.
    """
    ids = choice.get("token_ids")
    if isinstance(ids, list):
        return ChunkKind.TOKEN if ids else ChunkKind.NOTHING
    delta = choice.get("delta")
    if _has_text(choice, delta):
        return ChunkKind.TOKEN
    if rose is not None:
        return ChunkKind.TOKEN if rose else ChunkKind.NOTHING
    listed = _listed(choice.get("logprobs"))
    if listed is not None:
        return ChunkKind.TOKEN if listed else ChunkKind.NOTHING
    if first and isinstance(delta, dict) and delta.get("role"):
        return ChunkKind.NOTHING  # a chat's greeting
    return ChunkKind.EMPTY if choice.get("finish_reason") is None else ChunkKind.CLOSING


def _has_text(choice: Mapping[str, Any], delta: object) -> bool:
    if choice.get("text"):
        return True
    if not isinstance(delta, dict):
        return False
    return any(delta.get(name) for name in (*_TEXTS, _TEXTS_BEFORE))


def _listed(logprobs: object) -> bool | None:
    """Return whether log probabilities name tokens, ``None`` if there are none at all."""
    if not isinstance(logprobs, dict):
        return None
    for name in ("tokens", "content"):
        if isinstance(logprobs.get(name), list):
            return bool(logprobs[name])
    return None


def _doubtful_tokens(kinds: Sequence[ChunkKind], output_tokens: int | None) -> Iterator[int]:
    """Yield the indices of chunks without text that stand for tokens all the same.

    Where the usage has exactly one token for each chunk, all do. Where it has fewer, so many do as
    it has tokens left: those after the first text before the one that closes, and an opening one
    last of all. Where it has more, chunks hold several tokens, and one without text cannot be told
    from nothing: none does, unless the whole answer has no text.
    """
    doubtful = [
        index for index, kind in enumerate(kinds) if kind in (ChunkKind.EMPTY, ChunkKind.CLOSING)
    ]
    certain = [index for index, kind in enumerate(kinds) if kind is ChunkKind.TOKEN]
    begin = certain[0] if certain else len(kinds)
    if output_tokens is None:  # cut off, so that a token may yet come for each
        yield from (one for one in doubtful if one > begin and kinds[one] is ChunkKind.EMPTY)
        return
    left = output_tokens - len(certain)
    if left <= 0 or (left > len(doubtful) and certain):
        return
    between = [one for one in doubtful if one > begin and kinds[one] is ChunkKind.EMPTY]
    closing = [one for one in doubtful if one > begin and kinds[one] is ChunkKind.CLOSING]
    opening = [one for one in reversed(doubtful) if one < begin]
    opening.sort(key=lambda one: kinds[one] is ChunkKind.CLOSING)
    yield from [*between, *closing, *opening][:left]


def _countable(kind: ChunkKind) -> bool:
    """Whether a chunk may stand for a token."""
    return kind is not ChunkKind.NOTHING


def _count(value: object, otherwise: int | None) -> int | None:
    """Return a count of tokens, of which JSON may write 4 as 4.0; ``otherwise`` if it is none."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    return otherwise


_ONE_EVENT = re.compile(rb"data: ([^\r\n]*)\n\n").fullmatch
_BOM: Final = b"\xef\xbb\xbf"
_DONE: Final = b"[DONE]"

Piece = tuple[float, bytes]
"""A part of a response body and the instant (seconds) at which it arrived."""


@dataclass(frozen=True, slots=True)
class CompletionStream:
    """What a stream said. Token counts are ``None`` when the server reported no usage.

    ``chunks`` holds the arrival of each chunk that stands for tokens; ``finished`` is whether
    the stream came to its ``[DONE]``. ``greeting`` and ``opens_with_token`` are those of
    `trimtab.load.sse.Chunks`.
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


def decode(pieces: Iterable[Piece]) -> CompletionStream:
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


def _answer(chunks: Chunks, *, finished: bool = False, error: str = "") -> CompletionStream:
    return CompletionStream(
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
