"""The search for a capacity on fresh servers, and on one that runs already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from trimtab.errors import LoadFailedError
from trimtab.load.workload import load_workload
from trimtab.measurement import blocks, capacity
from trimtab.measurement.remote_server import RemoteServer
from trimtab.measurement.results import CapacityProbe, CapacityResult
from trimtab.measurement.runs import announce, open_measurement, require_place
from trimtab.measurement.targets import open_target
from trimtab.metrics.table import parse_slo
from trimtab.model import Header, Start, Window
from trimtab.study.executors.live import run_plan
from trimtab.study.options import Options
from trimtab.study.progress import Reporter
from trimtab.study.session import Say


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
    asked = capacity.CapacityQuestion(parse_slo(options.slo), session.workload, requests)
    question = blocks.question(session, (one,), kind="capacity", requests=requests)
    with open_measurement(question, folder, capacity.NAME, reporter, resume=resume) as place:
        reporter.say(blocks.bound_forecast(session.noise, count, requests))
        search = partial(run_plan, drive=capacity.search_drive(asked))
        made = blocks.Measurement(session, (one,), *place, trial=search).until(
            lambda starts: _with(starts, capacity.NAME) >= count, count
        )
        found = capacity.conclude(made)
        if found.low is not None:
            bound = partial(run_plan, drive=capacity.verification_drive(asked, found.low))
            # the arm says which bound, so that another one of a resumed search is tried too
            again = blocks.MeasurementTarget(f"{one.name} at {found.low:.6g}/s", one.plan)
            made = blocks.Measurement(
                session, (again,), *place, trial=bound, stream=blocks.FRESH
            ).until(lambda starts: _tried(starts, again.name), count + 1)
    result = _result(measured, target, asked, capacity.conclude(made), made)
    return replace(result, notes=(*session.caveats, *blocks.repeat_notes(made)))


def _tried(starts: Sequence[Start], name: str) -> bool:
    """Whether a bound was tried, on a start of the target of that name."""
    return any(
        capacity.VERIFIED in start.metrics and start.request.stem == f"1:{name}"
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
    asked = capacity.CapacityQuestion(parse_slo(options.slo), workload, requests)
    live = RemoteServer(url, options, say)
    measured = live.announce(workload)
    estimate = capacity.search(asked, live.run, options.seed)
    if estimate.failed or estimate.capacity is None:
        void = sorted({reason for window in estimate.windows for reason in window.void})
        raise LoadFailedError(f"{url} cannot be measured: {estimate.failed or '; '.join(void)}")
    only = capacity.Capacity(estimate.capacity, None, (estimate.capacity,), None)
    return replace(
        _result(measured, url, asked, only, ()),
        probe_e2e=_length(estimate.capacity, [estimate.windows]),
        probes=(_probes(estimate.windows),),
    )


def _result(
    measured: Header,
    target: str,
    asked: capacity.CapacityQuestion,
    found: capacity.Capacity,
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
            _probes(start.windows)
            for start in starts
            if start.valid and capacity.NAME in start.metrics
        ),
    )


def _length(found: float, starts: Sequence[Sequence[Window]]) -> float | None:
    """Return the shortest of the starts' probe lengths, in mean end-to-end times of a request."""
    each = [capacity.probe_length(windows, found) for windows in starts]
    return min((one for one in each if one is not None), default=None)


def _probes(windows: Sequence[Window]) -> tuple[CapacityProbe, ...]:
    return tuple(
        CapacityProbe(
            rate=window.metrics["rate"],
            margin=window.metrics["margin"],
            requests=window.requests,
            void=tuple(window.void),
            e2e=window.metrics.get(capacity.LENGTH),
        )
        for window in windows
    )
