"""A server with OpenAI's API that says one token again and again, and counts what it does."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TICK = 0.001 if os.environ.get("MALLOC_ARENA_MAX") else 0.004
BEGAN = time.time()
running = 0
asked: list[int] = []
lock = threading.Lock()


class Api(BaseHTTPRequestHandler):
    """The HTTP side."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    model = ""

    def do_GET(self) -> None:
        """Answer what is asked about the server."""
        pages = {
            "/health": "",
            "/v1/models": json.dumps({"object": "list", "data": [{"id": self.model}]}),
            "/metrics": metrics(),
        }
        page = pages.get(self.path.partition("?")[0])
        body = b"" if page is None else page.encode()
        self.send_response(404 if page is None else 200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        """Stream a completion."""
        global running
        question = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with lock:
            running += 1
        try:
            self.stream(question)
        except ConnectionError:
            self.close_connection = True  # the client has left
        finally:
            with lock:
                running -= 1

    def stream(self, question: dict[str, Any]) -> None:
        """Say so many tokens."""
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        count = int(question["max_tokens"])
        for number in range(count):
            time.sleep(TICK)
            reason = "length" if number + 1 == count else None
            self.event(json.dumps({"choices": [{"text": " a", "finish_reason": reason}]}))
        usage = {"prompt_tokens": len(question["prompt"]), "completion_tokens": count}
        self.event(json.dumps({"choices": [], "usage": usage}))
        self.event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")
        with lock:
            asked.append(count)

    def event(self, data: str) -> None:
        """Write one server-sent event as one HTTP chunk."""
        text = f"data: {data}\n\n".encode()
        self.wfile.write(b"%x\r\n%b\r\n" % (len(text), text))

    def log_message(self, *args: object) -> None:
        """Say nothing: the requests are many."""


def metrics() -> str:
    """Return the page of metrics."""
    histograms = "".join(
        f'{name}_bucket{{le="64.0"}} {len(asked)}\n{name}_bucket{{le="+Inf"}} {len(asked)}\n'
        for name in ("quill_prompt_tokens", "quill_output_tokens")
    )
    return (
        f"quill_requests_running {running}\nquill_requests_waiting 0\n{histograms}"
        f"process_start_time_seconds {BEGAN}\n"
    )


def main(words: list[str]) -> None:
    """Serve ``launch MODEL --host HOST --port PORT`` until the process is ended."""
    options = dict(zip(words[2::2], words[3::2], strict=True))
    for name in options:
        if name not in {"--host", "--port", "--batch", "--page-size"}:
            sys.exit(f"quill: unknown option {name}")
    Api.model = words[1]
    ThreadingHTTPServer.request_queue_size = 64
    server = ThreadingHTTPServer((options["--host"], int(options["--port"])), Api)
    print(f"quill {os.getpid()} serves {words[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
