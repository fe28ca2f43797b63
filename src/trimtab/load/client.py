"""The streaming client: as little work as possible between the socket and the stamp.

A raw ``asyncio.Protocol`` on connections opened beforehand; requests are bytes built before the
run; a read is stamped and framed (httptools), and JSON is decoded after the run. A client that
does more per chunk queues requests inside itself and reports that as the server's time to first
token, and takes the cores the server needs. Nothing here raises for what a server does: every
failure is text on its exchange.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final
from urllib.parse import urlsplit

import httptools

from trimtab.errors import UsageError
from trimtab.load.sse import Piece, describe_error
from trimtab.model import Request

_CONNECT_SECONDS: Final = 10.0


@dataclass(slots=True)
class Exchange:
    """One request on its way: filled in while it runs. Instants are of ``perf_counter``.

    ``pieces`` are the stamped parts of the body. ``done`` is ``None`` while it runs; ``error``
    then says what went wrong in transport.
    """

    request: Request
    intended: float
    sent: float | None = None
    status: int | None = None
    pieces: list[Piece] = field(default_factory=list)
    done: float | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go: host, port, the served model's name, and the server's key if any."""

    host: str
    port: int
    model: str
    key: str | None = None

    @classmethod
    def parse(cls, url: str, model: str, key: str | None = None) -> Target:
        """Parse an ``http://host:port`` URL.

        Raises:
            UsageError: it is not ``http://host[:port]``.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise UsageError(f"the server's URL {url!r} is not understood: {error}") from error
        if parts.scheme != "http" or not parts.hostname or parts.path.strip("/"):
            raise UsageError(f"the server's URL must look like http://127.0.0.1:8000, not {url!r}")
        return cls(parts.hostname, 80 if port is None else port, model, key)

    def encode(self, request: Request) -> bytes:
        """Return the complete bytes of a streaming completion request of exact length."""
        body = json.dumps(
            {
                "model": self.model,
                "prompt": request.prompt,
                "max_tokens": request.output_tokens,
                "ignore_eos": True,
                "temperature": 0,
                "stream": True,
                "stream_options": {"include_usage": True},
            },
            separators=(",", ":"),
        ).encode()
        key = f"Authorization: Bearer {self.key}\r\n" if self.key is not None else ""
        head = (
            f"POST /v1/completions HTTP/1.1\r\nHost: {self.host}:{self.port}\r\n"
            f"Content-Type: application/json\r\nAccept: text/event-stream\r\n{key}"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


class Connection(asyncio.Protocol):
    """One keep-alive connection with at most one exchange on it.

    ``on_end(connection, exchange)`` is called when an exchange ends, with or without an error;
    ``on_lost(connection)`` when the connection can no longer be used.
    """

    def __init__(
        self,
        on_end: Callable[[Connection, Exchange], None],
        on_lost: Callable[[Connection], None],
    ) -> None:
        self.usable = False
        self._on_end = on_end
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._exchange: Exchange | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._now = 0.0
        self._whole = False
        self._keep = False

    def send(self, exchange: Exchange, payload: bytes, deadline: float) -> None:
        """Write the request and wait for its answer, at most ``deadline`` seconds."""
        assert self._transport is not None
        self._parser = httptools.HttpResponseParser(self)
        self._exchange, self._whole = exchange, False
        self._deadline = asyncio.get_running_loop().call_later(deadline, self._expire, deadline)
        exchange.sent = perf_counter()
        self._transport.write(payload)

    def abort(self) -> None:
        """Close at once, without a word to anybody."""
        self.usable = False
        self._exchange = None
        if self._deadline is not None:
            self._deadline.cancel()
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport (asyncio calls this)."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.usable = True

    def data_received(self, data: bytes) -> None:
        """Stamp the read, then frame it (asyncio calls this)."""
        self._now = perf_counter()
        exchange = self._exchange
        if exchange is None or self._parser is None:
            self._drop()  # an answer nobody asked for: what follows could not be attributed
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"not an HTTP/1.1 response: {error}")
            return
        if self._whole:
            self._complete(exchange)

    def on_headers_complete(self) -> None:
        """Note the status (the parser calls this)."""
        if self._exchange is not None and self._parser is not None:
            self._exchange.status = self._parser.get_status_code()
            # asked now, because after the message llhttp has forgotten how it was framed
            self._keep = self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body with its stamp (the parser calls this)."""
        if self._exchange is not None:
            self._exchange.pieces.append((self._now, body))

    def on_message_complete(self) -> None:
        """Note that the response is whole (the parser calls this, inside ``feed_data``)."""
        self._whole = True

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what is on the way (asyncio calls this)."""
        self._now = perf_counter()
        self._fail(f"connection lost: {exc or 'closed by the server before the answer ended'}")

    def _complete(self, exchange: Exchange) -> None:
        if exchange.status != 200:
            body = b"".join(body for _, body in exchange.pieces)
            exchange.error = f"HTTP {exchange.status}: {describe_error(body)}"
        if not self._keep:
            self._drop()
        self._end()

    def _expire(self, deadline: float) -> None:
        self._now = perf_counter()
        self._fail(f"no complete answer within the deadline of {deadline:g} s")

    def _fail(self, error: str) -> None:
        if self._exchange is not None:
            self._exchange.error = error
        self._drop()
        self._end()

    def _drop(self) -> None:
        if self.usable:
            self.usable = False
            self._on_lost(self)
        if self._transport is not None:
            self._transport.abort()

    def _end(self) -> None:
        exchange, self._exchange = self._exchange, None
        if self._deadline is not None:
            self._deadline.cancel()
        if exchange is not None:
            exchange.done = self._now
            self._on_end(self, exchange)


class Client:
    """Sends prepared requests over a pool of connections; ``on_end`` gets every ended exchange.

    Free connections are a stack: the one used last is used next, so in open loop the surplus
    rests. A lost connection is replaced when a request needs it; requests are never retried.
    """

    def __init__(
        self,
        target: Target,
        requests: Sequence[Request],
        deadline: float,
        on_end: Callable[[Exchange], None],
    ) -> None:
        self._target = target
        self._deadline = deadline
        self._payloads = [target.encode(request) for request in requests]
        self._on_end = on_end
        self._free: list[Connection] = []
        self._open: set[Connection] = set()
        self._waiting: set[asyncio.Task[None]] = set()
        self.running: dict[int, Exchange] = {}

    async def open(self, connections: int) -> None:
        """Open connections beforehand. Those refused are tried again when needed."""
        made = await asyncio.gather(*(self._connect() for _ in range(connections)))
        self._free.extend(one for one in made if isinstance(one, Connection))

    def submit(self, request: Request, intended: float) -> None:
        """Send a request now, or as soon as a new connection for it is open."""
        exchange = Exchange(request, intended)
        self.running[request.index] = exchange
        if self._free:
            self._send(self._free.pop(), exchange)
            return
        task = asyncio.get_running_loop().create_task(self._connect_and_send(exchange))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def close(self) -> None:
        """End everything. Exchanges still on the way stay in ``running`` as they are."""
        for task in tuple(self._waiting):
            task.cancel()
        for connection in tuple(self._open):
            connection.abort()
        await asyncio.gather(*self._waiting, return_exceptions=True)
        for connection in tuple(self._open):  # one may have opened while its task was cancelled
            connection.abort()
        await asyncio.sleep(0)  # let the transports close their sockets

    async def _connect(self) -> Connection | str:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                _, connection = await loop.create_connection(
                    lambda: Connection(self._ended, self._lost),
                    self._target.host,
                    self._target.port,
                )
        except OSError as error:  # TimeoutError is one
            return str(error) or "timed out"
        self._open.add(connection)
        return connection

    async def _connect_and_send(self, exchange: Exchange) -> None:
        connection = await self._connect()
        if isinstance(connection, Connection) and connection.usable:
            self._send(connection, exchange)
            return
        reason = connection if isinstance(connection, str) else "closed at once"
        exchange.error, exchange.done = f"cannot connect: {reason}", perf_counter()
        self._finish(exchange)

    def _send(self, connection: Connection, exchange: Exchange) -> None:
        connection.send(exchange, self._payloads[exchange.request.index], self._deadline)

    def _ended(self, connection: Connection, exchange: Exchange) -> None:
        if connection.usable:
            self._free.append(connection)
        self._finish(exchange)

    def _finish(self, exchange: Exchange) -> None:
        del self.running[exchange.request.index]
        self._on_end(exchange)

    def _lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        if connection in self._free:
            self._free.remove(connection)
