"""A server on a socket that answers each request as a test says, and keeps what was asked."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

KEY_AND_CERTIFICATE = Path(__file__).parents[1] / "data" / "loopback.pem"
"""A key and a certificate for localhost, 127.0.0.1 and ::1, signed by itself, for tests only."""

Answer = Callable[[socket.socket, bytes], None]


def answer(body: bytes, status: str = "200 OK", more: str = "") -> Answer:
    """Return what answers every request with a body."""

    def send(peer: socket.socket, _: bytes) -> None:
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
        peer.sendall(head.encode() + body)

    return send


@contextmanager
def serving(
    send: Answer, *, family: int = socket.AF_INET, place: Any = ("127.0.0.1", 0), tls: bool = False
) -> Iterator[tuple[Any, list[bytes]]]:
    """A server that answers one request on each connection; yields its place, and the heads."""
    heads: list[bytes] = []
    listening = socket.socket(family)
    listening.bind(place)
    listening.listen()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(KEY_AND_CERTIFICATE)
    stop = threading.Event()

    def one(peer: socket.socket) -> None:
        try:
            with context.wrap_socket(peer, server_side=True) if tls else peer as opened:
                head = b""
                while b"\r\n\r\n" not in head and (data := opened.recv(65536)):
                    head += data
                heads.append(head)
                send(opened, head)
        except OSError:
            pass  # a client that does not trust the certificate, or has had enough

    def loop() -> None:
        while True:
            peer, _ = listening.accept()
            if stop.is_set():
                peer.close()
                return
            threading.Thread(target=one, args=(peer,), daemon=True).start()

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield listening.getsockname(), heads
    finally:
        stop.set()
        with socket.socket(family) as last:
            last.connect(listening.getsockname())
        thread.join()
        listening.close()
