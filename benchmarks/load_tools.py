"""Other load generators, each run with the same requests, and what it reports.

Every tool is a program of an environment of its own (their dependencies exclude each other); one
that is not given is left out of the tables.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

INPUT, OUTPUT = 128, 64


@dataclass(frozen=True)
class Reported:
    """What a tool says, in milliseconds; NaN where it does not say it."""

    ttft_p50: float
    ttft_p99: float
    itl_p99: float
    tpot_mean: float


Tool = Callable[[str, int, int], Reported]
"""Drives a URL with so many streams and requests."""


def vllm_bench(program: str, tokenizer: str) -> Tool:
    """Return ``vllm bench serve``."""

    def run(url: str, streams: int, requests: int) -> Reported:
        with tempfile.TemporaryDirectory() as folder:
            _run(
                program, "bench", "serve", "--backend", "openai", "--base-url", url,
                "--endpoint", "/v1/completions", "--model", "mock", "--tokenizer", tokenizer,
                "--dataset-name", "random", "--random-input-len", str(INPUT),
                "--random-output-len", str(OUTPUT), "--num-prompts", str(requests),
                "--max-concurrency", str(streams), "--ignore-eos", "--disable-tqdm",
                "--percentile-metrics", "ttft,tpot,itl", "--save-result",
                "--result-dir", folder, "--result-filename", "r.json",
            )  # fmt: skip
            told = json.loads((Path(folder) / "r.json").read_text())
        return Reported(
            told["median_ttft_ms"], told["p99_ttft_ms"], told["p99_itl_ms"], told["mean_tpot_ms"]
        )

    return run


def guidellm(program: str, tokenizer: str) -> Tool:
    """Return GuideLLM with one worker process; its ITL is a mean of each request."""

    def run(url: str, streams: int, requests: int) -> Reported:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "r.json"
            _run(
                program, "run", "--disable-console",
                "--backend", f"kind=openai_http,target={url},model=mock,"
                "request_format=/v1/completions",
                "--profile", f"kind=concurrent,streams={streams}",
                "--constraint", f"kind=max_requests,count={requests}",
                "--data", f"kind=synthetic_text,prompt_tokens={INPUT},output_tokens={OUTPUT}",
                "--tokenizer", f"kind=hf_auto,model={tokenizer}",
                "--output", f"kind=json,path={path}",
                GUIDELLM__MAX_WORKER_PROCESSES="1",
            )  # fmt: skip
            told = json.loads(path.read_text())["benchmarks"][0]["metrics"]
        ttft = told["time_to_first_token_ms"]["successful"]
        tpot = told["inter_token_latency_ms"]["successful"]["mean"]
        return Reported(ttft["median"], ttft["percentiles"]["p99"], math.nan, tpot)

    return run


def aiperf(program: str, tokenizer: str) -> Tool:
    """Return AIPerf; its ITL is the one of chunks."""

    def run(url: str, streams: int, requests: int) -> Reported:
        with tempfile.TemporaryDirectory() as folder:
            _run(
                program, "profile", "--model", "mock", "--url", url, "--ui", "none",
                "--endpoint-type", "completions", "--streaming", "--tokenizer", tokenizer,
                "--concurrency", str(streams), "--request-count", str(requests),
                "--synthetic-input-tokens-mean", str(INPUT),
                "--synthetic-input-tokens-stddev", "0",
                "--output-tokens-mean", str(OUTPUT), "--output-tokens-stddev", "0",
                "--extra-inputs", "ignore_eos:true", "--artifact-dir", folder,
            )  # fmt: skip
            told = json.loads((Path(folder) / "profile_export_aiperf.json").read_text())
        ttft, itl = told["time_to_first_token"], told["inter_chunk_latency"]
        return Reported(ttft["p50"], ttft["p99"], itl["p99"], itl["avg"])

    return run


def _run(*words: str, **more: str) -> None:
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, env=_environment() | more
    )
    if done.returncode:
        raise SystemExit(f"{_name(words)} failed:\n{(done.stdout + done.stderr)[-3000:]}")


def _name(words: Sequence[str]) -> str:
    return " ".join([Path(words[0]).name, *words[1:2]])


def _environment() -> dict[str, str]:
    """Return an environment in which AIPerf takes a local tokenizer."""
    left_out = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    return {name: value for name, value in os.environ.items() if name not in left_out}
