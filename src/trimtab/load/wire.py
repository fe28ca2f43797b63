"""A socket whose reads carry the instant at which the kernel received the bytes.

Client and server often share cores: a client that stamps what it reads when it gets to run
reports its own waiting as the server's. Linux stamps each packet on arrival (SO_TIMESTAMPNS,
socket(7)); of bytes from several packets in one read the last one's stamp counts. Elsewhere, and
where no stamp comes, the instant of the read is taken; the first socket of a machine to ask turns
the stamps on a moment later.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from time import perf_counter, time
from typing import Any, Final, Protocol, TypeAlias

from trimtab.http_client.address import Address
from trimtab.load.loop import add_read, remove_read
from trimtab.load.tls import Layer

_READ_BYTES: Final = 65_536
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


class Writable(Protocol):
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


async def connect(places: Sequence[Place], receiver: Receiver, at: Address) -> Writable:
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
