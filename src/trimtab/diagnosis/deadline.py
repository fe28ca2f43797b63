"""Reads that must not hang: a file under /proc blocks while its process holds a lock."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from trimtab.errors import HostError

T = TypeVar("T")


def within(seconds: float, what: str, read: Callable[[], T]) -> T:
    """Return what ``read`` returns, if it does so in time.

    A read that hangs is left behind in a daemon thread: nothing can end it, and it ends with us.

    Raises:
        HostError: it takes longer.
    """
    done: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(read())
        except BaseException as error:  # noqa: BLE001  raised again below
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not done:
        raise HostError(f"{what} must be read in {seconds:g} s, but hangs")
    return done[0]
