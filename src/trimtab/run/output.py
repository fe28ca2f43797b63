"""The server's own output: passed on byte for byte, and read along until it is verified.

An engine tells its configuration in its log, which is its output. So the server writes into
pipes, and threads copy them; where standard output and error are the same file there is one pipe,
which keeps the order.
"""

from __future__ import annotations

import errno
import os
import select
import threading
from contextlib import suppress

KEPT = 4_000_000
"""Bytes of output that are kept until the server is verified; its configuration comes first."""

_CHUNK = 65536


class Output:
    """The pipes of one server.

    ``streams`` are the descriptors for the server: standard input (ours), output and error.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._text: bytearray | None = bytearray()
        self._pumps: list[threading.Thread] = []
        pairs = [(1, 2)] if _same(1, 2) else [(1,), (2,)]
        written: dict[int, int] = {}
        for targets in pairs:
            read, write = os.pipe2(os.O_CLOEXEC)
            written |= dict.fromkeys(targets, write)
            pump = threading.Thread(target=self._copy, args=(read, targets[0]), daemon=True)
            self._pumps.append(pump)
        self.streams = (_standard_input(), written[1], written[2])

    def begin(self) -> None:
        """Close our copies of what the server was given, and start to copy."""
        for handle in {*self.streams}:
            os.close(handle)
        for pump in self._pumps:
            pump.start()

    def text(self) -> str:
        """Return what the server has written so far, at most `KEPT` bytes of its beginning."""
        with self._lock:
            return bytes(self._text or b"").decode(errors="replace")

    def forget(self) -> None:
        """Keep the output no longer."""
        with self._lock:
            self._text = None

    def finish(self, seconds: float) -> None:
        """Wait until all output is passed on: ``seconds`` at most, for a stranger may hold it."""
        for pump in self._pumps:
            pump.join(seconds)

    def _copy(self, source: int, target: int) -> None:
        while data := os.read(source, _CHUNK):
            with self._lock:
                if self._text is not None and len(self._text) < KEPT:
                    self._text += data
            try:
                _write(target, data)
            except OSError as error:
                if error.errno in (errno.EPIPE, errno.EBADF):
                    break  # nobody reads any more: the server is told so by its own write
                # A full disk loses lines, and no server ends for it.
        os.close(source)


def _write(target: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(target, view) :]
        except BlockingIOError:  # somebody has made the terminal or pipe non-blocking
            select.select([], [target], [])


def _same(one: int, other: int) -> bool:
    with suppress(OSError):
        a, b = os.fstat(one), os.fstat(other)
        return (a.st_dev, a.st_ino, a.st_rdev) == (b.st_dev, b.st_ino, b.st_rdev)
    return False


def _standard_input() -> int:
    try:
        return os.dup(0)
    except OSError:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
