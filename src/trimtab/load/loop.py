"""An event loop whose timers are on time to a fraction of a millisecond."""

from __future__ import annotations

import asyncio
import select
import selectors
import sys
from typing import Final

_LARGEST: Final = 1023
"""The highest descriptor that select(2) takes."""


def event_loop() -> asyncio.AbstractEventLoop:
    """Return a new event loop: a punctual one on Linux, else the platform's own."""
    if sys.platform != "linux":
        return asyncio.new_event_loop()
    return asyncio.SelectorEventLoop(PunctualSelector())


if sys.platform == "linux":

    class PunctualSelector(selectors.EpollSelector):
        """epoll that sleeps as long as it is told to, and not up to the next whole millisecond.

        An epoll descriptor is readable when it has events, and select(2) waits for that to the
        microsecond. Polling through the last millisecond would be as punctual, for half a
        millisecond of CPU time at each timer.
        """

        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            """Return what is ready, after at most ``timeout`` seconds."""
            if timeout is None or timeout <= 0 or self.fileno() > _LARGEST:
                return super().select(timeout)
            select.select((self,), (), (), timeout)
            return super().select(0)
