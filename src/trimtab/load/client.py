"""The streaming client: as little work as possible between the socket and the stamp.

Connections are opened and requests are bytes before the run; a read is stamped by the kernel and
framed (httptools), and JSON is decoded after the run. A client that does more per chunk queues
requests inside itself and reports that as the server's time to first token, and takes the cores
the server needs. Nothing here raises for what a server does: every failure is text on an exchange.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final, Protocol

import httptools

from trimtab.load import wire
from trimtab.load.sse import Piece, describe_error
from trimtab.load.target import Target
from trimtab.model import Request

_CONNECT_SECONDS: Final = 10.0


@dataclass(slots=True)
class Exchange:
    """One request on its way: filled in while it runs. Instants are of ``perf_counter``.

    ``intended`` is ``None`` where no schedule says when it is to be sent, until it is. ``pieces``
    are the parts of the body, with the instants at which they arrived; ``done`` is when its end
    was read, ``None`` while it runs. ``error`` then says what went wrong in transport.
    """

    request: Request
    intended: float | None
    sent: float | None = None
    status: int | None = None
    pieces: list[Piece] = field(default_factory=list)
    done: float | None = None
    error: str = ""


class Writable(Protocol):
    """What a connection needs of its socket."""

    def write(self, data: bytes) -> None:
        """Send bytes."""

    def abort(self) -> None:
        """Close at once."""


class Connection:
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
        self.usable = False
        self._on_read = on_read
        self._on_end = on_end
        self._on_lost = on_lost
        self._wire: Writable | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._exchange: Exchange | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._arrived = 0.0
        self._whole = False
        self._keep = False

    def send(self, exchange: Exchange, payload: bytes, deadline: float) -> None:
        """Write the request and wait for its answer, at most ``deadline`` seconds."""
        assert self._wire is not None
        self._parser = httptools.HttpResponseParser(self)
        self._exchange, self._whole = exchange, False
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

    def connection_made(self, opened: Writable) -> None:
        """Take the socket."""
        self._wire = opened
        self.usable = True

    def data_received(self, data: bytes, arrived: float) -> None:
        """Frame what was read (the wire calls this)."""
        self._on_read()
        self._arrived = arrived
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
            self._exchange.pieces.append((self._arrived, body))

    def on_message_complete(self) -> None:
        """Note that the response is whole (the parser calls this, inside ``feed_data``)."""
        self._whole = True

    def connection_lost(self, error: OSError | None) -> None:
        """Fail what is on the way (the wire calls this)."""
        self._fail(f"connection lost: {error or 'closed by the server before the answer ended'}")

    def _complete(self, exchange: Exchange) -> None:
        if exchange.status != 200:
            body = b"".join(body for _, body in exchange.pieces)
            exchange.error = f"HTTP {exchange.status}: {describe_error(body)}"
        if not self._keep:
            self._drop()
        self._end()

    def _expire(self, deadline: float) -> None:
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
        if self._wire is not None:
            self._wire.abort()

    def _end(self) -> None:
        exchange, self._exchange = self._exchange, None
        if self._deadline is not None:
            self._deadline.cancel()
        if exchange is not None:
            exchange.done = perf_counter()
            self._on_end(self, exchange)


class Client:
    """Sends prepared requests over a pool of connections; ``on_end`` gets every ended exchange.

    ``on_read`` is called between reads, so that what is due need not wait for all that arrived.
    Free connections are a stack: the one used last is used next, so in open loop the surplus
    rests. A lost connection is replaced when a request needs it; requests are never retried.
    """

    def __init__(
        self,
        target: Target,
        requests: Sequence[Request],
        deadline: float,
        on_end: Callable[[Exchange], None],
        on_read: Callable[[], None],
    ) -> None:
        self._target = target
        self._deadline = deadline
        self._payloads = [target.encode(request) for request in requests]
        self._on_end = on_end
        self._on_read = on_read
        self._spare = 0
        self._addresses: list[wire.Address] = []
        self._free: list[Connection] = []
        self._open: set[Connection] = set()
        self._waiting: set[asyncio.Task[None]] = set()
        self.running: dict[int, Exchange] = {}

    async def open(self, connections: int, spare: int = 0) -> None:
        """Open connections beforehand. Those refused are tried again when needed.

        Once fewer than ``spare`` are free, each request opens one for those after it.
        """
        self._spare = spare
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await self._look_up()
        except OSError:  # TimeoutError is one
            return
        await asyncio.gather(*(self._add() for _ in range(connections)))

    def submit(self, request: Request, intended: float | None) -> None:
        """Send a request now, or as soon as a new connection for it is open.

        ``intended`` is the instant that a schedule names, ``None`` without one.
        """
        exchange = Exchange(request, intended)
        self.running[request.index] = exchange
        if self._free:
            self._send(self._free.pop(), exchange)
            if len(self._free) < self._spare:
                self._begin(self._add())
        else:
            self._begin(self._connect_and_send(exchange))

    async def close(self) -> None:
        """End everything. Exchanges still on the way stay in ``running`` as they are."""
        for task in tuple(self._waiting):
            task.cancel()
        for connection in tuple(self._open):
            connection.abort()
        await asyncio.gather(*self._waiting, return_exceptions=True)
        for connection in tuple(self._open):  # one may have opened while its task was cancelled
            connection.abort()

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def _add(self) -> None:
        made = await self._connect()
        if isinstance(made, Connection) and made.usable:
            self._free.append(made)

    async def _look_up(self) -> None:
        if not self._addresses:
            self._addresses = await wire.resolve(self._target.host, self._target.port)

    async def _connect(self) -> Connection | str:
        connection = Connection(self._ended, self._lost, self._on_read)
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await self._look_up()
                opened = await wire.connect(self._addresses, connection)
        except OSError as error:  # TimeoutError is one
            return str(error) or "timed out"
        connection.connection_made(opened)
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
