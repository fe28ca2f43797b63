"""Is the server idle, and still the same? A load begins on an idle one and ends on the same."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from trimtab.http_client import loopback
from trimtab.load import counters

PATIENCE: Final = 30.0
"""Seconds to wait: requests that a client gave up are aborted within a step or two."""

_BUSY: Final = ("vllm:num_requests_running", "vllm:num_requests_waiting")
_BEGAN: Final = "process_start_time_seconds"


def incarnation(url: str, key: str | None = None) -> float | None:
    """Return what tells a server from its successor on the same port: when its process began.

    ``None`` if it does not tell.
    """
    return _sums(url, key, _BEGAN).get(_BEGAN)


def in_flight(url: str, key: str | None = None) -> float | None:
    """Return how many requests a vLLM server works on or has queued; ``None`` if it hides it."""
    counts = _sums(url, key, *_BUSY)
    return sum(counts.values()) if counts else None


def _sums(url: str, key: str | None, *names: str) -> dict[str, float]:
    return counters.sums(loopback.get(url, "/metrics", 5.0, key) or b"", names)


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
