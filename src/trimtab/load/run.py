"""Run a load against a server and measure its windows: the synchronous face of this package."""

from __future__ import annotations

import asyncio
import gc
import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from trimtab import metrics
from trimtab.errors import WorkloadError
from trimtab.load.client import Exchange
from trimtab.load.driver import Driver, Run, Watch
from trimtab.load.guards import Readings, errors, shares, token_counts, void_reasons
from trimtab.load.loop import event_loop
from trimtab.load.readings import HostReader, host_cpu
from trimtab.load.requests import build_requests
from trimtab.load.sse import decode
from trimtab.load.target import Target
from trimtab.load.texts import Tokenize, tokenizer
from trimtab.load.toggle import Toggle, Toggling, longer
from trimtab.load.workload import Workload
from trimtab.model import Request, RequestRecord, Window


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What came of a load.

    ``records`` holds every request that ended, warm-up included, in sending order; requests
    still on the way at the end are not in it. ``warmup`` is the number of requests before the
    first window. ``client`` holds the client's self-checks: ``cpu_share`` (of one core, over
    all windows), ``lag_p50_ms`` and ``lag_p99_ms`` (sent - intended), ``coalesced_share``
    (answers' chunks that shared a read with another), ``failed`` and ``unfinished`` requests.
    ``failed`` is "" or the sentence why the server did not serve it: the load ended before it
    was complete, a request failed, or an answer has another length than asked for. That is the
    server's doing, so it is no bad luck that a repetition could mend.
    """

    records: tuple[RequestRecord, ...]
    windows: tuple[Window, ...]
    warmup: int
    client: Mapping[str, float]
    failed: str = ""


def run_load(
    url: str,
    model: str,
    workload: Workload,
    seed: int,
    *,
    vocab: int,
    key: str | None = None,
    slo: metrics.Slo | None = None,
    alive: Callable[[], str | None] = lambda: None,
    server_cpu: Callable[[], float] | None = None,
    stop: threading.Event | None = None,
    progress: Callable[[str], None] | None = None,
    host_cpu: HostReader = host_cpu,
    shared_host: bool = False,
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
    voids a window unless the user said that the machine is a ``shared_host``. With a ``toggle``
    the windows stand apart (:mod:`trimtab.load.toggle`).

    Raises:
        UsageError: the URL is not plain http, or the workload does not fit the vocabulary.
        TrimtabError: the toggle could not be switched.
    """
    target = Target.parse(url, model, key)
    requests = _requests(workload, seed, vocab, tokenizer(url, model, key), toggle)
    watch = Watch(alive, host_cpu, server_cpu, stop, progress)
    with _no_collections(), asyncio.Runner(loop_factory=event_loop) as runner:
        if toggle is None:
            driver = Driver(target, workload, requests, watch)
        else:
            driver = Toggling(target, workload, requests, watch, toggle)
        run = runner.run(driver.run())
    records = tuple(
        sorted((_record(one, run.begun) for one in run.ended), key=lambda one: one.index)
    )
    asked = {request.index: request.output_tokens for request in requests}
    windows = _windows(run, workload, asked, requests, records, slo, shared_host)
    if toggle is not None:
        windows = tuple(replace(one, on=toggle.on(one.index)) for one in windows)
    failed = run.failed or next(iter((*errors(records), *token_counts(records, asked))), "")
    return LoadResult(records, windows, workload.warmup, _self_checks(run, records), failed)


def _requests(
    workload: Workload, seed: int, vocab: int, tokenize: Tokenize, toggle: Toggle | None
) -> tuple[Request, ...]:
    if toggle is not None:
        with suppress(WorkloadError):  # a recorded trace may hold no more than a load has
            return build_requests(longer(workload, toggle), seed, vocab, tokenize)
    return build_requests(workload, seed, vocab, tokenize)


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


def _record(exchange: Exchange, begun: float) -> RequestRecord:
    """Decode an exchange into a record with instants in seconds after ``begun``."""
    answer = decode(exchange.pieces) if exchange.status == 200 else decode(())
    never = begun if exchange.done is None else exchange.done  # no connection was to be had
    intended = never if exchange.intended is None else exchange.intended
    sent = intended if exchange.sent is None else exchange.sent
    record = RequestRecord(
        index=exchange.request.index,
        intended=intended - begun,
        sent=sent - begun,
        chunks=tuple(instant - begun for instant in answer.chunks),
        done=math.inf if exchange.done is None else exchange.done - begun,
        prompt_tokens=answer.prompt_tokens or 0,
        output_tokens=answer.output_tokens or 0,
        error=exchange.error or answer.error,
    )
    if exchange.done is None or record.error:
        return record
    if answer.output_tokens is None or answer.prompt_tokens is None:
        return replace(record, error="the answer ended without its usage report")
    return record


def _windows(
    run: Run,
    workload: Workload,
    asked: Mapping[int, int],
    requests: Sequence[Request],
    records: Sequence[RequestRecord],
    slo: metrics.Slo | None,
    shared_host: bool,
) -> tuple[Window, ...]:
    streaming = (*records, *_partial_records(run, records))
    windows = []
    for index, (before, after) in enumerate(run.spans):
        begin, end = before[0] - run.begun, after[0] - run.begun
        ended = [one for one in records if begin < one.done <= end]
        due = (
            [] if workload.concurrency else [one for one in records if begin < one.intended <= end]
        )
        used = shares(before[1], after[1], end - begin) if end > begin else {}
        judged = {"client": used["client"]} if shared_host and used else used
        windows.append(
            Window(
                index=index,
                begin=begin,
                end=end,
                requests=len(ended),
                metrics=metrics.measure(streaming, begin, end, slo),
                void=void_reasons(ended, due, asked, end - begin, judged),
                readings=used,
            )
        )
    return tuple(windows)


def _partial_records(run: Run, records: Sequence[RequestRecord]) -> list[RequestRecord]:
    """Return the requests cut off at the load's end, so that their tokens so far count.

    Without them the last window would lack the tokens of every stream that was open at its
    end. The server reports usage only at the end of an answer, so their tokens are estimated
    from the tokens a chunk of the whole answers held (one, unless the server bundles them).
    """
    chunks = sum(len(record.chunks) for record in records if not record.error)
    tokens = sum(record.output_tokens for record in records if not record.error)
    if not chunks:
        return []
    partial = []
    for exchange in run.unfinished:
        record = _record(exchange, run.begun)
        estimate = round(len(record.chunks) * tokens / chunks)
        prompt = len(exchange.request.prompt)
        partial.append(replace(record, output_tokens=estimate, prompt_tokens=prompt))
    return partial


def _self_checks(run: Run, records: Sequence[RequestRecord]) -> dict[str, float]:
    checks = {
        "failed": float(sum(bool(record.error) for record in records)),
        "unfinished": float(len(run.unfinished)),
    }
    lags = [1000.0 * (one.sent - one.intended) for one in records]
    if lags:
        checks["lag_p50_ms"] = metrics.percentile(lags, 50)
        checks["lag_p99_ms"] = metrics.percentile(lags, 99)
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
