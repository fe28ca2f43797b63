"""Where requests go, and their bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass

from trimtab.http_client.address import Address, parse
from trimtab.http_client.loopback import head
from trimtab.model import Request

PATH = "/v1/completions"
"""The page that is measured."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go: the server's address, the served model's name, its key if any."""

    address: Address
    model: str
    key: str | None = None

    @classmethod
    def parse(cls, url: str, model: str, key: str | None = None) -> Target:
        """Parse a server's URL (see `trimtab.engines.address`).

        Raises:
            UsageError: it is no address of a server.
        """
        return cls(parse(url), model, key)

    def encode(self, request: Request) -> bytes:
        """Return the complete bytes of a streaming completion request of exact length."""
        body = json.dumps(body_of(request, self.model), separators=(",", ":")).encode()
        fields = {"Accept": "text/event-stream"}
        return head(self.address, "POST", PATH, fields, body, self.key) + body


def body_of(request: Request, model: str) -> dict[str, object]:
    """Return what a request asks for, as JSON's objects."""
    return {
        "model": model,
        "prompt": request.prompt,
        "max_tokens": request.output_tokens,
        "ignore_eos": True,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
