"""The arm-blind gate: is the machine fit to measure on right now?

Before each start the same short probe runs, whatever the arm: how busy others keep the machine,
how much the hypervisor steals, and how fast a small matrix product and a memory copy are. It
cannot see the arm, so waiting for a quieter moment cannot favour one. The readings are kept with
the start, for the reader.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

import numpy as np
import psutil

from trimtab.load.guards import STEAL_LIMIT

BUSY_LIMIT = 0.10
"""Share of the machine that others may use before a wait is worth while; windows are judged by a
stricter one, each for itself."""

PROBE_SECONDS = 1.0
"""How long others are watched; less where nobody would wait for them anyway."""
_SIZE = 384


def probe(seconds: float) -> Mapping[str, float]:
    """Return the readings of one probe.

    Keys: ``busy`` and ``steal`` (shares of the machine's CPU time while the probe sleeps),
    ``gflops`` (a float32 matrix product on the caller's thread pool) and ``copy_gbps`` (GB/s
    read plus written by a copy larger than the caches), and ``available_gb`` of memory.
    """
    times = psutil.cpu_times_percent(interval=seconds)
    return {
        "busy": 1.0 - (times.idle + getattr(times, "iowait", 0.0)) / 100.0,
        "steal": getattr(times, "steal", 0.0) / 100.0,
        "gflops": 2 * _SIZE**3 / _best_seconds(_matrix_product()) / 1e9,
        "copy_gbps": 2 * 64e6 / _best_seconds(_copy()) / 1e9,
        "available_gb": psutil.virtual_memory().available / 1e9,
    }


def wait(
    stop: threading.Event,
    *,
    patience: float = 60.0,
    probe: Callable[[float], Mapping[str, float]] = probe,
    say: Callable[[str], None] = lambda _: None,
) -> Mapping[str, float]:
    """Probe until the machine is quiet, at most ``patience`` seconds, and return the readings.

    ``waited`` is added to them. A machine that stays busy is measured all the same: the guards
    of the load judge the windows themselves.
    """
    begun = time.monotonic()
    seconds = min(PROBE_SECONDS, max(0.1, patience))
    while True:
        readings = probe(seconds)
        waited = time.monotonic() - begun
        quiet = readings["busy"] <= BUSY_LIMIT and readings["steal"] <= STEAL_LIMIT
        if quiet or waited >= patience or stop.is_set():
            return {**readings, "waited": waited if waited > 2 * PROBE_SECONDS else 0.0}
        say(f"waiting for a quieter machine: others use {readings['busy']:.0%} of it")
        stop.wait(2.0)


def _matrix_product() -> Callable[[], object]:
    matrix = np.ones((_SIZE, _SIZE), dtype=np.float32)
    return lambda: matrix @ matrix


def _copy() -> Callable[[], object]:
    source = np.ones(64_000_000 // 8)
    target = np.empty_like(source)
    return lambda: np.copyto(target, source)


def _best_seconds(work: Callable[[], object], repeats: int = 3) -> float:
    best = float("inf")
    for _ in range(repeats):
        begun = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begun)
    return best
