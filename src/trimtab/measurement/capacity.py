"""Capacity: the highest rate of arrivals at which a server still meets its SLO.

One start gives one estimate, from a dozen probes at different rates (``stats.capacity``); the
answer is their mean over fresh starts with a lower bound, which is tried out on one more start. A
probe is a fixed number of requests, so an overloaded one ends by itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final, Protocol

from trimtab.errors import LoadFailedError, UsageError, WorkloadError
from trimtab.load.runner import GiveUp, LoadResult
from trimtab.load.workload import Workload, load_workload, validate_workload
from trimtab.measurement import blocks
from trimtab.measurement.remote_server import RemoteServer
from trimtab.measurement.results import CapacityProbe, CapacityResult
from trimtab.measurement.runs import announce, open_measurement, require_place
from trimtab.measurement.targets import open_target
from trimtab.metrics.slo import Latency, Slo
from trimtab.metrics.table import LATENCIES, geometric_mean, parse_slo, percentile
from trimtab.model import Header, RequestRecord, Start, StartRequest, Window
from trimtab.stats.capacity import CLIP, Probe, crossing, next_rate
from trimtab.stats.sequential import mean_interval
from trimtab.study.executors.live import Drive, DriveResult, VerifiedServer, run_plan
from trimtab.study.options import Options
from trimtab.study.progress import Reporter
from trimtab.study.session import Say

NAME: Final = "capacity"
"""The metric of a start that searched; in requests/s."""

VERIFIED: Final = "verified"
"""The metric of the start that tried the bound: how many of its windows met the SLO."""

LENGTH: Final = "probe_e2e"
"""The metric of a probe: how long it was, in mean end-to-end times of its requests."""

LONG_ENOUGH: Final = 100.0
"""Such multiples from which on a probe sees a settled queue, for the most part. A shorter one
begins with an empty server, and calls a rate fine that is not: on simulated queues the bound was
too high in 50 to 100 % of the cases below 50, in 17 % at 270 (benchmarks/capacity_queue.py)."""

_NEAR: Final = 0.1
"""Distance from the capacity, as a share of it, within which a probe decides."""

WINDOWS: Final = 2
"""Windows in which the bound is tried."""

_HIGHEST: Final = 10_000.0
"""The highest rate of arrivals that is tried, in requests/s: the load client's own bound."""

_STREAMS: Final = 32
"""Streams that saturate the server where the workload names none."""

_FAR: Final = 9.0
"""The margin that is recorded of a probe that failed requests: a ledger holds finite numbers."""


class LoadFunction(Protocol):
    """What drives a load on one server; ``give_up`` may end an over-saturated one early."""

    def __call__(self, workload: Workload, seed: int, give_up: GiveUp | None = None) -> LoadResult:
        """Drive it."""


@dataclass(frozen=True, slots=True)
class CapacityQuestion:
    """The SLO and the requests for which a capacity is searched."""

    slo: Slo
    """Limits that the server must meet."""
    workload: Workload
    """Lengths and sampling of the requests."""
    requests: int
    """Number of requests that a probe sends."""

    def __post_init__(self) -> None:
        """Refuse what no probe can be made of, before a server is started for it.

        Raises:
            UsageError: a recorded trace, whose rate is its own; more requests than the load
                client holds in memory.
        """
        if self.workload.arrival.trace is not None:
            raise UsageError("a trace has its own rate: name a workload with lengths")
        try:
            self.saturated()
            self.at(1.0)
        except WorkloadError as error:
            raise UsageError(
                f"--requests must be lower than {self.requests} for this workload: {error}"
            ) from error

    def at(self, rate: float, windows: int = 1) -> Workload:
        """Return the workload that arrives at ``rate`` requests/s.

        As many conversations are then held at once as the closed loop has streams.
        """
        arrival = self.workload.arrival
        shaped = arrival.model_copy(update={"concurrency": None, "rate": rate, "ramp_to": None})
        held = self.workload.streams if self.workload.turns is not None else None
        return self._sized(windows, arrival=shaped, conversations=held)

    def saturated(self) -> Workload:
        """Return the workload that keeps the server as busy as it can be."""
        streams = self.workload.streams or _STREAMS
        arrival = {"concurrency": streams}
        return self._sized(1, arrival=arrival, warmup=streams, conversations=None)

    def _sized(self, windows: int, **changed: Any) -> Workload:
        """Return the workload with windows of the size asked for; the warm-up is a tenth."""
        size = {
            "windows": windows,
            "window_requests": self.requests,
            "warmup": max(4, self.requests // 10),
            "max_seconds": 86_400.0,
        }
        arrival = changed.pop("arrival")
        plain = arrival if isinstance(arrival, dict) else arrival.model_dump(exclude_none=True)
        whole = self.workload.model_dump(exclude_none=True)
        return validate_workload(
            self.workload.name, {**whole, **size, "arrival": plain, **changed}
        )


@dataclass(frozen=True, slots=True)
class CapacityEstimate:
    """What one start gave: its probes as windows, and the capacity if there is one."""

    windows: tuple[Window, ...]
    capacity: float | None = None
    failed: str = ""


def margin(records: Sequence[RequestRecord], slo: Slo) -> float:
    """Return the largest log(statistic / limit) over the SLO's terms, infinite on any error.

    Below zero the SLO is met.
    """
    if not records or any(record.error for record in records):
        return math.inf
    found = []
    for term in slo.terms:
        values = [value for record in records for value in LATENCIES[term.latency](record)]
        if values:
            statistic = (
                math.fsum(values) / len(values)
                if term.statistic == "mean"
                else percentile(values, float(term.statistic[1:]))
            )
            found.append(math.log(max(statistic, 1e-9) / term.limit))
    return max(found, default=math.inf)


def search(asked: CapacityQuestion, run: LoadFunction, seed: int) -> CapacityEstimate:
    """Find the capacity of one running server."""
    busy = run(asked.saturated(), seed)
    saturated = busy.windows[0].metrics.get("request_throughput") if busy.windows else None
    if saturated is None:
        return CapacityEstimate(busy.windows, failed=busy.failed or "the server answered nothing")
    first = min(saturated / 4, _HIGHEST)
    probes: list[Probe] = []
    windows: list[Window] = []
    while (rate := next_rate(probes, first)) is not None and rate <= _HIGHEST:
        window, found = _probe(asked, run, rate, seed + 1 + len(windows))
        windows.append(replace(window, index=len(windows)))
        if not window.void:
            probes.append(Probe(rate, found))
        elif len(windows) > 1 and windows[-2].void:
            return CapacityEstimate(
                tuple(windows)
            )  # a machine that is not quiet: the start is void
    at = crossing(probes)
    return CapacityEstimate(
        tuple(windows), at, "" if at is not None else _no_crossing(probes, asked.slo)
    )


def _no_crossing(probes: Sequence[Probe], slo: Slo) -> str:
    rates = sorted(probe.rate for probe in probes)
    if probes[0].margin > 0:
        return f"no rate meets {slo}: not even {rates[0]:.3g} requests/s"
    return f"no rate breaks {slo}: {rates[-1]:.3g} requests/s still meet it"


def _probe(
    asked: CapacityQuestion, run: LoadFunction, rate: float, seed: int
) -> tuple[Window, float]:
    """Try one rate; the window is void where the machine, not the server, was at fault.

    A rate that over-saturates the server ends once its margin is past what the estimate clips:
    what comes later waits longer, and could not change it.
    """
    warmup = asked.at(rate).warmup

    def measured(records: Sequence[RequestRecord]) -> list[RequestRecord]:
        return [record for record in records if record.index >= warmup][: asked.requests]

    load = run(asked.at(rate), seed, lambda records: margin(measured(records), asked.slo) >= CLIP)
    whole = measured(load.records)
    found = margin(whole, asked.slo) if not load.failed else math.inf
    last = load.windows[-1] if load.windows else Window(0, 0.0, 0.0, len(whole), {}, load.void)
    void = () if math.isinf(found) else last.void
    metrics = {**last.metrics, "rate": rate, "margin": min(found, _FAR), **_lasted(last, whole)}
    return replace(last, metrics=metrics, void=void), found


def _lasted(window: Window, records: Sequence[RequestRecord]) -> dict[str, float]:
    """Return how long a probe was, in multiples of the mean end-to-end time of its requests."""
    each = [value for record in records for value in LATENCIES[Latency.E2E](record)]
    seconds = window.end - window.begin
    return {LENGTH: seconds * len(each) / math.fsum(each)} if each and seconds > 0 else {}


def probe_length(windows: Sequence[Window], found: float | None) -> float | None:
    """Return the median length of the probes that a start's capacity rests on.

    Those are the ones within a tenth of it. The unit is the mean end-to-end time of a request;
    ``None`` where no probe tells it.
    """
    known = [window for window in windows if not window.void and LENGTH in window.metrics]
    near = [
        window for window in known if found and abs(window.metrics["rate"] / found - 1) <= _NEAR
    ]
    return median([window.metrics[LENGTH] for window in near or known]) if known else None


def search_drive(asked: CapacityQuestion) -> Drive:
    """Return the drive that finds the capacity of each start."""

    def drive(loaded: VerifiedServer, request: StartRequest) -> DriveResult:
        estimate = search(asked, loaded.run, request.seed)
        metrics = {} if estimate.capacity is None else {NAME: estimate.capacity}
        return DriveResult(estimate.windows, metrics, estimate.failed)

    return drive


def verification_drive(asked: CapacityQuestion, rate: float) -> Drive:
    """Return the drive that tries whether a rate meets the SLO, window by window."""

    def drive(loaded: VerifiedServer, request: StartRequest) -> DriveResult:
        made = [_probe(asked, loaded.run, rate, request.seed + 1 + n) for n in range(WINDOWS)]
        windows = tuple(replace(window, index=n) for n, (window, _) in enumerate(made))
        if any(window.void for window in windows):
            return DriveResult(windows, {})
        return DriveResult(windows, {VERIFIED: float(sum(found <= 0 for _, found in made))})

    return drive


@dataclass(frozen=True, slots=True)
class Capacity:
    """The capacity over the starts of a measurement, in requests/s."""

    value: float
    """Geometric mean over the starts."""
    low: float | None
    """One-sided lower 95 % bound; ``None`` with fewer than four starts."""
    each: tuple[float, ...]
    """Capacity of each start."""
    verified: bool | None
    """Whether ``low`` met the SLO when tried; ``None`` if it was not tried."""


def conclude(starts: Sequence[Start]) -> Capacity:
    """Return the capacity that the starts of a measurement show.

    Raises:
        ValueError: none of them searched.
    """
    each = tuple(start.metrics[NAME] for start in starts if start.valid and NAME in start.metrics)
    _, low, _ = mean_interval([math.log(one) for one in each], level=0.90)
    tried = [
        start.metrics[VERIFIED] for start in starts if start.valid and VERIFIED in start.metrics
    ]
    return Capacity(
        value=geometric_mean(each),
        low=None if low is None else math.exp(low),
        each=each,
        verified=None if not tried else tried[-1] == WINDOWS,
    )


def measure_capacity(
    target: str,
    options: Options,
    count: int,
    requests: int,
    folder: Path | None,
    *,
    resume: bool,
    reporter: Reporter,
) -> CapacityResult:
    """Find the capacity of one target over some starts, and try its lower bound."""
    assert options.slo is not None
    require_place(folder, resume=resume)
    session, one = open_target(target, options, reporter.say)
    measured = announce(session, reporter)
    asked = CapacityQuestion(parse_slo(options.slo), session.workload, requests)
    question = blocks.question(session, (one,), kind="capacity", requests=requests)
    with open_measurement(question, folder, NAME, reporter, resume=resume) as place:
        reporter.say(blocks.bound_forecast(session.noise, count, requests))
        search = partial(run_plan, drive=search_drive(asked))
        made = blocks.Measurement(session, (one,), *place, trial=search).until(
            lambda starts: _with(starts, NAME) >= count, count
        )
        found = conclude(made)
        if found.low is not None:
            bound = partial(run_plan, drive=verification_drive(asked, found.low))
            # the arm says which bound, so that another one of a resumed search is tried too
            again = blocks.MeasurementTarget(f"{one.name} at {found.low:.6g}/s", one.plan)
            made = blocks.Measurement(
                session, (again,), *place, trial=bound, stream=blocks.FRESH
            ).until(lambda starts: _tried(starts, again.name), count + 1)
    result = _result(measured, target, asked, conclude(made), made)
    return replace(result, notes=(*session.caveats, *blocks.repeat_notes(made)))


def _tried(starts: Sequence[Start], name: str) -> bool:
    """Whether a bound was tried, on a start of the target of that name."""
    return any(
        VERIFIED in start.metrics and start.request.stem == f"1:{name}"
        for start in starts
        if start.valid
    )


def _with(starts: Sequence[Start], metric: str) -> int:
    return sum(metric in start.metrics for start in starts if start.valid)


def measure_url_capacity(url: str, options: Options, requests: int, say: Say) -> CapacityResult:
    """Find the capacity of a server that runs already: one start, so no bound.

    Raises:
        LoadFailedError: it cannot be measured.
    """
    assert options.slo is not None
    workload = load_workload(options.workload or "mixed-small")
    asked = CapacityQuestion(parse_slo(options.slo), workload, requests)
    live = RemoteServer(url, options, say)
    measured = live.announce(workload)
    estimate = search(asked, live.run, options.seed)
    if estimate.failed or estimate.capacity is None:
        void = sorted({reason for window in estimate.windows for reason in window.void})
        raise LoadFailedError(f"{url} cannot be measured: {estimate.failed or '; '.join(void)}")
    only = Capacity(estimate.capacity, None, (estimate.capacity,), None)
    return replace(
        _result(measured, url, asked, only, ()),
        probe_e2e=_length(estimate.capacity, [estimate.windows]),
        probes=(_probes(estimate.windows),),
    )


def _result(
    measured: Header,
    target: str,
    asked: CapacityQuestion,
    found: Capacity,
    starts: Sequence[Start],
) -> CapacityResult:
    return CapacityResult(
        measures=measured,
        target=target,
        slo=str(asked.slo),
        requests=asked.requests,
        capacity=found.value,
        low=found.low,
        verified=found.verified,
        each=tuple(found.each),
        starts=len(starts) or 1,
        probe_e2e=_length(found.value, [start.windows for start in starts if start.valid]),
        probes=tuple(
            _probes(start.windows) for start in starts if start.valid and NAME in start.metrics
        ),
    )


def _length(found: float, starts: Sequence[Sequence[Window]]) -> float | None:
    """Return the shortest of the starts' probe lengths, in mean end-to-end times of a request."""
    each = [probe_length(windows, found) for windows in starts]
    return min((one for one in each if one is not None), default=None)


def _probes(windows: Sequence[Window]) -> tuple[CapacityProbe, ...]:
    return tuple(
        CapacityProbe(
            rate=window.metrics["rate"],
            margin=window.metrics["margin"],
            requests=window.requests,
            void=tuple(window.void),
            e2e=window.metrics.get(LENGTH),
        )
        for window in windows
    )
