"""TLS between a wire and its receiver: what arrives keeps the stamp of the bytes it came in."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from trimtab.load.wire import Receiver, Writable

_READ_BYTES: Final = 65_536


class Layer:
    """One TLS connection: a receiver to the wire below it, and a wire to the receiver above."""

    def __init__(self, context: ssl.SSLContext, host: str, above: Receiver) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._above = above
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._below: Writable | None = None

    def carry(self, below: Writable) -> None:
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
