"""One connection of the load client, and what one request saw on it.

Where requests go, and their bytes.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final

import httptools

from trimtab.http_client.address import Address, parse
from trimtab.http_client.loopback import HEAD_BYTES, Framing, HttpReply, head, refusal
from trimtab.load import transport
from trimtab.load.sse import Piece, describe_error
from trimtab.model import Request

PATH = "/v1/completions"
"""The page that is measured."""


@dataclass(frozen=True, slots=True)
class LoadTarget:
    """Where requests go: the server's address, the served model's name, its key if any."""

    address: Address
    model: str
    key: str | None = None

    @classmethod
    def parse(cls, url: str, model: str, key: str | None = None) -> LoadTarget:
        """Parse a server's URL (see `trimtab.http_client.address`).

        Raises:
            UsageError: it is no address of a server.
        """
        return cls(parse(url), model, key)

    def encode(self, request: Request) -> bytes:
        """Return the complete bytes of a streaming completion request of exact length."""
        body = json.dumps(body_of(request, self.model), separators=(",", ":")).encode()
        fields = {"Accept": "text/event-stream"}
        return head(self.address, "POST", PATH, fields, body, self.key) + body


def body_of(request: Request, model: str) -> dict[str, object]:
    """Return what a request asks for, as JSON's objects."""
    return {
        "model": model,
        "prompt": request.prompt,
        "max_tokens": request.output_tokens,
        "ignore_eos": True,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


_ANSWER_BYTES: Final = 256 * 1024
"""What an answer may take, beside :data:`_TOKEN_BYTES` for each token that was asked for."""

_TOKEN_BYTES: Final = 16 * 1024
"""An event of vLLM takes some 300 bytes; servers that add token ids and usage double it."""

_ERROR_BYTES: Final = 64 * 1024
"""What is read of an answer that is an error."""


@dataclass(slots=True)
class Exchange:
    """One request on its way: filled in while it runs. Instants are of ``perf_counter``.

    ``intended`` is ``None`` where no schedule says when it is to be sent, until it is. ``pieces``
    are the parts of the body, with the instants at which they arrived; ``done`` is when its end
    was read, ``None`` while it runs. ``error`` then says what went wrong in transport; ``own``
    that it was this side's lack of descriptors or ports, and nothing that the server did.
    ``until_close``: the body ended with the connection, so that only its ``[DONE]`` proves it
    whole.
    """

    request: Request
    intended: float | None
    sent: float | None = None
    status: int | None = None
    pieces: list[Piece] = field(default_factory=list)
    done: float | None = None
    error: str = ""
    own: bool = False
    until_close: bool = False


class Connection(Framing):
    """One keep-alive connection with at most one exchange on it.

    ``on_end(connection, exchange)`` is called when an exchange ends, with or without an error;
    ``on_lost(connection)`` when the connection can no longer be used; ``on_read()`` at every read,
    before it is looked at.
    """

    def __init__(
        self,
        on_end: Callable[[Connection, Exchange], None],
        on_lost: Callable[[Connection], None],
        on_read: Callable[[], None],
    ) -> None:
        super().__init__()
        self.usable = False
        self._on_read = on_read
        self._on_end = on_end
        self._on_lost = on_lost
        self._wire: transport.ByteSink | None = None
        self._exchange: Exchange | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._arrived = 0.0
        self._room = 0

    def send(self, exchange: Exchange, payload: bytes, deadline: float) -> None:
        """Write the request and wait for its answer, at most ``deadline`` seconds."""
        assert self._wire is not None
        self.begin()
        self._exchange = exchange
        self._room = _ANSWER_BYTES + _TOKEN_BYTES * exchange.request.output_tokens
        self._deadline = asyncio.get_running_loop().call_later(deadline, self._expire, deadline)
        exchange.sent = perf_counter()
        if exchange.intended is None:
            exchange.intended = exchange.sent
        self._wire.write(payload)

    def abort(self) -> None:
        """Close at once, without a word to anybody."""
        self.usable = False
        self._exchange = None
        if self._deadline is not None:
            self._deadline.cancel()
        if self._wire is not None:
            self._wire.abort()

    def connection_made(self, opened: transport.ByteSink) -> None:
        """Take the socket."""
        self._wire = opened
        self.usable = True

    def data_received(self, data: bytes, arrived: float) -> None:
        """Frame what was read (the wire calls this)."""
        self._on_read()
        self._arrived = arrived
        exchange = self._exchange
        if exchange is None:
            self._drop()  # an answer nobody asked for: what follows could not be attributed
            return
        self._room -= len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as error:
            if not self.whole:
                self._fail(f"not an HTTP/1.1 response: {error}")
                return
            self.keep = False
        if self.whole:
            self._complete(exchange)
        elif self._room < 0:
            self._overflow(exchange)

    def on_headers_complete(self) -> None:
        """Note the status (the parser calls this)."""
        super().on_headers_complete()
        if self._exchange is not None and not self.whole:
            self._exchange.status = self.status
            if self.status not in (None, 200):
                self._room = min(self._room, _ERROR_BYTES + HEAD_BYTES)

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body with its stamp (the parser calls this)."""
        if self._exchange is not None and not self.whole:
            self._exchange.pieces.append((self._arrived, body))

    def connection_lost(self, error: OSError | None) -> None:
        """End or fail what is on the way (the wire calls this)."""
        if self._exchange is not None and error is None and self.ended():
            self._exchange.until_close = True
            self._complete(self._exchange)
            return
        self._fail(f"connection lost: {error or 'closed by the server before the answer ended'}")

    def _complete(self, exchange: Exchange) -> None:
        if exchange.status != 200:
            exchange.error = self._refused(exchange)
        elif self.compressed:
            exchange.error = self.compressed
        if not self.keep:
            self._drop()
        self._end()

    def _overflow(self, exchange: Exchange) -> None:
        """Give up an answer that goes on and on."""
        if exchange.status in (None, 200):
            tokens = exchange.request.output_tokens
            self._fail(f"the answer to a request for {tokens} tokens does not end")
        else:
            self._fail(self._refused(exchange))

    def _refused(self, exchange: Exchange) -> str:
        assert exchange.status is not None
        if self.location:
            return refusal(PATH, HttpReply(exchange.status, b"", self.location))
        body = b"".join(body for _, body in exchange.pieces)
        return f"HTTP {exchange.status}: {self.compressed or describe_error(body)}"

    def _expire(self, deadline: float) -> None:
        self._fail(
            f"no complete answer within the deadline of {deadline:g} s: raise the "
            "workload's request_deadline"
        )

    def _fail(self, error: str) -> None:
        if self._exchange is not None:
            self._exchange.error = error
        self._drop()
        self._end()

    def _drop(self) -> None:
        if self.usable:
            self.usable = False
            self._on_lost(self)
        if self._wire is not None:
            self._wire.abort()

    def _end(self) -> None:
        exchange, self._exchange = self._exchange, None
        if self._deadline is not None:
            self._deadline.cancel()
        if exchange is not None:
            exchange.done = perf_counter()
            self._on_end(self, exchange)
