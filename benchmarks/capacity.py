#!/usr/bin/env python3
"""The capacity search against sign-only bisection, on queues whose capacity is known.

    python benchmarks/capacity.py --studies 2000

Each start's capacity scatters around 1; a probe's statistic scatters as its noise says. Both
methods get the same number of probes. "Over-claimed" is an answer more than 2 % above the truth.
"""

from __future__ import annotations

import argparse
import math
import shlex
import sys
from collections.abc import Callable

import numpy as np
from scipy import stats

from trimtab.stats.capacity import Probe, crossing, next_rate
from trimtab.stats.sequential import mean_interval

UTILISATION = 0.8
"""Share of the saturated rate at which the SLO is just met: 1 / (1 - rho) is five times 1."""

Margin = Callable[[float], float]


def queue(capacity: float, noise: float, rng: np.random.Generator) -> Margin:
    """Return a noisy probe of a single queue: the margin of 1 / (1 - rho) to its SLO."""

    def probe(rate: float) -> float:
        rho = UTILISATION * rate / capacity
        if rho >= 0.995:
            return math.inf
        return math.log((1 - UTILISATION) / (1 - rho)) + noise * float(rng.normal())

    return probe


def ours(probe: Margin, first: float) -> tuple[float, int]:
    """Return trimtab's estimate, and the probes it took."""
    probes: list[Probe] = []
    while (rate := next_rate(probes, first)) is not None:
        probes.append(Probe(rate, probe(rate)))
    found = crossing(probes)
    assert found is not None
    return found, len(probes)


def bisection(probe: Margin, first: float, probes: int) -> float:
    """Return the largest rate that passed a bisection on pass and fail (vidur's scheme)."""
    low, high, used = 0.0, first, 0
    while used < probes and probe(high) <= 0:
        low, high, used = high, 2 * high, used + 1
    used += 1
    while used < probes:
        middle = (low + high) / 2
        low, high = (middle, high) if probe(middle) <= 0 else (low, middle)
        used += 1
    return low


def rate(hits: int, of: int) -> str:
    """Return a rate with its exact 95 % interval."""
    low, high = stats.binomtest(hits, of).proportion_ci(method="exact")
    return f"{hits / of:.3f} [{low:.3f}, {high:.3f}]"


def main() -> int:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=2000)
    asked = parser.parse_args()
    print(f"Made by `python {shlex.join(sys.argv)}`\n")
    print("| start noise, probe noise | method | starts | sd, % | bias, % | over-claimed by 2 % |")
    print("|---|---|---|---|---|---|")
    for starts, noise in ((0.01, 0.15), (0.02, 0.15), (0.02, 0.30)):
        rng = np.random.default_rng(1)
        answers: dict[tuple[str, int], list[float]] = {}
        for _ in range(asked.studies):
            found, halved = [], []
            for _ in range(3):
                capacity = math.exp(starts * float(rng.normal()))
                first = 0.3 * math.exp(0.3 * float(rng.normal()))
                probe = queue(capacity, noise, rng)
                estimate, used = ours(probe, first)
                found.append(math.log(estimate))
                halved.append(math.log(max(1e-9, bisection(probe, first, used))))
            answers.setdefault(("bisection on pass or fail", 1), []).append(halved[0])
            answers.setdefault(("bisection on pass or fail", 3), []).append(float(np.mean(halved)))
            answers.setdefault(("trimtab, estimate", 1), []).append(found[0])
            answers.setdefault(("trimtab, estimate", 3), []).append(float(np.mean(found)))
            _, low, _ = mean_interval(found, level=0.90)
            assert low is not None
            answers.setdefault(("trimtab, published bound", 3), []).append(low)
        for (name, count), logs in answers.items():
            over = sum(one > 0.02 for one in logs)
            print(
                f"| {starts:.0%}, {noise:.0%} | {name} | {count} | {100 * np.std(logs):.1f} | "
                f"{100 * np.mean(logs):+.1f} | {rate(over, len(logs))} |"
            )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
