"""The training load of a PGO build, run by the instrumented interpreter itself.

Uses nothing but the standard library and the engine's packages, and nothing of trimtab. Usage:
``train_serving.py QUESTION``, a JSON file with packages (their folder), model, arguments,
requests, streams, log and done; the answer goes into ``done``, ``{"error": ""}`` after a training
that was one.

What runs instrumented: the tokenizer (here), the API server and the engine core with its
scheduler (children of ``sys.executable``), and an HTTP client. They end by SIGINT, because a
killed process writes no profile.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

READY_SECONDS = 1800.0
ANSWER_SECONDS = 600.0
STOP_SECONDS = 900.0
KILLED = b"force killing"
"""What vLLM says of a process that it does not let end by itself."""

_WORDS = ("server", "answers", "many", "short", "questions", "while", "it", "reads", "tokens")


def main(path: str) -> int:
    """Train; write the answer; return 0, because ``make`` ignores anything else."""
    question = json.loads(Path(path).read_text(encoding="utf-8"))
    # where it finds CPython's pybuilddir.txt, setuptools does not bring its distutils, and fails
    os.chdir(Path(path).parent)
    sys.path.insert(0, question["packages"])
    os.environ["PYTHONPATH"] = question["packages"]  # of the server
    try:
        tokenize(question["model"])
        serve(question)
        error = ""
    except Exception as failure:  # noqa: BLE001  whatever it is, the builder must read it
        error = " ".join(f"{type(failure).__name__}: {failure}".split())[:300]
    Path(question["done"]).write_text(json.dumps({"error": error}), encoding="utf-8")
    return 0


def text(seed: int, words: int) -> str:
    """Return words in an order that the seed decides."""
    chosen = random.Random(seed)
    return " ".join(chosen.choice(_WORDS) for _ in range(words))


def tokenize(model: str) -> None:
    """Encode and decode as the server's front end does."""
    from transformers import AutoTokenizer  # type: ignore[import-not-found,unused-ignore]

    tokenizer = AutoTokenizer.from_pretrained(model)
    for seed in range(200):
        ids = tokenizer(text(seed, 5 + seed))["input_ids"]
        for end in range(1, min(len(ids), 64)):
            tokenizer.decode(ids[:end])


def serve(question: dict[str, Any]) -> None:
    """Start the server, drive it, and let it end in order."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "vllm.entrypoints.cli.main", "serve", question["model"]]
    command += [*question["arguments"], "--host", "127.0.0.1", "--port", str(port)]
    with Path(question["log"]).open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            wait_ready(server, port)
            with ThreadPoolExecutor(question["streams"]) as streams:
                jobs = [
                    streams.submit(ask, port, question["model"], number)
                    for number in range(question["requests"])
                ]
                answered = sum(job.result() for job in jobs)
            if answered == 0:
                raise RuntimeError("the server answered with no token")
        finally:
            stop(server)
    if KILLED in Path(question["log"]).read_bytes():
        raise RuntimeError("the server killed its engine, so what that has learned is lost")


def wait_ready(server: subprocess.Popen[bytes], port: int) -> None:
    """Wait until the server says that it serves."""
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        if server.poll() is not None:
            raise RuntimeError(f"the server ended with {server.returncode} before it was ready")
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            link.request("GET", "/health")
            if link.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            link.close()
        time.sleep(1.0)
    raise TimeoutError(f"the server was not ready in {READY_SECONDS:.0f} s")


def ask(port: int, model: str, number: int) -> int:
    """Ask one question, streamed; return the number of events of the answer."""
    long = number % 3 == 0
    body = {
        "model": model,
        "prompt": text(number, 300 if long else 20),
        "max_tokens": 16 if long else 64,
        "temperature": 0.7 if number % 2 else 0.0,
        "stream": True,
        "ignore_eos": True,
    }
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
    try:
        link.request(
            "POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"}
        )
        answer = link.getresponse()
        if answer.status != 200:
            raise RuntimeError(f"the server answered {answer.status}: {answer.read(300)!r}")
        events = 0
        for line in answer:
            if line.startswith(b"data: {"):
                json.loads(line[6:])
                events += 1
        return events
    finally:
        link.close()


def stop(server: subprocess.Popen[bytes]) -> None:
    """End the server so that its processes write their profiles; kill it only if it hangs."""
    if server.poll() is None:
        server.send_signal(signal.SIGINT)
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
