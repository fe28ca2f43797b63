"""Other load generators, each run with the same requests: what it reports, when it means to send.

Every tool is a program of an environment of its own (their dependencies exclude each other); one
that is not given is left out of the tables.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np

INPUT, OUTPUT, SEED = 128, 64, 7


@dataclass(frozen=True)
class Load:
    """What a tool is to send: a closed loop of ``streams``, or Poisson arrivals at ``rate``.

    Only trimtab is asked for another ``output`` than the usual number of tokens.
    """

    requests: int
    streams: int = 0
    rate: float | None = None
    output: int = OUTPUT


@dataclass(frozen=True)
class Reported:
    """What a tool says, in milliseconds; NaN where it does not say it.

    Only trimtab measures itself: ``lags`` are the median, 99th percentile and largest delay from
    intended to sent, ``cpu_run`` the CPU seconds from the first request to the last token,
    ``cpu_rest`` those for preparing the requests and reading the answers, both for one token.
    ``own`` is what else it reads of itself (`load_ours.main`).
    """

    ttft_p50: float
    ttft_p99: float
    itl_p99: float
    tpot_mean: float
    lags: Sequence[float] = ()
    cpu_run: float = math.nan
    cpu_rest: float = math.nan
    own: Mapping[str, float] = field(default_factory=dict)


def apart(program: str, url: str, load: Load) -> Any:
    """Drive a load by a program of this folder, in a process of its own; return what it prints."""
    words = [sys.executable, program, url, json.dumps(asdict(load))]
    return json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def percentile(values: Sequence[float], percent: float) -> float:
    """Return a percentile."""
    return float(np.percentile(values, percent))


def summary(answers: Sequence[tuple[float, Sequence[float]]]) -> Reported:
    """Return the figures of answers: when each was asked for, and when its chunks came."""
    ttft = [1000 * (chunks[0] - asked) for asked, chunks in answers]
    itl = [1000 * (b - a) for _, chunks in answers for a, b in pairwise(chunks)]
    tpot = [1000 * (chunks[-1] - chunks[0]) / (len(chunks) - 1) for _, chunks in answers]
    return Reported(
        percentile(ttft, 50), percentile(ttft, 99), percentile(itl, 99), float(np.mean(tpot))
    )


@dataclass(frozen=True)
class Tool:
    """A load generator.

    ``run`` drives a URL. ``schedule`` returns when it means to send each request of an open
    loop, in seconds after an instant that only it knows.
    """

    run: Callable[[str, Load], Reported]
    schedule: Callable[[Load], Sequence[float]]


def vllm_bench(program: str, tokenizer: str) -> Tool:
    """Return ``vllm bench serve``; it stretches its gaps so that their sum is exact."""

    def run(url: str, load: Load) -> Reported:
        how = ("--max-concurrency", load.streams) if load.rate is None else (
            "--request-rate", load.rate)  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            _run(
                program, "bench", "serve", "--backend", "openai", "--base-url", url,
                "--endpoint", "/v1/completions", "--model", "mock", "--tokenizer", tokenizer,
                "--dataset-name", "random", "--random-input-len", INPUT,
                "--random-output-len", OUTPUT, "--num-prompts", load.requests, *how,
                "--seed", SEED, "--ignore-eos", "--disable-tqdm",
                "--percentile-metrics", "ttft,tpot,itl", "--save-result",
                "--result-dir", folder, "--result-filename", "r.json",
            )  # fmt: skip
            told = json.loads((Path(folder) / "r.json").read_text())
        return Reported(
            told["median_ttft_ms"], told["p99_ttft_ms"], told["p99_itl_ms"], told["mean_tpot_ms"]
        )

    def schedule(load: Load) -> list[float]:
        assert load.rate is not None
        # the global generator that the tool seeds, one draw at a time as the tool draws
        drawn = np.random.RandomState(SEED)
        at = np.cumsum([drawn.gamma(1.0, 1.0 / load.rate) for _ in range(load.requests)])
        return [float(one) for one in at * (load.requests / load.rate / at[-1])]

    return Tool(run, schedule)


def guidellm(program: str, tokenizer: str) -> Tool:
    """Return GuideLLM with one worker process; its ITL is a mean of each request."""

    def run(url: str, load: Load) -> Reported:
        how = f"concurrent,streams={load.streams}" if load.rate is None else (
            f"poisson,rate={load.rate}")  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "r.json"
            _run(
                program, "run", "--disable-console",
                "--backend", f"kind=openai_http,target={url},model=mock,"
                "request_format=/v1/completions",
                "--profile", f"kind={how}", "--seed", f"kind=static,value={SEED}",
                "--constraint", f"kind=max_requests,count={load.requests}",
                "--data", f"kind=synthetic_text,prompt_tokens={INPUT},output_tokens={OUTPUT}",
                "--tokenizer", f"kind=hf_auto,model={tokenizer}",
                "--output", f"kind=json,path={path}",
                GUIDELLM__MAX_WORKER_PROCESSES="1",
            )  # fmt: skip
            told = json.loads(path.read_text())["benchmarks"][0]["metrics"]
        ttft = told["time_to_first_token_ms"]["successful"]
        tpot = told["inter_token_latency_ms"]["successful"]["mean"]
        return Reported(ttft["median"], ttft["percentiles"]["p99"], math.nan, tpot)

    return Tool(run, lambda load: _exponential(random.Random(SEED), load))


def aiperf(program: str, tokenizer: str) -> Tool:
    """Return AIPerf; its ITL is the one of chunks."""

    def run(url: str, load: Load) -> Reported:
        how = ("--concurrency", load.streams) if load.rate is None else (
            "--request-rate", load.rate, "--arrival-pattern", "poisson")  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            _run(
                program, "profile", "--model", "mock", "--url", url, "--ui", "none",
                "--endpoint-type", "completions", "--streaming", "--tokenizer", tokenizer,
                *how, "--request-count", load.requests, "--random-seed", SEED,
                "--synthetic-input-tokens-mean", INPUT,
                "--synthetic-input-tokens-stddev", 0,
                "--output-tokens-mean", OUTPUT, "--output-tokens-stddev", 0,
                "--extra-inputs", "ignore_eos:true", "--artifact-dir", folder,
            )  # fmt: skip
            told = json.loads((Path(folder) / "profile_export_aiperf.json").read_text())
        ttft, itl = told["time_to_first_token"], told["inter_chunk_latency"]
        return Reported(ttft["p50"], ttft["p99"], itl["p99"], itl["avg"])

    def schedule(load: Load) -> list[float]:
        # each of the tool's parts has a generator of its own, seeded with a hash of its name
        name = f"{SEED}:timing.request.poisson_interval"
        seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
        return _exponential(random.Random(seed), load)

    return Tool(run, schedule)


def _exponential(drawn: random.Random, load: Load) -> list[float]:
    assert load.rate is not None
    return list(accumulate(drawn.expovariate(load.rate) for _ in range(load.requests)))


def _run(*words: object, **more: str) -> None:
    done = subprocess.run(
        [str(word) for word in words],
        capture_output=True, text=True, check=False, env=_environment() | more,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{_name(words)} failed:\n{(done.stdout + done.stderr)[-3000:]}")


def _name(words: Sequence[object]) -> str:
    return f"{Path(str(words[0])).name} {words[1]}"


def _environment() -> dict[str, str]:
    """Return an environment in which AIPerf takes a local tokenizer."""
    left_out = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    return {name: value for name, value in os.environ.items() if name not in left_out}
