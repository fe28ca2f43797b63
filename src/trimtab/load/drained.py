"""Is the server idle, and still the same? A load begins on an idle one and ends on the same."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Final

from trimtab.engines import loopback

PATIENCE: Final = 30.0
"""Seconds to wait: requests that a client gave up are aborted within a step or two."""

_BUSY = re.compile(
    r"^vllm:num_requests_(?:running|waiting)(?:\{[^}\n]*\})?\s+([0-9.eE+]+)", re.MULTILINE
)


_BEGAN = re.compile(r"^process_start_time_seconds ([0-9.eE+]+)", re.MULTILINE)


def incarnation(url: str, key: str | None = None) -> str | None:
    """Return what tells a server from its successor on the same port: when its process began.

    ``None`` if it does not tell.
    """
    page = loopback.get(url, "/metrics", 5.0, key)
    found = _BEGAN.search(page.decode("utf-8", "replace")) if page is not None else None
    return found[1] if found else None


def in_flight(url: str, key: str | None = None) -> float | None:
    """Return how many requests a vLLM server works on or has queued; ``None`` if it hides it."""
    page = loopback.get(url, "/metrics", 5.0, key)
    counts = _BUSY.findall(page.decode("utf-8", "replace")) if page is not None else []
    return sum(map(float, counts)) if counts else None


def drain(
    url: str,
    key: str | None = None,
    *,
    patience: float = PATIENCE,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Wait until the server is idle and return how many requests it still has, 0 if none.

    A server that does not tell is taken to be idle.
    """
    waited = 0.0
    while (busy := in_flight(url, key)) and waited < patience:
        sleep(0.5)
        waited += 0.5
    return int(busy or 0)
