"""The streaming client: as little work as possible between the socket and the stamp.

Connections are opened and requests are bytes before the run; a read is stamped by the kernel and
framed (httptools), and JSON is decoded after the run. A client that does more per chunk queues
requests inside itself and reports that as the server's time to first token, and takes the cores
the server needs. Nothing here raises for what a server does: every failure is text on an exchange.

Greedy answers to fixed prompts: compared, they show whether a setting changes what is said.

The prompts are the same for every start of every study, one after the other and alone on the
server, so that no batch can tip a token.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from time import perf_counter
from typing import Final

from numpy.random import default_rng

from trimtab.http_client import loopback
from trimtab.http_client.loopback import OWN_LIMITS, client_limit
from trimtab.load import transport
from trimtab.load.connection import Connection, Exchange, LoadTarget
from trimtab.model import Request

_CONNECT_SECONDS: Final = 10.0


class Client:
    """Sends prepared requests over a pool of connections; ``on_end`` gets every ended exchange.

    ``on_read`` is called between reads, so that what is due need not wait for all that arrived.
    Free connections are a stack: the one used last is used next, so in open loop the surplus
    rests. A lost connection is replaced when a request needs it; requests are never retried.
    """

    def __init__(
        self,
        target: LoadTarget,
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
        self._addresses: list[transport.Place] = []
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
            self._addresses = await transport.resolve(self._target.address)

    async def _connect(self) -> Connection | OSError:
        connection = Connection(self._ended, self._lost, self._on_read)
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await self._look_up()
                opened = await transport.connect(self._addresses, connection, self._target.address)
        except OSError as error:  # TimeoutError is one
            return error
        connection.connection_made(opened)
        self._open.add(connection)
        return connection

    async def _connect_and_send(self, exchange: Exchange) -> None:
        connection = await self._connect()
        if isinstance(connection, Connection) and connection.usable:
            self._send(connection, exchange)
            return
        if isinstance(connection, Connection):
            exchange.error = "cannot connect: closed at once"
        elif connection.errno in OWN_LIMITS:
            exchange.error, exchange.own = client_limit(connection), True
        else:
            exchange.error = f"cannot connect: {str(connection) or 'timed out'}"
        exchange.done = perf_counter()
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


PROMPTS: Final = (8, 32, 96, 128)
"""Lengths of the prompts in tokens."""

TOKENS: Final = 24
"""Tokens of each answer."""

_SECONDS: Final = 120.0


def greedy_tokens(
    url: str, model: str, vocab: int, floor: int, key: str | None = None
) -> tuple[tuple[int, ...], ...]:
    """Return the token ids with which the server answers each prompt at temperature 0.

    Prompts are drawn from the ids ``floor`` up to nine tenths of ``vocab``. Empty if any answer
    is missing or has no ids (vLLM returns them since 0.10.2, when asked to): a comparison that
    holds only for some prompts would be none.
    """
    rng = default_rng(20)
    found = []
    for length in PROMPTS:
        asked = {
            "model": model,
            "prompt": rng.integers(floor, vocab * 9 // 10, length).tolist(),
            "max_tokens": TOKENS,
            "temperature": 0,
            "ignore_eos": True,
            "return_token_ids": True,
        }
        ids = _ids(loopback.post_json(url, "/v1/completions", asked, _SECONDS, key))
        if not ids:
            return ()
        found.append(ids)
    return tuple(found)


def _ids(answer: object) -> tuple[int, ...]:
    match answer:
        case {"choices": [{"token_ids": [*ids]}]}:
            return tuple(one for one in ids if isinstance(one, int))
    return ()
