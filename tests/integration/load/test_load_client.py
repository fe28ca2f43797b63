"""The client: framing at any split, connections kept, every failure recorded and none raised."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.errors import UsageError
from trimtab.http_client.address import Address
from trimtab.load import transport
from trimtab.load.client import Client
from trimtab.load.connection import Connection, Exchange, LoadTarget
from trimtab.load.sse import decode
from trimtab.model import Request

REQUEST = Request(0, (5, 6, 7), 2)
EVENTS = (
    b'data: {"choices":[{"text":"a","finish_reason":null}]}\n\n',
    b'data: {"choices":[{"text":"b","finish_reason":"length"}]}\n\n',
    b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n',
    b"data: [DONE]\n\n",
)
CHUNKED = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    + b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in EVENTS)
    + b"0\r\n\r\n"
)
BODY = b"".join(EVENTS)
SIZED = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)


class Wire:
    """A socket that keeps what is written and knows whether it was aborted."""

    def __init__(self) -> None:
        self.written = b""
        self.aborted = False

    def write(self, data: bytes) -> None:
        self.written += data

    def abort(self) -> None:
        self.aborted = True


class Rig:
    """A connection on a :class:`Wire`, with what it reported."""

    def __init__(self) -> None:
        self.ended: list[Exchange] = []
        self.lost = 0
        self.exchange: Exchange | None = None
        self.framed_before_reads: list[int] = []
        self.wire = Wire()
        self.changed = asyncio.Event()
        self.connection = Connection(self._end, self._lose, self._read)
        self.connection.connection_made(self.wire)

    def _end(self, connection: Connection, exchange: Exchange) -> None:
        assert connection is self.connection
        self.ended.append(exchange)
        self.changed.set()

    def _lose(self, connection: Connection) -> None:
        assert connection is self.connection
        self.lost += 1

    def _read(self) -> None:
        self.framed_before_reads.append(len(self.exchange.pieces) if self.exchange else 0)

    def send(self, index: int = 0, deadline: float = 60.0) -> None:
        self.exchange = Exchange(Request(index, (1,), 1), 0.0)
        self.connection.send(self.exchange, b"payload", deadline)


def in_loop(test: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await test()

    asyncio.run(run())


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[begin:end] for begin, end in pairwise(edges) if end > begin]


@given(st.lists(st.integers(0, 10_000), max_size=20), st.sampled_from([CHUNKED, SIZED]))
@settings(max_examples=200)
def test_answers_are_framed_at_any_split(cuts: list[int], response: bytes) -> None:
    async def test() -> None:
        rig = Rig()
        for index in range(2):
            rig.send(index)
            parts = split(response, cuts)
            for count, part in enumerate(parts):
                assert len(rig.ended) == index, f"ended before part {count}"
                rig.connection.data_received(part, 1.0)
            assert len(rig.ended) == index + 1
        for exchange in rig.ended:
            answer = decode(exchange.pieces)
            assert exchange.error == ""
            assert (len(answer.chunks), answer.output_tokens) == (2, 2)
            assert answer.finished
            assert exchange.done == exchange.pieces[-1][0] or exchange.done is not None
        assert rig.connection.usable
        assert not rig.wire.aborted

    in_loop(test)


@given(st.lists(st.integers(0, 10_000), max_size=6), st.integers(0, len(CHUNKED) - 1))
@settings(max_examples=100)
def test_a_cut_answer_is_an_error(cuts: list[int], end: int) -> None:
    async def test() -> None:
        rig = Rig()
        rig.send()
        for part in split(CHUNKED[:end], cuts):
            rig.connection.data_received(part, 1.0)
        rig.connection.connection_lost(None)
        assert len(rig.ended) == 1
        assert "connection lost" in rig.ended[0].error
        assert (rig.lost, rig.connection.usable) == (1, False)

    in_loop(test)


@pytest.mark.parametrize(
    ("response", "error", "kept"),
    [
        (
            b'HTTP/1.1 500 X\r\ncontent-length: 26\r\n\r\n{"error":{"message":"no"}}',
            "HTTP 500: no",
            True,
        ),
        (b"HTTP/1.1 404 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", "HTTP 404", False),
        (b"SSH-2.0-OpenSSH_9\r\n", "not an HTTP/1.1 response", False),
    ],
)
def test_what_is_no_answer_is_recorded(response: bytes, error: str, kept: bool) -> None:
    async def test() -> None:
        rig = Rig()
        rig.send()
        rig.connection.data_received(response, 1.0)
        assert error in rig.ended[0].error
        assert rig.connection.usable is kept
        assert rig.wire.aborted is not kept

    in_loop(test)


def test_bytes_that_nobody_asked_for_end_the_connection() -> None:
    async def test() -> None:
        rig = Rig()
        rig.connection.data_received(b"HTTP/1.1 200 OK\r\n\r\n", 1.0)
        assert rig.wire.aborted
        assert (rig.lost, rig.ended) == (1, [])

    in_loop(test)


def test_every_read_is_told_before_it_is_framed() -> None:
    async def test() -> None:
        rig = Rig()
        rig.send()
        for part in (CHUNKED[:-100], CHUNKED[-100:]):
            rig.connection.data_received(part, 1.0)
        first, second = rig.framed_before_reads
        assert 0 == first < second < len(rig.ended[0].pieces)

    in_loop(test)


def test_the_deadline_ends_the_exchange_and_only_that() -> None:
    async def test() -> None:
        rig = Rig()
        rig.send(0, deadline=60.0)
        rig.connection.data_received(CHUNKED, 1.0)
        rig.changed.clear()
        rig.send(1, deadline=0.01)
        await asyncio.wait_for(rig.changed.wait(), 30)
        assert [one.error for one in rig.ended] == [
            "",
            (
                "no complete answer within the deadline of 0.01 s: "
                "raise the workload's request_deadline"
            ),
        ]
        assert rig.wire.aborted

    in_loop(test)


def test_the_bytes_of_a_request() -> None:
    target = LoadTarget.parse("http://127.0.0.1:81", "m")
    head, body = target.encode(REQUEST).split(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1:81\r\n")
    assert b"Content-Length: %d" % len(body) in head
    assert body == (
        b'{"model":"m","prompt":[5,6,7],"max_tokens":2,"ignore_eos":true,"temperature":0,'
        b'"stream":true,"stream_options":{"include_usage":true}}'
    )


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:1",
        "http://",
        "http://h:x",
        "http://h:1/v1",
        "http://h/a/v1/",
        "ftp://h",
        "unix:///",
        "http://u:p@h",
        "http://h/?a=1",
        "http://h/a b",
    ],
)
def test_another_url_is_a_usage_error(url: str) -> None:
    with pytest.raises(UsageError, match="URL"):
        LoadTarget.parse(url, "m")


@pytest.mark.parametrize(
    ("url", "port"), [("http://localhost:8000/", 8000), ("http://gpu1", 80), ("http://h:0", 0)]
)
def test_urls(url: str, port: int) -> None:
    assert LoadTarget.parse(url, "m").address.port == port


class Answering:
    """A server that gives every request the same answer, and knows who asked."""

    def __init__(self) -> None:
        self.peers: list[tuple[str, int]] = []
        self.connections: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        self._server.close()
        await asyncio.gather(*self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections.put_nowait(writer.get_extra_info("peername"))
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
                self.peers.append(writer.get_extra_info("peername"))
                writer.write(CHUNKED)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def test_the_pool_keeps_connections_and_uses_the_last_one_first() -> None:
    async def test() -> None:
        server = Answering()
        target = LoadTarget.parse(f"http://127.0.0.1:{await server.start()}", "m")
        requests = [Request(index, (1,), 2) for index in range(6)]
        ended: asyncio.Queue[Exchange] = asyncio.Queue()
        client = Client(target, requests, 30.0, ended.put_nowait, lambda: None)
        await client.open(3)
        for request in requests:
            client.submit(request, 0.0)
            exchange = await asyncio.wait_for(ended.get(), 30)
            assert (exchange.error, exchange.request) == ("", request)
        assert len(server.peers) == 6
        assert len(set(server.peers)) == 1
        assert client.running == {}
        await client.close()
        await server.stop()

    in_loop(test)


def test_a_request_without_a_free_connection_gets_a_new_one() -> None:
    async def test() -> None:
        server = Answering()
        target = LoadTarget.parse(f"http://127.0.0.1:{await server.start()}", "m")
        requests = [Request(index, (1,), 2) for index in range(3)]
        ended: asyncio.Queue[Exchange] = asyncio.Queue()
        client = Client(target, requests, 30.0, ended.put_nowait, lambda: None)
        await client.open(1)
        for request in requests:
            client.submit(request, 0.0)
        done = [await asyncio.wait_for(ended.get(), 30) for _ in requests]
        assert {one.error for one in done} == {""}
        assert len(set(server.peers)) == 3
        await client.close()
        await server.stop()

    in_loop(test)


def test_connections_are_kept_ahead_of_need() -> None:
    async def test() -> None:
        server = Answering()
        target = LoadTarget.parse(f"http://127.0.0.1:{await server.start()}", "m")
        requests = [Request(index, (1,), 2) for index in range(2)]
        ended: asyncio.Queue[Exchange] = asyncio.Queue()
        client = Client(target, requests, 30.0, ended.put_nowait, lambda: None)
        await client.open(1, spare=1)
        client.submit(requests[0], 0.0)
        opened = [await asyncio.wait_for(server.connections.get(), 30) for _ in range(2)]
        assert (await asyncio.wait_for(ended.get(), 30)).error == ""
        client.submit(requests[1], 0.0)
        assert (await asyncio.wait_for(ended.get(), 30)).error == ""
        assert set(server.peers) <= set(opened)
        assert server.connections.empty()
        await client.close()
        await server.stop()

    in_loop(test)


def test_a_name_that_is_not_known_is_asked_for_once_and_again_when_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    async def resolve(at: Address) -> list[transport.Place]:
        asked.append(at.host)
        raise OSError("no such name")

    async def test() -> None:
        monkeypatch.setattr(transport, "resolve", resolve)
        ended: asyncio.Queue[Exchange] = asyncio.Queue()
        target = LoadTarget.parse("http://nowhere.invalid:8000", "m")
        client = Client(target, [REQUEST], 30.0, ended.put_nowait, lambda: None)
        await client.open(8)
        assert len(asked) == 1
        client.submit(REQUEST, 0.0)
        exchange = await asyncio.wait_for(ended.get(), 30)
        assert exchange.error == "cannot connect: no such name"
        assert len(asked) == 2
        await client.close()

    in_loop(test)


def test_a_refused_connection_is_recorded() -> None:
    async def test() -> None:
        server = Answering()
        port = await server.start()
        await server.stop()
        ended: asyncio.Queue[Exchange] = asyncio.Queue()
        target = LoadTarget.parse(f"http://127.0.0.1:{port}", "m")
        client = Client(target, [REQUEST], 30.0, ended.put_nowait, lambda: None)
        await client.open(2)
        client.submit(REQUEST, 0.0)
        exchange = await asyncio.wait_for(ended.get(), 30)
        assert exchange.error.startswith("cannot connect")
        assert exchange.done is not None
        assert exchange.sent is None
        await client.close()

    in_loop(test)
