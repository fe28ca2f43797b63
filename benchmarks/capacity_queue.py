#!/usr/bin/env python3
"""How often is the bound of `trimtab capacity` too high? On a simulated queue of requests.

A server with a fixed number of slots serves first come, first served; how long a request takes is
lognormal, and its TTFT is its wait plus 50 ms. Start speeds differ by 2 %. The truth comes from
one long run. Only the load is simulated: `trimtab.measurement.capacity.search` itself chooses the
probes.

    python benchmarks/capacity_queue.py --studies 30
"""

from __future__ import annotations

import argparse
import heapq
import math

import numpy as np
from numpy.typing import NDArray

from trimtab.load.runner import GiveUp, LoadResult
from trimtab.load.workload import Workload, load_workload
from trimtab.measurement import capacity
from trimtab.metrics.table import parse_slo
from trimtab.model import RequestRecord, Window
from trimtab.stats.sequential import mean_interval

LIMIT = 0.5
"""Seconds that the 99th percentile of TTFT may be."""

STARTS = 4
SPREAD = 0.02
"""Standard deviation of a start's speed, log scale."""

_OWN = 0.05
_SHAPE = 0.7
"""Standard deviation of the log of the service time: a coefficient of variation of 0.8."""

Array = NDArray[np.float64]


def queue(rate: float, count: int, slots: int, service: Array, seed: int) -> tuple[Array, Array]:
    """Return arrival and wait of each request, in seconds."""
    at = np.cumsum(np.random.default_rng((seed, 1)).exponential(size=count) / rate)
    free = [0.0] * slots
    wait = np.empty(count)
    for index, (arrival, length) in enumerate(zip(at, service, strict=True)):
        begin = max(float(arrival), heapq.heappop(free))
        wait[index] = begin - arrival
        heapq.heappush(free, begin + float(length))
    return at, wait


def services(count: int, mean: float, seed: int) -> Array:
    """Return how long each request takes once it has a slot."""
    drawn = np.random.default_rng((seed, 2)).normal(size=count)
    return mean * np.exp(_SHAPE * drawn - _SHAPE**2 / 2)


def truth(slots: int, mean: float, requests: int = 150_000) -> float:
    """Return the rate at which the 99th percentile reaches the limit in a long run."""
    low, high = 0.3 * slots / mean, slots / mean
    service = services(requests, mean, 11)
    for _ in range(11):
        middle = (low + high) / 2
        _, wait = queue(middle, requests, slots, service, 11)
        met = float(np.percentile(wait[2000:], 99)) + _OWN <= LIMIT
        low, high = (middle, high) if met else (low, middle)
    return (low + high) / 2


class Server:
    """A queue that answers as the load client would report it."""

    def __init__(self, slots: int, mean: float, speed: float) -> None:
        self.slots, self.mean, self.speed = slots, mean / speed, speed

    def run(self, workload: Workload, seed: int, give_up: GiveUp | None = None) -> LoadResult:
        """Drive one load."""
        rate = workload.arrival.rate
        if rate is None:
            busy = {"request_throughput": self.slots / self.mean}
            return LoadResult((), (Window(0, 0.0, 1.0, 1, busy),), workload.warmup, {})
        count = workload.warmup + workload.windows * workload.window_requests
        service = services(count, self.mean, seed)
        at, wait = queue(rate, count, self.slots, service, seed)
        records = tuple(
            RequestRecord(index, a, a, (a + w + _OWN, a + w + s), a + w + s, 100, 10)
            for index, (a, w, s) in enumerate(
                zip(at.tolist(), wait.tolist(), service.tolist(), strict=True)
            )
        )
        first = float(at[workload.warmup])
        window = Window(0, first, float(at[-1]), count, {"request_throughput": rate})
        return LoadResult(records, (window,), workload.warmup, {})


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--studies", type=int, default=30)
    parser.add_argument("--requests", type=int, nargs="+", default=[200, 1000])
    asked = parser.parse_args()
    counted = "bound > truth | > truth + 2 %"
    print(f"| slots, mean service | requests | probe / E2E | estimate | {counted} |")
    print("|---|---|---|---|---|---|")
    slo = parse_slo(f"ttft_p99<={LIMIT * 1000:.0f}ms")
    for slots, mean in ((8, 2.0), (32, 4.0), (128, 8.0)):
        right = math.log(truth(slots, mean))
        for requests in asked.requests:
            question = capacity.CapacityQuestion(slo, load_workload("poisson-small"), requests)
            bias, over, lengths = [], [], []
            for study in range(asked.studies):
                speeds = np.exp(SPREAD * np.random.default_rng((7, study)).normal(size=STARTS))
                found = [
                    capacity.search(
                        question, Server(slots, mean, speed).run, 1000 * study + 50 * n
                    )
                    for n, speed in enumerate(speeds.tolist())
                ]
                each = [one.capacity for one in found if one.capacity]
                value, low, _ = mean_interval([math.log(one) for one in each], level=0.90)
                bias.append(value - right)
                over.append(-math.inf if low is None else low - right)
                lengths += [
                    capacity.probe_length(one.windows, one.capacity) or 0.0 for one in found
                ]
            share = [np.mean(np.array(over) > least) for least in (0.0, math.log(1.02))]
            print(
                f"| {slots}, {mean:g} s | {requests} | {np.median(lengths):.1f} | "
                f"{100 * np.mean(bias):+.1f} % | {share[0]:.2f} | {share[1]:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
