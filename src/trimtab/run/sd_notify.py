"""What systemd is told of a service of ``Type=notify``: sd_notify(3), the datagram protocol."""

from __future__ import annotations

import os
import socket
from contextlib import suppress

VARIABLE = "NOTIFY_SOCKET"


class Notifier:
    """Tells the service manager, if there is one that wants to know.

    The variable is taken out of our environment: the server must not speak for the service.
    """

    def __init__(self) -> None:
        self._address = os.environ.pop(VARIABLE, "")

    def tell(self, **state: str) -> None:
        """Send ``NAME=value`` lines; trouble is no reason to stop serving."""
        if not self._address:
            return
        lines = "\n".join(f"{name}={value}" for name, value in state.items())
        where = f"\0{self._address[1:]}" if self._address[0] == "@" else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.sendto(lines.encode(), where)

    def starting(self, seconds: float) -> None:
        """Ask for that much more time to start."""
        self.tell(EXTEND_TIMEOUT_USEC=str(int(seconds * 1e6)), STATUS="starting")

    def ready(self, status: str) -> None:
        """Say that the server serves, with one line about it."""
        self.tell(READY="1", STATUS=status)

    def stopping(self) -> None:
        """Say that the server was told to stop."""
        self.tell(STOPPING="1", STATUS="stopping")
