"""A streaming server with known delays, which remembers when it saw and sent everything.

Like an engine step, one clock of 20 ms lets every live stream emit a token together: the worst
case for a client, a burst of as many chunks as there are streams. A request's first token is due
50 to 150 ms after the kernel received it. ``GET /truth`` returns what happened since the last
time, in seconds of CLOCK_MONOTONIC: ``[[received, [sent, ...]], ...]``.
"""

from __future__ import annotations

import json
import selectors
import socket
import struct
import sys
import time
from collections import deque
from dataclasses import dataclass, field

STEP = 0.020
_SO_TIMESTAMPNS = 35
"""linux/asm-generic/socket.h: the kernel stamps each received packet."""


def first_token(number: int) -> float:
    """Return the delay in seconds to the first token of the n-th request."""
    return 0.050 + (number * 37 % 101) / 1000


@dataclass
class Stream:
    """One request on its way."""

    peer: Peer
    received: float
    due: float
    wanted: int
    sent: list[float] = field(default_factory=list)


@dataclass(eq=False)
class Peer:
    """One connection: what has arrived of its request, and when its first byte did."""

    socket: socket.socket
    data: bytearray = field(default_factory=bytearray)
    received: float = 0.0


class Server:
    """Everything in one thread; time is CLOCK_MONOTONIC (``time.perf_counter`` on Linux)."""

    def __init__(self, port: int) -> None:
        self._listening = socket.create_server(("127.0.0.1", port), backlog=2048)
        self._listening.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listening, selectors.EVENT_READ)
        self._live: deque[Stream] = deque()
        self._done: list[Stream] = []
        self._count = 0
        self._offset = time.time() - time.perf_counter()

    def run(self) -> None:
        """Serve for ever."""
        tick = time.perf_counter() + STEP
        while True:
            for key, _ in self._selector.select(max(0.0, tick - time.perf_counter())):
                if key.fileobj is self._listening:
                    self._accept()
                else:
                    self._read(key.data)
            now = time.perf_counter()
            if now >= tick:
                self._emit(now)
                tick += STEP * max(1, int((now - tick) / STEP) + 1)
                self._offset = time.time() - time.perf_counter()

    def _accept(self) -> None:
        try:
            made, _ = self._listening.accept()
        except BlockingIOError:
            return
        made.setblocking(False)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._selector.register(made, selectors.EVENT_READ, Peer(made))

    def _read(self, peer: Peer) -> None:
        try:
            data, extra, _, _ = peer.socket.recvmsg(65536, 64)
        except BlockingIOError:
            return
        except OSError:
            data, extra = b"", []
        if not data:
            self._selector.unregister(peer.socket)
            peer.socket.close()
            return
        if not peer.data:
            stamps = [struct.unpack("qq", one[2][:16]) for one in extra if len(one[2]) >= 16]
            peer.received = (
                stamps[0][0] + stamps[0][1] / 1e9 - self._offset if stamps else time.perf_counter()
            )
        peer.data += data
        self._answer(peer)

    def _answer(self, peer: Peer) -> None:
        head, found, rest = bytes(peer.data).partition(b"\r\n\r\n")
        if not found:
            return
        lower = head.lower()
        length = int(lower.partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
        if len(rest) < length:
            return
        peer.data.clear()
        if head.startswith(b"POST /v1/completions"):
            asked = json.loads(rest)
            due = peer.received + first_token(self._count)
            self._count += 1
            self._live.append(Stream(peer, peer.received, due, asked["max_tokens"]))
            peer.socket.send(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
                b"transfer-encoding: chunked\r\n\r\n"
            )
        elif head.startswith(b"GET /truth"):
            self._json(peer, [[one.received, one.sent] for one in self._done])
            self._done.clear()
            self._count = 0
        else:
            self._json(peer, {"object": "list", "data": [{"id": "mock", "object": "model"}]})

    def _json(self, peer: Peer, content: object) -> None:
        body = json.dumps(content).encode()
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
        peer.socket.setblocking(True)
        peer.socket.sendall(head.encode() + b"\r\n\r\n" + body)
        peer.socket.setblocking(False)

    def _emit(self, now: float) -> None:
        chunk = _event(json.dumps({**_HEAD, "choices": [_TOKEN]}, separators=(",", ":")))
        for _ in range(len(self._live)):
            stream = self._live.popleft()
            if stream.due > now:
                self._live.append(stream)
                continue
            stream.sent.append(time.perf_counter())
            last = len(stream.sent) >= stream.wanted
            try:
                stream.peer.socket.send(chunk + (_end(stream.wanted) if last else b""))
            except OSError:
                continue  # the client went away
            (self._done if last else self._live).append(stream)


_HEAD = {"id": "c", "object": "text_completion", "created": 0, "model": "mock"}
_TOKEN = {"index": 0, "text": " a", "logprobs": None, "finish_reason": None}


def _event(data: str) -> bytes:
    event = f"data: {data}\n\n".encode()
    return b"%x\r\n%b\r\n" % (len(event), event)


def _end(tokens: int) -> bytes:
    usage = {"prompt_tokens": 128, "completion_tokens": tokens, "total_tokens": 128 + tokens}
    return (
        _event(json.dumps({**_HEAD, "choices": [], "usage": usage}))
        + _event("[DONE]")
        + b"0\r\n\r\n"
    )


if __name__ == "__main__":
    Server(int(sys.argv[1])).run()
