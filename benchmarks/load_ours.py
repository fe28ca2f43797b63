#!/usr/bin/env python3
"""One load with trimtab's client, as the tool `trimtab` of `load.py`: it runs this file."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from pathlib import Path

from load_tools import INPUT, SEED, Load, Reported, Tool, apart, percentile, summary

from trimtab.load.connection import Connection, Exchange
from trimtab.load.requests import build_requests
from trimtab.load.runner import run_load
from trimtab.load.workload import Workload

VOCABULARY = 30_000
TOKEN = b'"choices":[{'
"""What the server's chunks of a token hold, and the one with the usage does not."""


def trimtab() -> Tool:
    """Return trimtab's client, in a process of its own."""

    def run(url: str, load: Load) -> Reported:
        return Reported(**apart(__file__, url, load))

    def schedule(load: Load) -> list[float]:
        requests = build_requests(workload(load), SEED, VOCABULARY)[: load.requests]
        return [one.at for one in requests if one.at is not None]

    return Tool(run, schedule)


def workload(load: Load) -> Workload:
    """Return the workload of a load: one window, no warm-up."""
    arrival = {"concurrency": load.streams} if load.rate is None else {"rate": load.rate}
    return Workload.model_validate({
        "name": "b", "input_tokens": INPUT, "output_tokens": load.output, "arrival": arrival,
        "warmup": 0, "windows": 1, "window_requests": load.requests, "max_seconds": 600.0,
    })  # fmt: skip


class Sent:
    """Keeps what is sent, at no cost to a token: requests cut off at the end are in no record.

    ``first_cpu`` are the CPU seconds of the process, its start included, at the first request;
    ``first`` is that instant (``perf_counter``).
    """

    def __init__(self) -> None:
        self.first = self.first_cpu = 0.0
        self._exchanges: list[Exchange] = []
        send = Connection.send

        def noted(
            connection: Connection, exchange: Exchange, payload: bytes, deadline: float
        ) -> None:
            if not self.first:
                self.first, self.first_cpu = time.perf_counter(), time.process_time()
            self._exchanges.append(exchange)
            send(connection, exchange, payload, deadline)

        Connection.send = noted  # type: ignore[method-assign,assignment]

    @property
    def tokens(self) -> int:
        """The number of tokens that arrived."""
        return sum(TOKEN in body for one in self._exchanges for _, body in one.pieces)


def peak() -> float:
    """Return the largest resident memory of this process, in MB of 10**6 bytes.

    Not ``ru_maxrss``, which begins with what the parent had when it forked.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


def main() -> int:
    """Drive the load and print what trimtab reports of it.

    Its own figures: CPU seconds of the whole load during and outside of it, for the tokens of
    recorded requests and of others alike; tokens/s; the share of a core; memory in MB.
    """
    url, asked = sys.argv[1], Load(**json.loads(sys.argv[2]))
    sent = Sent()
    called, began = time.perf_counter(), time.process_time()
    load = run_load(url, "mock", workload(asked), SEED, vocab=VOCABULARY)
    cpu = time.process_time() - began
    assert not load.failed, load.failed
    tokens = sent.tokens
    done = [one for one in load.records if asked.rate is None or one.index < asked.requests]
    lags = [1000 * (one.sent - one.intended) for one in done]
    (window,) = load.windows
    during = load.client["cpu_share"] * (window.end - window.begin)
    found = dataclasses.replace(
        summary([(one.intended, one.chunks) for one in done]),
        lags=[percentile(lags, percent) for percent in (50, 99, 100)],
        cpu_run=during / tokens,
        cpu_rest=(cpu - during) / tokens,
        own={
            "run": during,
            "rest": cpu - during,
            "tokens": tokens,
            "token_rate": tokens / (window.end - window.begin),
            "share": load.client["cpu_share"],
            "first_cpu": sent.first_cpu,
            "call": sent.first - called,
            "call_cpu": sent.first_cpu - began,
            "memory": peak(),
        },
    )
    print(json.dumps(dataclasses.asdict(found)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
