#!/usr/bin/env python3
"""The least that a client in Python can do, as the tool `bare` of `load.py`: it runs this file.

One epoll, one recvmsg(2) with the kernel's stamp for what is ready, and the bytes kept: no HTTP,
no deadline, no failure, no schedule. What a client costs beyond it is its own doing; what this
costs is the machine's.
"""

from __future__ import annotations

import gc
import json
import math
import select
import socket
import sys
import time

from load_ours import VOCABULARY, workload
from load_tools import SEED, Load, Reported, Tool, apart

from trimtab.load.requests import build_requests
from trimtab.load.target import Target

STAMPS, ROOM, END = 35, 32, b"\r\n0\r\n\r\n"
"""SO_TIMESTAMPNS, the room for its message, and the end of a body in chunks."""


def bare() -> Tool:
    """Return the bare loop, in a process of its own."""

    def run(url: str, load: Load) -> Reported:
        return Reported(math.nan, math.nan, math.nan, math.nan, own=apart(__file__, url, load))

    return Tool(run, lambda _: [])


def drive(target: Target, load: Load) -> dict[str, float]:
    """Drive a closed loop; return the CPU seconds of it and the tokens that were asked for."""
    requests = build_requests(workload(load), SEED, VOCABULARY)[: load.requests]
    payloads = [target.encode(one) for one in reversed(requests)]
    poll, opened = select.epoll(), {}
    for _ in range(load.streams):
        one = socket.create_connection((target.host, target.port))
        one.setblocking(False)
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        one.setsockopt(socket.SOL_SOCKET, STAMPS, 1)
        opened[one.fileno()] = one
        poll.register(one.fileno(), select.EPOLLIN)
    kept, left = [], load.requests
    gc.disable()
    began = time.process_time()
    for one in opened.values():
        one.send(payloads.pop())
    while left:
        for descriptor, _ in poll.poll():
            one = opened[descriptor]
            data, stamps, _, _ = one.recvmsg(65_536, ROOM)
            kept.append((time.perf_counter(), stamps, data))
            if data.endswith(END):
                left -= 1
                if payloads:
                    one.send(payloads.pop())
    return {
        "run": time.process_time() - began,
        "rest": 0.0,
        "tokens": load.requests * load.output,
    }


if __name__ == "__main__":
    asked = Load(**json.loads(sys.argv[2]))
    print(json.dumps(drive(Target.parse(sys.argv[1], "mock"), asked)))
