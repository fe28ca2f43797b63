"""When requests are sent: closed loop, or one of the open-loop arrival processes."""

from __future__ import annotations

from typing import Annotated, Self

import numpy as np
from numpy.random import Generator
from pydantic import BaseModel, ConfigDict, Field, model_validator

_Rate = Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)]


class Arrival(BaseModel):
    """When requests are sent. Exactly one of ``concurrency``, ``rate`` and ``trace`` is set.

    ``concurrency``: closed loop, that many streams, each sends its next request when its last
    one ended. ``rate``: open loop with that mean number of requests a second; the gaps are
    gamma-distributed with shape ``burstiness`` (1 is Poisson, below it bursts, above it is
    smoother; as vLLM's benchmark defines it), or all equal with ``constant``. ``ramp_to``: the
    rate changes linearly over the load, from ``rate`` to this. ``trace``: the path of a recorded
    trace, which gives arrival times and lengths, replayed ``speed`` times as fast; ``sha256`` is
    that of its content, so that a study names what was replayed.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    concurrency: Annotated[int, Field(ge=1, le=4096)] | None = None
    rate: _Rate | None = None
    burstiness: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False, strict=False)] = 1.0
    constant: bool = False
    ramp_to: _Rate | None = None
    trace: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    speed: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False, strict=False)] = 1.0
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [one for one in (self.concurrency, self.rate, self.trace) if one is not None]
        if len(given) != 1:
            raise ValueError("exactly one of concurrency, rate and trace must be given")
        shaped = self.burstiness != 1.0 or self.constant or self.ramp_to is not None
        if shaped and self.rate is None:
            raise ValueError("burstiness, constant and ramp_to go with a rate only")
        if self.constant and self.burstiness != 1.0:
            raise ValueError("constant arrivals have no burstiness: leave one of the two out")
        if (self.speed != 1.0 or self.sha256 is not None) and self.trace is None:
            raise ValueError("speed and sha256 go with a trace only")
        return self


def instants(arrival: Arrival, count: int, rng: Generator) -> list[float | None]:
    """Return when each of ``count`` requests is sent, in seconds after the load's start.

    All ``None`` in closed loop. A trace brings its own times: see `trimtab.load.trace`.
    """
    if arrival.rate is None:
        return [None] * count
    if arrival.constant:
        unit = np.ones(count)
    else:
        unit = rng.gamma(arrival.burstiness, 1.0 / arrival.burstiness, count)
    elapsed = np.cumsum(unit)  # in mean gaps, at rate 1
    if arrival.ramp_to is None:
        return [float(one) for one in elapsed / arrival.rate]
    return [float(one) for one in _ramped(elapsed, arrival.rate, arrival.ramp_to, count)]


def _ramped(
    elapsed: np.ndarray[tuple[int, ...], np.dtype[np.float64]], first: float, last: float, n: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Turn time at rate 1 into time at a rate that goes linearly from ``first`` to ``last``.

    The ramp takes as long as ``n`` requests need on average; what comes later goes on at
    ``last``. With rate(t) = first + slope t, the expected count first t + slope t^2 / 2 is
    solved for t.
    """
    length = 2.0 * n / (first + last)
    slope = (last - first) / length
    if slope == 0:
        return elapsed / first
    inside = np.minimum(elapsed, float(n))
    at = (np.sqrt(first**2 + 2.0 * slope * inside) - first) / slope
    return at + (elapsed - inside) / last
