#!/usr/bin/env python3
"""Does ``trimtab bench`` agree with ``vllm bench serve``? Both on one server, in turns.

    python benchmarks/agreement.py --rounds 12

One server of the embedded engine, without compilation; each round both tools send requests of the
same lengths, in an order that alternates: arrivals in equal gaps at ``--rate`` (the draws of two
random schedules would differ), or with ``--streams`` a closed loop. Printed are the ratios of
what the tools say, with a 95 % interval over rounds. It is the servers' times that are to be
compared: the default model has four times its layers here, prompts are long and requests do not
overlap, because a client adds 2 ms to a TTFT and, where it shares the server's cores, a quarter
of a millisecond to every step.
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
from functools import partial
from pathlib import Path

import numpy as np
from scipy import stats

from trimtab.engines import default_model
from trimtab.model import BASELINE, Settings
from trimtab.server.launcher import launch
from trimtab.study.options import Options
from trimtab.study.session import open_session


def ours(url: str, model: str, seed: int, asked: argparse.Namespace) -> dict[str, float]:
    """Return what ``trimtab bench --url`` reports."""
    closed, opened = f"concurrency: {asked.streams}", f"rate: {asked.rate}, constant: true"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "w.yaml"
        path.write_text(
            f"input_tokens: {asked.input}\noutput_tokens: {asked.output}\n"
            f"arrival: {{{closed if asked.streams else opened}}}\nwarmup: 0\nwindows: 1\n"
            f"window_requests: {asked.requests}\nmax_seconds: 600\n"
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
    program: str, url: str, model: str, tokenizer: str, seed: int, asked: argparse.Namespace
) -> dict[str, float]:
    """Return what ``vllm bench serve`` reports."""
    closed = ["--max-concurrency", str(asked.streams)]
    opened = ["--request-rate", str(asked.rate), "--burstiness", "1e6"]
    with tempfile.TemporaryDirectory() as folder:
        words = [
            program, "bench", "serve", "--backend", "openai", "--base-url", url,
            "--endpoint", "/v1/completions", "--model", model, "--tokenizer", tokenizer,
            "--dataset-name", "random", "--random-input-len", str(asked.input),
            "--random-output-len", str(asked.output), "--num-prompts", str(asked.requests),
            *(closed if asked.streams else opened), "--ignore-eos", "--temperature", "0",
            "--disable-tqdm", "--seed", str(seed), "--save-result", "--result-dir", folder,
            "--result-filename", "r.json",
        ]  # fmt: skip
        subprocess.run(words, check=True, capture_output=True)
        told = json.loads((Path(folder) / "r.json").read_text())
    assert told["total_input_tokens"] == asked.requests * asked.input, told["total_input_tokens"]
    return {
        "output throughput": told["output_throughput"],
        "median TTFT": told["median_ttft_ms"],
        "median TPOT": told["median_tpot_ms"],
    }


def main() -> int:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--requests", type=int, default=12, help="Of each run.")
    parser.add_argument("--layers", type=int, default=32, help="Of the model, of dummy weights.")
    parser.add_argument("--input", type=int, default=512, help="Tokens in.")
    parser.add_argument("--output", type=int, default=24, help="Tokens out.")
    parser.add_argument("--rate", type=float, default=1.0, help="Requests a second.")
    parser.add_argument("--streams", type=int, default=0, help="A closed loop of so many.")
    parser.add_argument("--dtype", help="Such as float32, where stock is slower than the rate.")
    asked = parser.parse_args()
    words = [
        "vllm", "serve", str(default_model.ensure()), *default_model.ARGS, "--enforce-eager",
        "--hf-overrides", json.dumps({"num_hidden_layers": asked.layers}),
        *(("--dtype", asked.dtype) if asked.dtype else ()),
    ]  # fmt: skip
    say = partial(print, file=sys.stderr)
    session = open_session(Options(baseline=tuple(words), engine="vllm-cpu"), say)
    plan = session.compile(BASELINE)
    assert isinstance(plan.settings, Settings)
    program = session.engine.where
    logs: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder, launch(
        plan, session.engine, Path(folder), deadline=600.0, stop=threading.Event()
    ) as server:  # fmt: skip
        name = session.engine.served_name(server.url)
        ours(server.url, name, 99, asked)  # warm
        for number in range(asked.rounds):
            for which in ("ours", "theirs") if number % 2 else ("theirs", "ours"):
                if which == "ours":
                    mine = ours(server.url, name, number, asked)
                else:
                    other = theirs(program, server.url, name, session.model, number, asked)
            say(f"{number}: {mine} / {other}")
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
