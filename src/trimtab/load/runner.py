"""Run a load against a server and measure its windows: the synchronous face of this package.

A load with the guards that need the server: idle before it, its caches empty of others.
"""

from __future__ import annotations

import asyncio
import gc
import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

from trimtab import formatting
from trimtab.errors import ClientLimitError, WorkloadError
from trimtab.load import guards, steady_state
from trimtab.load.alternation import Toggle, TogglingDriver, lengthen
from trimtab.load.connection import Exchange, LoadTarget
from trimtab.load.driver import Driver, HostReader, LoadRun, Watch, host_cpu
from trimtab.load.guards import Readings, errors, shares, token_counts, void_reasons
from trimtab.load.isolation import cache_counts, carry_over, drain, reusable_tokens
from trimtab.load.prompts import Tokenize, tokenizer
from trimtab.load.records import partial_records, record_of, records_of
from trimtab.load.requests import build_requests
from trimtab.load.transport import event_loop, require_files
from trimtab.load.workload import Workload
from trimtab.metrics import aggregate, table
from trimtab.model import Request, RequestRecord, Window

GiveUp = Callable[[Sequence[RequestRecord]], bool]
"""Whether a load may end early, from the records so far, warm-up included."""


class EarlyStop:
    """Decides whether an open loop need not run to its end; decodes each answer once.

    ``why`` is the sentence if it need not. It looks each time another eighth of the measured
    requests have ended, so that chance gets few tries.
    """

    def __init__(self, workload: Workload, give_up: GiveUp) -> None:
        self.why = ""
        self._give_up = give_up
        self._warmup = workload.warmup
        self._step = max(1, (workload.measured - workload.warmup) // 8)
        self._records: list[RequestRecord] = []
        self._next_look = workload.warmup + self._step

    def __call__(
        self, begun: float, ended: Sequence[Exchange], running: Sequence[Exchange]
    ) -> str:
        """Return why the load need not go on, "" while it must."""
        if len(ended) < self._next_look:
            return ""
        self._next_look = len(ended) + self._step
        self._records += [record_of(exchange, begun) for exchange in ended[len(self._records) :]]
        why = _over_saturated(begun, self._warmup, self._records, running)
        if why and self._give_up(self._records):
            self.why = why
        return self.why


def _over_saturated(
    begun: float,
    warmup: int,
    records: Sequence[RequestRecord],
    running: Sequence[Exchange],
) -> str:
    """Return why the arrivals after the warm-up's were too fast for the server, or ""."""
    waiting = [exchange.intended - begun for exchange in running if exchange.intended is not None]
    measured = [record.intended for record in records if record.index >= warmup]
    if not measured:
        return ""
    return guards.over_saturation(records, waiting, min(measured), max(measured))


def marks_of(
    run: LoadRun, workload: Workload, records: Sequence[RequestRecord], left_out: Sequence[str]
) -> dict[str, str]:
    """Return what a reader must know of the load, by kind."""
    why, saturated = run.unsteady, ""
    if workload.concurrency is None and workload.arrival.ramp_to is None:  # a ramp is to rise
        why = steady_state.arrival_unsteadiness(
            [record for record in records if record.index < workload.warmup]
        )
        saturated = _over_saturated(run.begun, workload.warmup, records, run.unfinished)
    unsteady = f"after {workload.warmup + run.spare} requests of warm-up {why}" if why else ""
    marks = {
        steady_state.MARK: unsteady,
        guards.MARK: saturated,
        "prompts-left-out": "; ".join(left_out),
    }
    return {kind: sentence for kind, sentence in marks.items() if sentence}


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What came of a load.

    ``records`` holds every request that ended, warm-up included, by index; requests still on the
    way at the end are not in it, and those that prolonged the warm-up come last. ``warmup`` is the
    number of requests planned before the first window. ``client`` holds the client's self-checks:
    ``cpu_share`` (of one core, over all windows), ``lag_p50_ms`` and ``lag_p99_ms`` (sent -
    intended), ``coalesced_share`` (answers' chunks that shared a read with another), ``failed``
    and ``unfinished`` requests.
    ``failed`` is "" or the sentence why the server did not serve it: the load ended before it
    was complete, a request failed, or an answer has another length than asked for. That is the
    server's doing, so it is no bad luck that a repetition could mend. ``marks`` are those of the
    start; ``reusable`` is how many prompt tokens a prefix cache could serve from this load alone.
    ``void`` are reasons that hold for the whole load; its windows have them too.
    """

    records: tuple[RequestRecord, ...]
    windows: tuple[Window, ...]
    warmup: int
    client: Mapping[str, float]
    failed: str = ""
    marks: Mapping[str, str] = field(default_factory=dict)
    reusable: int = 0
    void: tuple[str, ...] = ()


def run_load(
    url: str,
    model: str,
    workload: Workload,
    seed: int,
    *,
    vocab: int,
    key: str | None = None,
    slo: table.Slo | None = None,
    alive: Callable[[], str | None] = lambda: None,
    server_cpu: Callable[[], float] | None = None,
    stop: threading.Event | None = None,
    progress: Callable[[str], None] | None = None,
    host_cpu: HostReader = host_cpu,
    shared_host: bool = False,
    give_up: GiveUp | None = None,
    toggle: Toggle | None = None,
) -> LoadResult:
    """Send ``workload`` to the server at ``url`` and return records and measured windows.

    One continuous load: warm-up and windows follow each other without a gap (see
    :class:`~trimtab.load.driver.Driver` for where windows are cut). It ends when all windows
    are complete; when ``max_seconds`` have passed and at least one is; when ``alive`` returns a
    sentence (asked about four times a second, in a helper thread, as is ``progress``); when
    ``stop`` is set; or when as many requests in a row failed as there are streams. Nothing that
    the server does raises.

    ``vocab`` is the size of the model's vocabulary, ``key`` what the server demands of clients.
    ``server_cpu`` and ``host_cpu`` give the CPU seconds by which foreign load is recognised; it
    voids a window unless the user said that the machine is a ``shared_host``. An open loop that
    saturates the server ends early if ``give_up`` agrees, which is asked with the records so far
    (warm-up included); it then has a mark that says so, and is not failed. With a ``toggle`` the
    windows stand apart (:mod:`trimtab.load.alternation`).

    Raises:
        UsageError: the URL is no address, the workload does not fit the vocabulary, or needs
            more open files than this process may have.
        ClientLimitError: this side ran out of descriptors or ports, which says nothing of the
            server.
        TrimtabError: the toggle could not be switched.
    """
    target = LoadTarget.parse(url, model, key)
    require_files(workload)
    left_out: list[str] = []
    tokens = tokenizer(url, model, key)
    requests = _requests(workload, seed, vocab, tokens, toggle, left_out.append)
    early = None if give_up is None or workload.concurrency else EarlyStop(workload, give_up)
    watch = Watch(alive, host_cpu, server_cpu, stop, progress, early)
    if toggle is None:
        driver = Driver(target, workload, requests, watch)
    else:
        driver = TogglingDriver(target, workload, requests, watch, toggle)
    run = _run(driver)
    if own := next((exchange.error for exchange in run.ended if exchange.own), ""):
        raise ClientLimitError(own)
    records = tuple(sorted(records_of(run.ended, run.begun), key=lambda one: one.index))
    asked = {request.index: request for request in requests}
    windows = _windows(run, workload, asked, requests, records, slo, shared_host)
    if toggle is not None:
        windows = tuple(replace(window, on=toggle.on(window.index)) for window in windows)
    ended_early = early is not None and early.why and early.why == run.failed
    failed = "" if ended_early else run.failed
    failed = failed or next(iter((*errors(records), *token_counts(records, asked))), "")
    marks = marks_of(run, workload, records, left_out)
    shared = reusable_tokens(exchange.request.prompt for exchange in (*run.ended, *run.unfinished))
    checks = _self_checks(run, records)
    return LoadResult(records, windows, workload.warmup, checks, failed, marks, shared)


def _run(driver: Driver) -> LoadRun:
    """Drive the load in an event loop of its own, also where one runs already (a notebook)."""

    def run() -> LoadRun:
        with _no_collections(), asyncio.Runner(loop_factory=event_loop) as runner:
            return runner.run(driver.run())

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return run()
    with ThreadPoolExecutor(1, "trimtab-load") as apart:
        return apart.submit(run).result()


def _requests(
    workload: Workload,
    seed: int,
    vocab: int,
    tokenize: Tokenize,
    toggle: Toggle | None,
    say: Callable[[str], None],
) -> tuple[Request, ...]:
    if toggle is not None:
        with suppress(WorkloadError):  # a recorded trace may hold no more than a load has
            return build_requests(lengthen(workload, toggle), seed, vocab, tokenize, say)
    return build_requests(workload, seed, vocab, tokenize, say)


@contextmanager
def _no_collections() -> Iterator[None]:
    """Keep the cyclic garbage collector from pausing the client."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        if was_enabled:
            gc.enable()


def _windows(
    run: LoadRun,
    workload: Workload,
    asked: Mapping[int, Request],
    requests: Sequence[Request],
    records: Sequence[RequestRecord],
    slo: table.Slo | None,
    shared_host: bool,
) -> tuple[Window, ...]:
    streaming = (*records, *partial_records(run, records))
    windows = []
    for index, (before, after) in enumerate(run.spans):
        begin, end = before[0] - run.begun, after[0] - run.begun
        ended = [record for record in records if begin < record.done <= end]
        due = (
            []
            if workload.concurrency
            else [record for record in records if begin < record.intended <= end]
        )
        used = shares(before[1], after[1], end - begin) if end > begin else {}
        judged = {"client": used["client"]} if shared_host and used else used
        windows.append(
            Window(
                index=index,
                begin=begin,
                end=end,
                requests=len(ended),
                metrics=table.measure(streaming, begin, end, slo),
                void=void_reasons(ended, due, asked, end - begin, judged),
                readings=used,
                bins=table.throughputs(streaming, begin, end),
                spread=aggregate.latency_histograms(records, begin, end),
            )
        )
    return tuple(windows)


def _self_checks(run: LoadRun, records: Sequence[RequestRecord]) -> dict[str, float]:
    checks = {
        "failed": float(sum(bool(record.error) for record in records)),
        "unfinished": float(len(run.unfinished)),
    }
    lags = [1000.0 * (record.sent - record.intended) for record in records]
    if lags:
        checks["lag_p50_ms"] = table.percentile(lags, 50)
        checks["lag_p99_ms"] = table.percentile(lags, 99)
    chunks = [instant for record in records for instant in record.chunks]
    if chunks:
        checks["coalesced_share"] = 1.0 - _distinct(records) / len(chunks)
    if len(run.cuts) > 1:
        (begin, before), (end, after) = run.cuts[0], run.cuts[-1]
        checks["cpu_share"] = _share(before, after, end - begin)
    return {name: value for name, value in checks.items() if not math.isnan(value)}


def _distinct(records: Sequence[RequestRecord]) -> int:
    """Count the reads that brought chunks: chunks of one read carry one stamp."""
    return sum(len(set(record.chunks)) for record in records)


def _share(before: Readings, after: Readings, seconds: float) -> float:
    return (after.client - before.client) / seconds if seconds > 0 else math.nan


def run_guarded(url: str, key: str | None, load: Callable[[], LoadResult]) -> LoadResult:
    """Wait until the server is idle, drive a load, and void its windows where it was not alone.

    A server that is still busy after `trimtab.load.isolation.PATIENCE` is loaded all the same, so
    that the reason is recorded where it is looked for: with the windows.
    """
    busy = drain(url, key)
    before = cache_counts(url, key)
    result = load()
    reasons = [carry_over(before, cache_counts(url, key), result.reusable)]
    if busy:
        left = formatting.count(busy, "earlier request")
        reasons.append(f"not drained: the server still worked on {left} when the load began")
    return _voided(result, tuple(filter(None, reasons)))


def _voided(result: LoadResult, reasons: tuple[str, ...]) -> LoadResult:
    if not reasons:
        return result
    windows = tuple(replace(window, void=(*window.void, *reasons)) for window in result.windows)
    return replace(result, windows=windows, void=reasons)
