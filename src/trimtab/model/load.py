"""Load: requests, what happened to them, and the windows measured over them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Request:
    """One request to send: exact lengths, and when (seconds after the load's start).

    ``at`` is ``None`` in closed loop: the request is sent as soon as a stream is free.
    """

    index: int
    prompt: tuple[int, ...]
    output_tokens: int
    at: float | None = None


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """What happened to one request. Instants are seconds after the load's start.

    ``intended`` is when it should have been sent (its arrival in open loop; in closed loop, which
    has no schedule, when it was sent); latencies count from there, so a stalled server or client
    cannot hide queueing (coordinated omission). ``chunks`` holds the arrival of each streamed
    chunk that stands for tokens (docs/metrics.md defines it); one chunk may hold several, so
    counts come from the server's usage report.
    """

    index: int
    intended: float
    sent: float
    chunks: tuple[float, ...]
    done: float
    prompt_tokens: int
    output_tokens: int
    error: str = ""


@dataclass(frozen=True, slots=True)
class Window:
    """One measured interval of load inside a start.

    ``metrics`` maps a metric's name to its value; a metric that does not exist for these
    records is absent, never 0. ``void`` holds the reasons why the window must not be used.
    ``readings`` are the shares of the machine that others than the server used in it. ``on``
    names the tuning that was on in it, in a start in which one alternates.
    ``bins`` are its output tokens/s in equal parts of its time. ``spread`` holds, for each
    latency, the values of its requests in milliseconds as `trimtab.metrics.aggregate.spread`
    writes them.
    """

    index: int
    begin: float
    end: float
    requests: int
    metrics: Mapping[str, float]
    void: tuple[str, ...] = ()
    readings: Mapping[str, float] = field(default_factory=dict)
    on: str = ""
    bins: tuple[float, ...] = ()
    spread: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
