#!/usr/bin/env python3
"""The load client against other tools, on a server whose delays are known.

    python benchmarks/load.py --rounds 3 --guidellm PROGRAM --aiperf PROGRAM

Every tool sends the same number of requests of 128 tokens in and 64 out in closed loop. The
server (`mock_server.py`) knows when the kernel received each request and when it sent each token;
an error is what a tool reports less what the server knows, of the same run. Tools take turns
within a round. CPU is user and system time of the tool's whole process tree, start-up included.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import shlex
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from load_tools import INPUT, OUTPUT, Reported, Tool, aiperf, guidellm, vllm_bench

REQUESTS = {1: 8, 16: 64, 64: 256, 256: 768}
"""Streams → requests of a run."""

HERE = Path(__file__).parent


def percentile(values: Sequence[float], percent: float) -> float:
    """Return a percentile in milliseconds of seconds."""
    return 1000.0 * float(np.percentile(values, percent))


def true_of(truth: Sequence[tuple[float, Sequence[float]]]) -> Reported:
    """Return what really happened, as the server saw it."""
    ttft = [sent[0] - received for received, sent in truth]
    itl = [b - a for _, sent in truth for a, b in pairwise(sent)]
    tpot = [(sent[-1] - sent[0]) / (len(sent) - 1) for _, sent in truth]
    return Reported(
        percentile(ttft, 50),
        percentile(ttft, 99),
        percentile(itl, 99),
        1000 * float(np.mean(tpot)),
    )


def ours(url: str, streams: int, requests: int) -> Reported:
    """Run trimtab's client in a process of its own."""
    words = [sys.executable, __file__, "--child", url, str(streams), str(requests)]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    return Reported(**json.loads(done.stdout))


def child(url: str, streams: int, requests: int, rate: float | None = None) -> None:
    """Drive one load with trimtab's client and print what it reports (in the child process)."""
    from trimtab.load.run import run_load
    from trimtab.load.workload import Workload

    arrival = {"concurrency": streams} if rate is None else {"rate": rate}
    workload = Workload.model_validate({
        "name": "b", "input_tokens": INPUT, "output_tokens": OUTPUT, "arrival": arrival,
        "warmup": 0, "windows": 1, "window_requests": requests, "max_seconds": 600.0,
    })  # fmt: skip
    load = run_load(url, "mock", workload, 1, vocab=30_000)
    assert not load.failed, load.failed
    done = [one for one in load.records if one.index < requests]
    ttft = [one.chunks[0] - one.intended for one in done]
    itl = [b - a for one in done for a, b in pairwise(one.chunks)]
    tpot = [(one.chunks[-1] - one.chunks[0]) / (one.output_tokens - 1) for one in done]
    found: dict[str, float] = {
        "ttft_p50": percentile(ttft, 50),
        "ttft_p99": percentile(ttft, 99),
        "itl_p99": percentile(itl, 99),
        "tpot_mean": 1000 * float(np.mean(tpot)),
    }
    if rate is not None:
        lags = [1000 * (one.sent - one.intended) for one in done]
        found = {f"lag_{n}": float(np.percentile(lags, n)) for n in (50, 99, 100)}
    print(json.dumps(found))


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def truth(url: str) -> list[tuple[float, list[float]]]:
    """Take what the server remembers."""
    with urllib.request.urlopen(f"{url}/truth", timeout=30) as answer:
        return [(received, sent) for received, sent in json.load(answer) if len(sent) == OUTPUT]


def spread(values: Sequence[float], unit: str = "") -> str:
    """Return a median and the range around it; "none" where the tool does not say it."""
    if any(math.isnan(value) for value in values):
        return "none"
    low, middle, high = min(values), float(np.median(values)), max(values)
    return f"{middle:+.1f}{unit} [{low:+.1f}, {high:+.1f}]"


def main() -> int:
    """Run the benchmark and print its table."""
    if sys.argv[1:2] == ["--child"]:
        url, streams, requests, *rate = sys.argv[2:]
        child(url, int(streams), int(requests), float(rate[0]) if rate else None)
        return 0
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--streams", nargs="*", type=int, default=list(REQUESTS))
    parser.add_argument("--vllm", help="The vllm command. [default: the managed engine's]")
    parser.add_argument("--guidellm", help="Its command, where it is installed.")
    parser.add_argument("--aiperf", help="Its command, where it is installed.")
    asked = parser.parse_args()
    from trimtab import engines

    engine = engines.find("vllm-cpu")
    program = asked.vllm or engine.where
    model, _ = engine.model(None)
    tools: dict[str, Tool] = {"trimtab": ours, "vllm bench serve": vllm_bench(program, model)}
    if asked.guidellm:
        tools["GuideLLM"] = guidellm(asked.guidellm, model)
    if asked.aiperf:
        tools["AIPerf"] = aiperf(asked.aiperf, model)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    server = subprocess.Popen([sys.executable, str(HERE / "mock_server.py"), str(port)])
    try:
        time.sleep(1.0)
        print(f"Made by `python {shlex.join(sys.argv)}`; ms, median [range] of {asked.rounds}\n")
        print("| streams | tool | TTFT p50 error | TTFT p99 error | ITL p99 error | CPU s |")
        print("|---|---|---|---|---|---|")
        for streams in asked.streams:
            table(tools, url, streams, asked.rounds)
        arrivals(url)
    finally:
        server.kill()
        server.wait()
    return 0


def table(tools: dict[str, Tool], url: str, streams: int, rounds: int) -> None:
    """Print the rows of one number of streams."""
    errors: dict[str, list[tuple[Reported, Reported, float]]] = {name: [] for name in tools}
    requests = REQUESTS.get(streams, 3 * streams)
    for number in range(rounds):
        order = list(tools) if number % 2 == 0 else list(reversed(tools))
        for name in order:
            truth(url)
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            told = tools[name](url, streams, requests)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            seen = sorted(truth(url))[-requests:]  # a tool may have tried the server before
            errors[name].append((told, true_of(seen), cpu))
    for name, runs in errors.items():
        itl = [told.itl_p99 - true.itl_p99 for told, true, _ in runs]
        print(
            f"| {streams} | {name} | {spread([t.ttft_p50 - r.ttft_p50 for t, r, _ in runs])} | "
            f"{spread([t.ttft_p99 - r.ttft_p99 for t, r, _ in runs])} | "
            f"{spread(itl)} | {np.median([cpu for *_, cpu in runs]):.1f} |",
            flush=True,
        )


def arrivals(url: str) -> None:
    """Print how late trimtab sends in open loop, at 50 requests a second."""
    words = [sys.executable, __file__, "--child", url, "0", "250", "50"]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    print(
        f"\nOpen loop, Poisson, 50 requests/s, 250 requests: sent after the intended instant by "
        f"{found['lag_50']:.2f} ms (median), {found['lag_99']:.2f} (p99), "
        f"{found['lag_100']:.2f} (max)"
    )


if __name__ == "__main__":
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    raise SystemExit(main())
