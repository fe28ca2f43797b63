#!/usr/bin/env python3
"""The least that a client in Python can do, as the tool `bare` of `load.py`: it runs this file.

One epoll, one recvmsg(2) with the kernel's stamp for what is ready, and the bytes kept: no HTTP,
no deadline, no failure. In open loop it polls through the last millisecond before a request is
due, and looks at the clock between two reads. What a client costs beyond it, or is late beyond
it, is its own doing; what this costs, or is late, is the machine's.
"""

from __future__ import annotations

import gc
import json
import math
import select
import socket
import sys
import time

from load_ours import VOCABULARY, trimtab, workload
from load_tools import SEED, Load, Reported, Tool, apart

from trimtab.load.connection import LoadTarget
from trimtab.load.requests import build_requests

STAMPS, ROOM, END = 35, 32, b"\r\n0\r\n\r\n"
"""SO_TIMESTAMPNS, the room for its message, and the end of a body in chunks."""


def bare() -> Tool:
    """Return the bare loop, in a process of its own."""

    def run(url: str, load: Load) -> Reported:
        return Reported(math.nan, math.nan, math.nan, math.nan, own=apart(__file__, url, load))

    return Tool(run, trimtab().schedule)


def drive(target: LoadTarget, load: Load) -> dict[str, float]:
    """Drive a load; return the CPU seconds of it and the tokens that were asked for."""
    requests = build_requests(workload(load), SEED, VOCABULARY)[: load.requests]
    payloads = [target.encode(one) for one in reversed(requests)]
    due = [one.at or 0.0 for one in reversed(requests)]
    poll, opened = select.epoll(), {}
    for _ in range(load.streams or load.requests):
        one = target.address.connect(10.0)
        one.setblocking(False)
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        one.setsockopt(socket.SOL_SOCKET, STAMPS, 1)
        opened[one.fileno()] = one
        poll.register(one.fileno(), select.EPOLLIN)
    free, kept, left = list(opened.values()), [], load.requests
    gc.disable()
    began, start = time.process_time(), time.perf_counter()

    def wait() -> float | None:
        """Send what is due; return seconds to the next, ``None`` if an answer must come first."""
        while free and due:
            ahead = start + due[-1] - time.perf_counter()
            if ahead > 0:
                return ahead
            due.pop()
            free.pop().send(payloads.pop())
        return None

    while left:
        ahead = wait()
        # epoll rounds up to the millisecond: half of one less is the one before
        whole = None if ahead is None else max(0.0, ahead // 0.001 - 0.5) / 1000
        for descriptor, _ in poll.poll(whole):
            one = opened[descriptor]
            data, stamps, _, _ = one.recvmsg(65_536, ROOM)
            kept.append((time.perf_counter(), stamps, data))
            if data.endswith(END):
                left -= 1
                free.append(one)
            wait()
    return {
        "run": time.process_time() - began,
        "rest": 0.0,
        "tokens": load.requests * load.output,
    }


if __name__ == "__main__":
    asked = Load(**json.loads(sys.argv[2]))
    print(json.dumps(drive(LoadTarget.parse(sys.argv[1], "mock"), asked)))
