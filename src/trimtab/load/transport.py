"""A socket whose reads carry the instant at which the kernel received the bytes.

Client and server often share cores: a client that stamps what it reads when it gets to run
reports its own waiting as the server's. Linux stamps each packet on arrival (SO_TIMESTAMPNS,
socket(7)); of bytes from several packets in one read the last one's stamp counts. Elsewhere, and
where no stamp comes, the instant of the read is taken; the first socket of a machine to ask turns
the stamps on a moment later.

An event loop with timers on time to a fraction of a millisecond, and with cheap reads.

TLS between a wire and its receiver: what arrives keeps the stamp of the bytes it came in.
"""

from __future__ import annotations

import asyncio
import os
import resource
import select
import selectors
import socket
import ssl
import struct
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from time import monotonic, perf_counter, time
from typing import Any, Final, Protocol, TypeAlias

from trimtab.errors import UsageError
from trimtab.http_client.address import Address
from trimtab.load.workload import Workload

_LARGEST: Final = 1023
"""The highest descriptor that select(2) takes."""

_EARLY: Final = 0.0003
"""Seconds before its time at which the loop wakes. On a virtual machine a sleep ends 0.2 to 0.3 ms
late (the timer's slack, and a processor that has to be woken); what is left is polled through."""

Read = Callable[[], None]
"""Reads what is there to be read. It must not raise: nothing stands between it and the loop."""


def event_loop() -> asyncio.AbstractEventLoop:
    """Return a new event loop: a punctual one on Linux, else the platform's own."""
    if sys.platform != "linux":
        return asyncio.new_event_loop()
    return PunctualLoop()


def add_read(loop: asyncio.AbstractEventLoop, opened: socket.socket, read: Read) -> None:
    """Call ``read`` whenever the socket has something, by the shortest way that the loop has."""
    if sys.platform == "linux" and isinstance(loop, PunctualLoop):
        loop.selector.add_read(opened.fileno(), read)
    else:
        loop.add_reader(opened, read)


def remove_read(loop: asyncio.AbstractEventLoop, opened: socket.socket) -> None:
    """Call it no more."""
    if sys.platform == "linux" and isinstance(loop, PunctualLoop):
        loop.selector.remove_read(opened.fileno())
    else:
        loop.remove_reader(opened)


if sys.platform == "linux":

    class PunctualSelector(selectors.EpollSelector):
        """epoll that waits as long as it is told to, and not up to the next whole millisecond.

        An epoll descriptor is readable when it has events, and select(2) waits for that to the
        microsecond. It wakes early, and polls until it is time: at 50 timers a second at most
        1.5 % of a core.

        Reads that were added here are called while it selects: an event loop's own way (an event,
        a handle, a queue, a context) costs as much again as what is done with a token.
        """

        def __init__(self) -> None:
            super().__init__()
            self._epoll = select.epoll.fromfd(os.dup(self.fileno()))
            self._reads: dict[int, Read] = {}

        def add_read(self, descriptor: int, read: Read) -> None:
            """Call ``read`` whenever there is something to be read."""
            self._epoll.register(descriptor, select.EPOLLIN)
            self._reads[descriptor] = read

        def remove_read(self, descriptor: int) -> None:
            """Call it no more; nothing happens if there is none."""
            if self._reads.pop(descriptor, None) is not None:
                self._epoll.unregister(descriptor)

        def close(self) -> None:
            """Close both descriptors."""
            self._epoll.close()
            super().close()

        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            """Return what else is ready, after at most ``timeout`` seconds."""
            others = False
            for descriptor, _ in self._wait(timeout):
                read = self._reads.get(descriptor)
                if read is None:
                    others = True
                else:
                    read()
            return super().select(0) if others else []

        def _wait(self, timeout: float | None) -> list[tuple[int, int]]:
            """Return descriptors with events; none if there are none in ``timeout`` seconds."""
            if timeout is None:
                return self._epoll.poll()
            if self.fileno() > _LARGEST:
                return self._epoll.poll(max(0, timeout))
            until = monotonic() + timeout
            if timeout > _EARLY:
                select.select((self,), (), (), timeout - _EARLY)
            while not (found := self._epoll.poll(0)) and monotonic() < until:
                pass
            return found

    class PunctualLoop(asyncio.SelectorEventLoop):
        """asyncio's own loop on a punctual selector."""

        def __init__(self) -> None:
            self.selector = PunctualSelector()
            super().__init__(self.selector)


_READ_BYTES: Final = 65_536


class Layer:
    """One TLS connection: a receiver to the wire below it, and a wire to the receiver above."""

    def __init__(self, context: ssl.SSLContext, host: str, above: Receiver) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._above = above
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._below: ByteSink | None = None

    def carry(self, below: ByteSink) -> None:
        """Take the wire that carries the encrypted bytes."""
        self._below = below

    async def handshake(self) -> Layer:
        """Agree with the server on keys.

        Raises:
            OSError: they do not agree (`ssl.SSLError` is one), or the connection was lost.
        """
        self._greet()
        try:
            await self._ready
        except BaseException:
            self.abort()
            raise
        return self

    def write(self, data: bytes) -> None:
        """Encrypt and send bytes."""
        self._tls.write(data)
        self._flush()

    def abort(self) -> None:
        """Close at once."""
        if self._below is not None:
            self._below.abort()

    def data_received(self, data: bytes, arrived: float) -> None:
        """Take encrypted bytes (the wire calls this)."""
        self._incoming.write(data)
        if not self._ready.done():
            self._greet()
        if not self._agreed:
            return
        try:
            plain = b"".join(iter(self._next, b""))
        except ssl.SSLError as error:
            self.abort()
            self._above.connection_lost(error)
            return
        self._flush()  # keys may have changed
        if plain:
            self._above.data_received(plain, arrived)

    def connection_lost(self, error: OSError | None) -> None:
        """Take the end (the wire calls this)."""
        if not self._ready.done():
            self._ready.set_exception(error or ConnectionError("closed during the TLS handshake"))
        elif self._agreed:
            self._above.connection_lost(error)

    @property
    def _agreed(self) -> bool:
        """Whether the handshake went well; nobody may have waited for it to its end."""
        ready = self._ready
        return ready.done() and not ready.cancelled() and ready.exception() is None

    def _next(self) -> bytes:
        """Return what can be decrypted now, nothing if more has to arrive first."""
        try:
            return self._tls.read(_READ_BYTES)
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            return b""

    def _greet(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self._flush()
            self._ready.set_exception(error)
            return
        else:
            self._ready.set_result(None)
        self._flush()

    def _flush(self) -> None:
        if self._below is not None and (sent := self._outgoing.read()):
            self._below.write(sent)


_SO_TIMESTAMPNS: Final = 35
"""linux/asm-generic/socket.h; Python has no name for it."""

_TIMESPEC: Final = struct.Struct("@ll")
_ANCILLARY: Final = socket.CMSG_SPACE(_TIMESPEC.size)
_OLDEST: Final = 10.0
"""Seconds after which a stamp is not believed: the wall clock was set meanwhile."""


class Receiver(Protocol):
    """What a wire tells."""

    def data_received(self, data: bytes, arrived: float) -> None:
        """Take bytes, and when they arrived (``perf_counter``)."""

    def connection_lost(self, error: OSError | None) -> None:
        """Take the end: the peer closed (``None``) or the connection broke."""


class ByteSink(Protocol):
    """What a connection needs of its socket."""

    def write(self, data: bytes) -> None:
        """Send bytes."""

    def abort(self) -> None:
        """Close at once."""


class Wire:
    """One open connection on the running event loop."""

    def __init__(self, opened: socket.socket, receiver: Receiver) -> None:
        self._socket, self._receiver = opened, receiver
        self._loop = asyncio.get_running_loop()
        self._unsent = b""
        self._waits = False
        if opened.family != socket.AF_UNIX:
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if sys.platform == "linux":
            opened.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        add_read(self._loop, opened, self._read)

    def write(self, data: bytes) -> None:
        """Send now what the kernel takes, the rest as soon as it can."""
        self._unsent += data
        if len(self._unsent) == len(data):
            self._send()

    def abort(self) -> None:
        """Close at once; nothing is told any more."""
        if self._socket.fileno() >= 0:
            self._stop_waiting()
            remove_read(self._loop, self._socket)
            self._socket.close()

    def _send(self) -> None:
        try:
            taken = self._socket.send(self._unsent)
        except (BlockingIOError, InterruptedError):
            taken = 0
        except OSError as error:
            self._lose(error)
            return
        self._unsent = self._unsent[taken:]
        if not self._unsent:
            self._stop_waiting()
        elif not self._waits:
            # the shortest way is for reads alone; a descriptor cannot go both
            self._waits = True
            remove_read(self._loop, self._socket)
            self._loop.add_reader(self._socket, self._read)
            self._loop.add_writer(self._socket, self._send)

    def _stop_waiting(self) -> None:
        """Wait no longer for room to send in; read by the shortest way again."""
        if self._waits:
            self._waits = False
            self._loop.remove_writer(self._socket)
            self._loop.remove_reader(self._socket)
            add_read(self._loop, self._socket, self._read)

    def _read(self) -> None:
        try:
            data, ancillary, _, _ = self._socket.recvmsg(_READ_BYTES, _ANCILLARY)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lose(error)
            return
        if not data:
            self._lose(None)
            return
        now = perf_counter()
        for level, kind, content in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
                now -= _age(content)
        self._receiver.data_received(data, now)

    def _lose(self, error: OSError | None) -> None:
        self.abort()
        self._receiver.connection_lost(error)


def _age(timespec: bytes) -> float:
    """Return how many seconds ago a kernel's stamp was taken, 0 for one that cannot be true."""
    seconds, nanoseconds = _TIMESPEC.unpack_from(timespec)
    age = time() - (seconds + nanoseconds / 1e9)
    return age if 0 < age < _OLDEST else 0.0


Place: TypeAlias = tuple[socket.AddressFamily, socket.SocketKind, int, Any]
"""Family, kind, protocol and address of a place to connect to."""


async def resolve(at: Address) -> list[Place]:
    """Return the places of a server, which takes a thread: once is enough for a load.

    Raises:
        OSError: the name is not known.
    """
    if at.uds:
        return [(socket.AF_UNIX, socket.SOCK_STREAM, 0, at.uds)]
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(at.host, at.port, type=socket.SOCK_STREAM)
    return [(family, kind, protocol, address) for family, kind, protocol, _, address in found]


async def connect(places: Sequence[Place], receiver: Receiver, at: Address) -> ByteSink:
    """Open a connection to the first of the places that takes one, with TLS if ``at`` has it.

    Raises:
        OSError: none does, or the handshake fails.
    """
    loop = asyncio.get_running_loop()
    trouble = OSError("the host has no address")
    context = at.context()
    for family, kind, protocol, address in places:
        with ExitStack() as unless_wired:
            opened = socket.socket(family, kind | socket.SOCK_NONBLOCK, protocol)
            unless_wired.enter_context(opened)
            try:
                await loop.sock_connect(opened, address)
            except OSError as error:
                trouble = error
                continue
            if context is not None:
                layer = Layer(context, at.name, receiver)
                layer.carry(Wire(opened, layer))
                unless_wired.pop_all()
                return await layer.handshake()
            wired = Wire(opened, receiver)
            unless_wired.pop_all()
            return wired
    raise trouble


_OWN: Final = 256
"""Files beside the streams: what is read of a tree of processes, ledgers, pipes, libraries."""

_OPEN_LOOP: Final = 4096
"""Streams that an open loop may have at once: it opens one for each request that waits."""


def required_files(workload: Workload) -> int:
    """Return how many files a load may have open at once.

    A closed loop has as many streams as it names. In an open loop every request of the load may
    be on its way at once, should the server stand still.
    """
    streams = workload.concurrency or min(workload.requests, _OPEN_LOOP)
    return streams + _OWN


def require_files(workload: Workload) -> None:
    """Raise the soft limit of open files to what a load may need.

    Raises:
        UsageError: the hard limit is below what the load needs at least.
    """
    wanted = required_files(workload)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    bound = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if bound < wanted and workload.concurrency is not None:
        raise UsageError(
            f"a load of {workload.concurrency} streams needs {wanted} open files, but this "
            f"process may have {hard}: type 'ulimit -n {wanted}' first (as root if it refuses), "
            "or lower the workload's arrival.concurrency"
        )
    if bound > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (bound, hard))
