"""Where requests go, and their bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from urllib.parse import urlsplit

from trimtab.errors import UsageError
from trimtab.model import Request


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go: host, port, the served model's name, and the server's key if any."""

    host: str
    port: int
    model: str
    key: str | None = None

    @classmethod
    def parse(cls, url: str, model: str, key: str | None = None) -> Target:
        """Parse an ``http://host:port`` URL.

        Raises:
            UsageError: it is not ``http://host[:port]``.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise UsageError(f"the server's URL {url!r} is not understood: {error}") from error
        if parts.scheme != "http" or not parts.hostname or parts.path.strip("/"):
            raise UsageError(f"the server's URL must look like http://127.0.0.1:8000, not {url!r}")
        return cls(parts.hostname, 80 if port is None else port, model, key)

    def encode(self, request: Request) -> bytes:
        """Return the complete bytes of a streaming completion request of exact length."""
        body = json.dumps(
            {
                "model": self.model,
                "prompt": request.prompt,
                "max_tokens": request.output_tokens,
                "ignore_eos": True,
                "temperature": 0,
                "stream": True,
                "stream_options": {"include_usage": True},
            },
            separators=(",", ":"),
        ).encode()
        key = f"Authorization: Bearer {self.key}\r\n" if self.key is not None else ""
        head = (
            f"POST /v1/completions HTTP/1.1\r\nHost: {self.host}:{self.port}\r\n"
            f"Content-Type: application/json\r\nAccept: text/event-stream\r\n{key}"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body
