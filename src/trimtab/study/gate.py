"""The arm-blind gate: is the machine fit to measure on right now?

Before each start the same short probe runs, whatever the arm: how busy others keep the machine,
how much the hypervisor steals, how fast a small matrix product and a memory copy are, and the
CPUs' clock and temperature where they can be read. It cannot see the arm, so waiting for a quieter
moment, or for the speed of the earlier starts, cannot favour one. The readings are kept with the
start, for the reader.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import Final

import numpy as np
import psutil

from trimtab import search
from trimtab.errors import WorkloadError
from trimtab.load.guards import STEAL_LIMIT
from trimtab.load.workload import with_windows
from trimtab.model import Phase, Start, StartRequest, VarianceComponents
from trimtab.study.options import AUTO
from trimtab.study.session import Session

BUSY_LIMIT = 0.10
"""Share of the machine that others may use before a wait is worth while; windows are judged by a
stricter one, each for itself."""

PROBE_SECONDS = 1.0
"""How long others are watched; less where nobody would wait for them anyway."""

_TELLING_SECONDS = 0.5
"""Shares of less are not told: a CPU that sleeps accounts for it late (0.1 s of an idle machine
read 80 % busy)."""

_SIZE = 384

SLOW = 0.9
"""Part of the usual speed below which a wait is worth while: other work, heat or a lower clock."""

_USUAL = {"gflops": "GFLOP/s in a matrix product", "copy_gbps": "GB/s in a memory copy"}
"""The readings that are compared with those before the study's earlier starts."""

_SIGMA = 1.4826
"""Standard deviation of a normal distribution for one median absolute deviation."""

_ENOUGH = 3
"""Earlier readings from which on their median is what is usual here."""


def probe(seconds: float) -> Mapping[str, float]:
    """Return the readings of one probe.

    Keys: ``busy`` and ``steal`` (shares of the machine's CPU time while the probe sleeps, if it
    sleeps long enough to tell), ``gflops`` (a float32 matrix product on the caller's thread
    pool) and ``copy_gbps`` (GB/s read plus written by a copy larger than the caches), and
    ``available_gb`` of memory; ``mhz`` (mean clock of the CPUs) and ``celsius`` (the hottest
    sensor) where the system tells them.
    """
    return {
        **_shares(seconds),
        "gflops": 2 * _SIZE**3 / _best_seconds(_matrix_product()) / 1e9,
        "copy_gbps": 2 * 64e6 / _best_seconds(_copy()) / 1e9,
        "available_gb": psutil.virtual_memory().available / 1e9,
        **_clock(),
        **_temperature(),
    }


def _shares(seconds: float) -> dict[str, float]:
    times = psutil.cpu_times_percent(interval=seconds)
    if seconds < _TELLING_SECONDS:
        return {}
    return {
        "busy": 1.0 - (times.idle + getattr(times, "iowait", 0.0)) / 100.0,
        "steal": getattr(times, "steal", 0.0) / 100.0,
    }


def _clock() -> dict[str, float]:
    try:
        found = psutil.cpu_freq()
    except (NotImplementedError, OSError):  # no file tells it
        return {}
    mhz = getattr(found, "current", 0.0)  # None where there is no CPU that tells
    return {"mhz": mhz} if mhz > 0 else {}


def _temperature() -> dict[str, float]:
    if not hasattr(psutil, "sensors_temperatures"):  # not on every system
        return {}
    found = [one.current for chip in psutil.sensors_temperatures().values() for one in chip]
    known = [one for one in found if one > 0]  # 0 is what a sensor without a value says
    return {"celsius": max(known)} if known else {}


def wait(
    stop: threading.Event,
    *,
    patience: float = 60.0,
    earlier: Sequence[Mapping[str, float]] = (),
    probe: Callable[[float], Mapping[str, float]] = probe,
    say: Callable[[str], None] = lambda _: None,
) -> Mapping[str, float]:
    """Probe until the machine is quiet, at most ``patience`` seconds, and return the readings.

    Quiet is also: not slower than before the ``earlier`` starts. ``waited`` is added to them. A
    machine that stays as it is is measured all the same: the guards of the load judge the windows
    themselves, and the reader has the readings.
    """
    begun = time.monotonic()
    seconds = min(PROBE_SECONDS, max(0.1, patience))
    while True:
        readings = probe(seconds)
        waited = time.monotonic() - begun
        reason = _disturbed(readings) or slowdown(readings, earlier)
        if not reason or waited >= patience or stop.is_set():
            return {**readings, "waited": waited if waited > 2 * PROBE_SECONDS else 0.0}
        say(f"waiting for a quieter machine: {reason}")
        stop.wait(2.0)


def _disturbed(readings: Mapping[str, float]) -> str:
    """Return what others take of the machine, "" if it is little."""
    if readings.get("busy", 0.0) > BUSY_LIMIT:
        return f"others use {readings['busy']:.0%} of it"
    if readings.get("steal", 0.0) > STEAL_LIMIT:
        return f"the hypervisor takes {readings['steal']:.0%} of it"
    return ""


def slowdown(readings: Mapping[str, float], earlier: Sequence[Mapping[str, float]]) -> str:
    """Return in what the machine is slower than before the earlier starts, "" if in nothing.

    Whatever arm those starts had: the probe runs before the server.
    """
    for name, what in _USUAL.items():
        before = [one[name] for one in earlier if name in one]
        if len(before) < _ENOUGH or name not in readings:
            continue
        usual = median(before)
        if readings[name] < SLOW * usual and readings[name] < _lowest(before):
            return f"{readings[name]:.3g} {what}, and {usual:.3g} before the earlier starts"
    return ""


def _lowest(before: Sequence[float]) -> float:
    """Return what a reading falls below by chance once in a thousand times.

    A short probe on a shared machine may scatter by half: what is odd, the machine itself tells.
    """
    logs = [math.log(one) for one in before if one > 0]
    middle = median(logs)
    scatter = _SIGMA * median(abs(log - middle) for log in logs)
    return math.exp(middle - 3 * scatter)


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


ENOUGH_DF: Final = 3
"""Degrees of freedom between starts from which on the noise decides."""


def with_auto_windows(session: Session, starts: Sequence[Start], request: StartRequest) -> Session:
    """Return the session in which a start of a study is made: with `auto`, other windows.

    The number follows from the noise of the phases before, never from an effect, and is one for
    a whole phase: within it all starts stay equally precise, and a block shares its requests.
    """
    order = list(Phase)
    before = [s for s in starts if order.index(s.request.phase) < order.index(request.phase)]
    if session.options.windows != AUTO or not before:
        return session
    return with_best_windows(
        session, search.conclude(search.History.of(session.space, before)).spread
    )


def with_gate_history(session: Session, starts: Sequence[Start]) -> Session:
    """Return the session whose gate knows what it read before the earlier starts."""
    return replace(session, readings=tuple(start.gate for start in starts))


def with_best_windows(session: Session, components: VarianceComponents | None) -> Session:
    """Return the session with the number of windows that a noise asks for, if it is known."""
    if components is None or components.start_df < ENOUGH_DF:
        return session
    try:
        workload = with_windows(session.workload, components.best)
    except WorkloadError:  # its memory, or a trace, does not hold as many
        return session
    return replace(session, workload=workload)
