"""The wire: kernel stamps, partial writes, every kind of end told once."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import time
from collections.abc import Awaitable, Callable
from time import perf_counter

import pytest

from trimtab.http_client.address import Address
from trimtab.load import transport
from trimtab.load.transport import Layer, event_loop

InLoop = Callable[[Callable[["Heard"], Awaitable[None]]], None]


class Heard:
    """A receiver that keeps what it is told."""

    def __init__(self) -> None:
        self.data = b""
        self.arrived: list[float] = []
        self.lost: list[OSError | None] = []
        self.changed = asyncio.Event()

    def data_received(self, data: bytes, arrived: float) -> None:
        self.data += data
        self.arrived.append(arrived)
        self.changed.set()

    def connection_lost(self, error: OSError | None) -> None:
        self.lost.append(error)
        self.changed.set()


async def connected(heard: Heard) -> tuple[transport.ByteSink, socket.socket]:
    listening = socket.create_server(("127.0.0.1", 0))
    with listening:
        at = Address("127.0.0.1", listening.getsockname()[1])
        opened = await transport.connect(await transport.resolve(at), heard, at)
        peer, _ = listening.accept()
    return opened, peer


@pytest.fixture(params=[event_loop, asyncio.new_event_loop])
def in_loop(request: pytest.FixtureRequest) -> InLoop:
    """Runs a test in a loop of ours, whose reads go a shorter way, and in one of asyncio."""

    def run(test: Callable[[Heard], Awaitable[None]]) -> None:
        async def whole() -> None:
            await asyncio.wait_for(test(Heard()), 30)

        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(whole())

    return run


def test_bytes_are_stamped_when_they_arrive_and_not_when_they_are_read(in_loop: InLoop) -> None:
    async def stamped(heard: Heard, peer: socket.socket) -> bool:
        heard.changed.clear()
        peer.sendall(b"x")
        sent = perf_counter()
        time.sleep(0.2)  # noqa: ASYNC251  the client is kept from running
        read = perf_counter()
        await heard.changed.wait()
        return abs(heard.arrived[-1] - sent) < abs(heard.arrived[-1] - read)

    async def test(heard: Heard) -> None:
        opened, peer = await connected(heard)
        with peer:
            # The first socket that asks for stamps turns them on a moment later (netstamp_work).
            assert any([await stamped(heard, peer) for _ in range(10)])
            assert await stamped(heard, peer)
        opened.abort()

    in_loop(test)


def test_what_the_kernel_does_not_take_at_once_is_sent_later(in_loop: InLoop) -> None:
    async def test(heard: Heard) -> None:
        opened, peer = await connected(heard)
        sent = b"0123456789" * 2_000_000
        opened.write(sent)
        opened.write(b"end")
        got = bytearray()
        with peer:
            while not got.endswith(b"end"):
                got += await asyncio.to_thread(peer.recv, 1_000_000)
            assert got == sent + b"end"
            peer.sendall(b"and back")
            await heard.changed.wait()
        assert heard.data == b"and back"
        opened.abort()

    in_loop(test)


@pytest.mark.parametrize("reset", [False, True])
def test_the_end_is_told_once(reset: bool, in_loop: InLoop) -> None:
    async def test(heard: Heard) -> None:
        opened, peer = await connected(heard)
        if reset:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        await heard.changed.wait()
        assert len(heard.lost) == 1
        assert isinstance(heard.lost[0], ConnectionResetError) is reset
        opened.abort()
        opened.abort()
        assert len(heard.lost) == 1

    in_loop(test)


def test_a_write_to_a_broken_connection_is_a_loss(in_loop: InLoop) -> None:
    async def test(heard: Heard) -> None:
        opened, peer = await connected(heard)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        opened.write(b"x")
        await heard.changed.wait()
        assert len(heard.lost) == 1

    in_loop(test)


def test_what_arrives_after_a_handshake_was_given_up_is_nothing(in_loop: InLoop) -> None:
    """A load that ends cancels its connects, whose sockets are read until they get to know."""

    async def test(heard: Heard) -> None:
        layer = Layer(ssl.create_default_context(), "localhost", heard)
        waiting = asyncio.create_task(layer.handshake())
        await asyncio.sleep(0)
        waiting.cancel()
        layer.data_received(b"\x16\x03\x03", 0.0)
        layer.connection_lost(None)
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert (heard.data, heard.lost) == (b"", [])

    in_loop(test)


def test_nobody_listens(in_loop: InLoop) -> None:
    async def test(heard: Heard) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = listening.getsockname()[1]
        at = Address("localhost", port)
        places = await transport.resolve(at)
        with pytest.raises(ConnectionRefusedError):
            await transport.connect(places, heard, at)

    in_loop(test)


@pytest.mark.parametrize("age", [-5.0, 60.0])
def test_a_stamp_of_a_clock_that_was_set_is_not_believed(age: float) -> None:
    stamp = time.time() - age
    assert transport._age(struct.pack("@ll", int(stamp), 0)) == 0.0
