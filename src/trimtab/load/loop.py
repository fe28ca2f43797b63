"""An event loop with timers on time to a fraction of a millisecond, and with cheap reads."""

from __future__ import annotations

import asyncio
import os
import select
import selectors
import socket
import sys
from collections.abc import Callable
from time import monotonic
from typing import Final

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
