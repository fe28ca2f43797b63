"""An event loop with timers on time to a fraction of a millisecond, and with cheap reads."""

from __future__ import annotations

import asyncio
import os
import select
import selectors
import socket
import sys
from collections.abc import Callable
from typing import Final

_LARGEST: Final = 1023
"""The highest descriptor that select(2) takes."""

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
        """epoll that sleeps as long as it is told to, and not up to the next whole millisecond.

        An epoll descriptor is readable when it has events, and select(2) waits for that to the
        microsecond. Polling through the last millisecond would be as punctual, for half a
        millisecond of CPU time at each timer.

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
            if timeout is not None and timeout > 0 and self.fileno() <= _LARGEST:
                select.select((self,), (), (), timeout)
                timeout = 0
            if not self._reads:
                return super().select(timeout)
            others = False
            for descriptor, _ in self._epoll.poll(None if timeout is None else max(0, timeout)):
                read = self._reads.get(descriptor)
                if read is None:
                    others = True
                else:
                    read()
            return super().select(0) if others else []

    class PunctualLoop(asyncio.SelectorEventLoop):
        """asyncio's own loop on a punctual selector."""

        def __init__(self) -> None:
            self.selector = PunctualSelector()
            super().__init__(self.selector)
