"""One way to stop a study: Ctrl-C, SIGTERM and SIGHUP all end it in the same orderly way."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop:
    """Whether somebody asked trimtab to stop, as an event that every wait can watch.

    The first signal lets the current step end itself; a second one interrupts at once.
    """

    def __init__(self) -> None:
        self.event = threading.Event()

    def check(self) -> None:
        """Raise KeyboardInterrupt if a stop was asked for."""
        if self.event.is_set():
            raise KeyboardInterrupt

    @contextmanager
    def listening(self) -> Iterator[Stop]:
        """Answer the signals while the block runs; restore the former handlers after it.

        Python handles signals in the main thread alone: elsewhere only the event ends a study.
        """
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        former = {
            number: signal.signal(number, self._handle)
            for number in _SIGNALS
            if signal.getsignal(number) is not signal.SIG_IGN  # nohup means it
        }
        try:
            yield self
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.event.is_set():
            raise KeyboardInterrupt
        self.event.set()
