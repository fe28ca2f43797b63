#!/usr/bin/env python3
"""Does ``trimtab bench`` agree with ``vllm bench serve``? Both on one server, in turns.

    python benchmarks/agreement.py --rounds 6

One server of the embedded engine; each round both tools send requests of the same lengths, in an
order that alternates: arrivals in equal gaps at ``--rate`` (the draws of two random schedules
would differ), or with ``--streams`` a closed loop. Printed are the ratios of what the tools say,
with a 95 % interval over rounds. In a closed loop on a machine that the server fills, a client
that takes more CPU slows the server it measures.
"""

from __future__ import annotations

import argparse
import json
import math
import shlex
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
from scipy import stats

from trimtab.model import Settings, candidate
from trimtab.question import Options
from trimtab.server import launch
from trimtab.session import open_session

INPUT, OUTPUT, REQUESTS = 64, 32, 120


def ours(url: str, model: str, seed: int, streams: int, rate: float) -> dict[str, float]:
    """Return what ``trimtab bench --url`` reports."""
    arrival = f"concurrency: {streams}" if streams else f"rate: {rate}, constant: true"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "w.yaml"
        path.write_text(
            f"input_tokens: {INPUT}\noutput_tokens: {OUTPUT}\n"
            f"arrival: {{{arrival}}}\nwarmup: 0\nwindows: 1\n"
            f"window_requests: {REQUESTS}\nmax_seconds: 600\n"
        )
        words = [sys.executable, "-m", "trimtab", "bench", "--url", url, "--model", model]
        done = subprocess.run(
            [*words, "--workload", str(path), "--seed", str(seed), "--json"],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
    found = {one["metric"]: one["value"] for one in json.loads(done.stdout)["metrics"]}
    return {
        "output throughput": found["output_throughput"],
        "median TTFT": found["ttft_p50"],
        "median TPOT": found["tpot_p50"],
    }


def theirs(
    program: str, url: str, model: str, tokenizer: str, seed: int, load: list[str]
) -> dict[str, float]:
    """Return what ``vllm bench serve`` reports."""
    with tempfile.TemporaryDirectory() as folder:
        words = [
            program, "bench", "serve", "--backend", "openai", "--base-url", url,
            "--endpoint", "/v1/completions", "--model", model, "--tokenizer", tokenizer,
            "--dataset-name", "random", "--random-input-len", str(INPUT),
            "--random-output-len", str(OUTPUT), "--num-prompts", str(REQUESTS),
            *load, "--ignore-eos", "--disable-tqdm",
            "--seed", str(seed), "--save-result", "--result-dir", folder,
            "--result-filename", "r.json",
        ]  # fmt: skip
        subprocess.run(words, check=True, capture_output=True)
        told = json.loads((Path(folder) / "r.json").read_text())
    return {
        "output throughput": told["output_throughput"],
        "median TTFT": told["median_ttft_ms"],
        "median TPOT": told["median_tpot_ms"],
    }


def main() -> int:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--rate", type=float, default=4.0, help="Requests a second.")
    parser.add_argument("--streams", type=int, default=0, help="A closed loop of so many.")
    parser.add_argument("--dtype", help="Such as float32, where stock is slower than the rate.")
    asked = parser.parse_args()
    session = open_session(Options(), lambda line: print(line, file=sys.stderr))
    plan = session.compile(candidate({"dtype": asked.dtype} if asked.dtype else {}))
    assert isinstance(plan.settings, Settings)
    program = session.engine.where
    closed = ["--max-concurrency", str(asked.streams)]
    load = closed if asked.streams else ["--request-rate", str(asked.rate), "--burstiness", "1e6"]
    logs: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder, launch(
        plan, session.engine, Path(folder), deadline=600.0, stop=threading.Event()
    ) as server:  # fmt: skip
        name = session.engine.served_name(server.url)
        ours(server.url, name, 99, asked.streams, asked.rate)  # warm
        for number in range(asked.rounds):
            for which in ("ours", "theirs") if number % 2 else ("theirs", "ours"):
                if which == "ours":
                    mine = ours(server.url, name, number, asked.streams, asked.rate)
                else:
                    other = theirs(program, server.url, name, session.model, number, load)
            for metric in mine:
                logs.setdefault(metric, []).append(math.log(mine[metric] / other[metric]))
    print(f"Made by `python {shlex.join(sys.argv)}`\n")
    print("| metric | trimtab / vllm bench serve, 95 % interval over rounds |\n|---|---|")
    for metric, values in logs.items():
        half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5
        middle = float(np.mean(values))
        print(
            f"| {metric} | {math.exp(middle):.3f} [{math.exp(middle - half):.3f}, "
            f"{math.exp(middle + half):.3f}] |"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
