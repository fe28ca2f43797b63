"""A small real server with known behaviour, shaped like vLLM: the instrument's test weight.

A script of its own, standard library only, so that it starts in a tenth of a second::

    python -I -S server.py serve MODEL --host 127.0.0.1 --port 8000 [vLLM's flags]

It speaks HTTP/1.1 and server-sent events like vLLM's API server, has vLLM's processes (API
server, engine core, worker; without the worker under VLLM_ENABLE_V1_MULTIPROCESSING=0) with their
names and their way of dying (vLLM 0.32: the API server leaves with code 0 when the engine core
dies; engine core and worker outlive a killed API server), takes vLLM's flags and reports its
configuration where vLLM does. What it does is exact: all running streams emit one token each at
every tick of one clock, at most ``max_num_seqs`` run at a time, and the tick is shortened by the
planted effects. ``behaviour.py`` tells how to plant them, and faults.
"""

from __future__ import annotations

import asyncio
import json
import os
import selectors
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

if __package__:
    from trimtab.engines.scripted import behaviour, processes
else:  # run as a script: isolated mode leaves the script's folder out of the path
    sys.path.append(str(Path(__file__).parent))
    import behaviour  # type: ignore[import-not-found,no-redef]
    import processes  # type: ignore[import-not-found,no-redef]

VERSION = "1.0"

_CHUNK = (
    '{"id":"cmpl-%d","object":"text_completion",'
    '"choices":[{"index":0,"text":" a","finish_reason":%s}]}'
)


@dataclass(slots=True)
class CompletionJob:
    """One completion on its way."""

    number: int
    writer: asyncio.StreamWriter
    prompt_tokens: int
    wanted: int
    finished: asyncio.Future[None]
    usage: bool
    sent: int = 0
    ready_at: float = 0.0


class TokenScheduler:
    """Emits the tokens: one a tick for each running job, with a queue before it."""

    def __init__(self, script: behaviour.Script) -> None:
        self._script = script
        self._work = asyncio.Event()
        self.waiting: deque[CompletionJob] = deque()
        self.running: list[CompletionJob] = []
        self.tokens = 0

    def add(self, job: CompletionJob) -> None:
        """Queue a job."""
        self.waiting.append(job)
        self._work.set()

    async def run(self) -> NoReturn:
        """Tick for ever, on an absolute grid: a late tick is made up for, so rates stay exact."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            if not self.waiting and not self.running:
                self._work.clear()
                await self._work.wait()
                due = max(due, loop.time())
            due += self._script.tick()
            await asyncio.sleep(max(0.0, due - loop.time()))
            self.tick(due)

    def tick(self, now: float) -> None:
        """Let the waiting in as there is room, and emit a token of each that is past its TTFT."""
        while self.waiting and len(self.running) < self._script.config["max_num_seqs"]:
            job = self.waiting.popleft()
            job.ready_at = now + self._script.ttft_seconds
            self.running.append(job)
        for job in tuple(self.running):
            if job.writer.is_closing():
                self._end(job)
            elif job.ready_at <= now:
                self._emit(job)

    def _emit(self, job: CompletionJob) -> None:
        faults = self._script.faults
        job.sent += 1
        self.tokens += 1
        last = job.sent >= job.wanted
        write_event(job.writer, _CHUNK % (job.number, '"length"' if last else "null"))
        if _past(faults["die_after_requests"], job.number):
            os.kill(os.getpid(), signal.SIGKILL)
        if _past(faults["error_event_after"], job.number):
            write_event(job.writer, '{"error":{"message":"scripted failure","code":500}}')
            last, job.usage = True, False
        if last:
            self._finish(job)

    def _finish(self, job: CompletionJob) -> None:
        if job.usage:
            usage = {
                "prompt_tokens": job.prompt_tokens,
                "total_tokens": job.prompt_tokens + job.sent,
                "completion_tokens": job.sent,
            }
            write_event(job.writer, json.dumps({"choices": [], "usage": usage}))
        write_event(job.writer, "[DONE]")
        job.writer.write(b"0\r\n\r\n")
        self._end(job)

    def _end(self, job: CompletionJob) -> None:
        self.running.remove(job)
        if not job.finished.done():
            job.finished.set_result(None)


def write_event(writer: asyncio.StreamWriter, data: str) -> None:
    """Write one server-sent event as one HTTP chunk."""
    event = f"data: {data}\n\n".encode()
    writer.write(b"%x\r\n%b\r\n" % (len(event), event))


def _past(limit: int | None, number: int) -> bool:
    return limit is not None and number > limit


@dataclass(slots=True)
class Api:
    """The HTTP side."""

    script: behaviour.Script
    engine: TokenScheduler
    requests: int = 0
    began: float = field(default_factory=time.time)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection until it closes."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, path, _ = head[0].split(" ", 2)
                split = (line.partition(":") for line in head[1:])
                fields = {name.lower(): value.strip() for name, _, value in split}
                body = await reader.readexactly(int(fields.get("content-length", "0")))
                if path.startswith("/v1") and not self._may(fields.get("authorization", "")):
                    respond(writer, 401, {"error": "Unauthorized"})
                    continue
                await self._answer(writer, method, path.partition("?")[0], body)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError, ValueError):
            pass  # the peer is gone, or does not speak HTTP
        finally:
            writer.close()

    def _may(self, authorization: str) -> bool:
        keys = self.script.keys
        return not keys or authorization in [f"Bearer {key}" for key in keys]

    async def _answer(
        self, writer: asyncio.StreamWriter, method: str, path: str, body: bytes
    ) -> None:
        if (method, path) == ("POST", "/v1/completions"):
            await self._complete(writer, body)
            return
        if (method, path) == ("POST", "/tokenize"):
            words = json.loads(body)["prompt"].split()
            respond(writer, 200, {"tokens": [300 + hash_of(word) for word in words]})
            return
        pages: dict[str, Callable[[], object]] = {
            "/health": lambda: "",
            "/version": lambda: {"version": VERSION},
            "/v1/models": self._models,
            "/metrics": self._metrics,
            "/server_info": lambda: behaviour.server_info(self.script.config),
        }
        if path in pages:
            respond(writer, 200, pages[path]())
        else:
            respond(writer, 404, {"detail": "Not Found"})

    async def _complete(self, writer: asyncio.StreamWriter, body: bytes) -> None:
        self.requests += 1
        number, faults = self.requests, self.script.faults
        if _past(faults["hang_after"], number):
            await asyncio.sleep(processes.LIFETIME)
        if _past(faults["http_500_after"], number):
            respond(writer, 500, {"error": {"message": "scripted failure", "code": 500}})
            return
        asked = json.loads(body)
        if asked.get("return_token_ids") and not asked.get("stream"):
            ids = behaviour.greedy_tokens(self.script, asked["prompt"], asked["max_tokens"])
            respond(writer, 200, {"choices": [{"token_ids": ids}]})
            return
        if not asked.get("stream"):
            respond(writer, 400, {"error": {"message": "only streaming is scripted", "code": 400}})
            return
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
            b"transfer-encoding: chunked\r\n\r\n"
        )
        prompt = asked["prompt"]
        job = CompletionJob(
            number,
            writer,
            len(prompt.split() if isinstance(prompt, str) else prompt),
            max(1, asked.get("max_tokens", 16) - faults["wrong_tokens"]),
            asyncio.get_running_loop().create_future(),
            bool((asked.get("stream_options") or {}).get("include_usage")),
        )
        self.engine.add(job)
        await job.finished

    def _models(self) -> object:
        card = {
            "id": self.script.served_name,
            "object": "model",
            "owned_by": "vllm",
            "max_model_len": self.script.config["max_model_len"],
        }
        return {"object": "list", "data": [card]}

    def _metrics(self) -> str:
        own = f"process_start_time_seconds {self.began}\n"
        if self.script.given.get("disable_log_stats"):
            return own
        config = self.script.config
        cache = ",".join(
            f'{key}="{config[key]}"' for key in ("block_size", "enable_prefix_caching")
        )
        return (
            f"vllm:num_requests_running {len(self.engine.running)}\n"
            f"vllm:num_requests_waiting {len(self.engine.waiting)}\n"
            f"vllm:generation_tokens_total {self.engine.tokens}\n"
            f"vllm:cache_config_info{{{cache}}} 1.0\n"
            f"{own}"
        )


def hash_of(word: str) -> int:
    """Return a small number for a word, the same in every process."""
    return sum(word.encode()) % 600


def respond(writer: asyncio.StreamWriter, status: int, content: object) -> None:
    """Write a whole response: text as it is, anything else as JSON."""
    text = content if isinstance(content, str) else json.dumps(content)
    kind = "text/plain" if isinstance(content, str) else "application/json"
    head = f"HTTP/1.1 {status} -\r\ncontent-type: {kind}\r\ncontent-length: {len(text)}\r\n\r\n"
    writer.write((head + text).encode())


async def serve(script: behaviour.Script, listening: socket.socket) -> None:
    """Serve until the process is ended."""
    engine = TokenScheduler(script)
    api = Api(script, engine)
    async with await asyncio.start_server(api.serve, sock=listening, backlog=512):
        processes.say(f"(APIServer pid={os.getpid()}) INFO Application startup complete.")
        await engine.run()


def main(words: list[str]) -> None:
    """Run the server that the command line and TRIMTAB_SCRIPTED describe."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    script = behaviour.load(words)
    processes.set_name("vllm")
    processes.say(f"(APIServer pid={os.getpid()}) INFO non-default args: {script.given}")
    # asyncio turns Nagle's delay off only where it sees that the protocol is TCP
    listening = socket.socket(proto=socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((script.host, script.port))
    core = processes.fork_engine(script.multiprocessing, listening)
    processes.supervise_core(core)
    processes.say(f"(EngineCore pid={core}) INFO {behaviour.config_line(script)}")
    time.sleep(script.start_seconds)
    # select() sleeps to the microsecond, epoll only to the next millisecond
    runner = asyncio.Runner(
        loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())
    )
    with runner:
        runner.run(serve(script, listening))


if __name__ == "__main__":
    main(sys.argv[1:])
