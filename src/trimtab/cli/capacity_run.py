"""What ``trimtab capacity`` runs, and how it is shown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.table import Table

from trimtab import formatting
from trimtab.cli import precision, terminal
from trimtab.cli.measurement_run import announce, open_measurement, require_place
from trimtab.cli.remote_server import RemoteServer
from trimtab.cli.terminal import say
from trimtab.errors import LoadFailedError
from trimtab.load.workload import load_workload
from trimtab.measurement import blocks, capacity
from trimtab.measurement.targets import open_target
from trimtab.metrics.table import parse_slo
from trimtab.model import Start, Window
from trimtab.stats.sequential import no_interval_reason
from trimtab.study.executors.live import run_plan
from trimtab.study.options import Options

_FEW = 500
"""Requests below which a 99th percentile is nearly the largest value."""


def measure_capacity(
    target: str,
    options: Options,
    count: int,
    requests: int,
    folder: Path | None,
    *,
    resume: bool,
) -> dict[str, Any]:
    """Find the capacity of one target over some starts, and try its lower bound."""
    assert options.slo is not None
    require_place(folder, resume=resume)
    session, one = open_target(target, options, say)
    measured = announce(session)
    asked = capacity.CapacityQuestion(parse_slo(options.slo), session.workload, requests)
    question = blocks.question(session, (one,), kind="capacity", requests=requests)
    with open_measurement(question, folder, capacity.NAME, resume=resume) as place:
        say(precision.bound_forecast(session.noise, count, requests))
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
    return {
        "measures": measured,
        **_answer(target, asked, capacity.conclude(made), made),
        "notes": [*session.caveats, *blocks.repeat_notes(made)],
    }


def _tried(starts: Sequence[Start], name: str) -> bool:
    """Whether a bound was tried, on a start of the target of that name."""
    return any(
        capacity.VERIFIED in start.metrics and start.request.stem == f"1:{name}"
        for start in starts
        if start.valid
    )


def _with(starts: Sequence[Start], metric: str) -> int:
    return sum(metric in start.metrics for start in starts if start.valid)


def measure_url_capacity(url: str, options: Options, requests: int) -> dict[str, Any]:
    """Find the capacity of a server that runs already: one start, so no bound.

    Raises:
        LoadFailedError: it cannot be measured.
    """
    assert options.slo is not None
    workload = load_workload(options.workload or "mixed-small")
    asked = capacity.CapacityQuestion(parse_slo(options.slo), workload, requests)
    live = RemoteServer(url, options)
    measured = live.announce(workload)
    found = capacity.search(asked, live.run, options.seed)
    if found.failed or found.capacity is None:
        void = sorted({reason for window in found.windows for reason in window.void})
        raise LoadFailedError(f"{url} cannot be measured: {found.failed or '; '.join(void)}")
    only = capacity.Capacity(found.capacity, None, (found.capacity,), None)
    return {
        "measures": measured,
        **_answer(url, asked, only, ()),
        "probe_e2e": _length(found.capacity, [found.windows]),
        "probes": [_probes(found.windows)],
        "notes": [],
    }


def _answer(
    target: str,
    asked: capacity.CapacityQuestion,
    found: capacity.Capacity,
    starts: Sequence[Start],
) -> dict[str, Any]:
    return {
        "target": target,
        "slo": str(asked.slo),
        "requests": asked.requests,
        "capacity": found.value,
        "low": found.low,
        "verified": found.verified,
        "each": list(found.each),
        "starts": len(starts) or 1,
        "probe_e2e": _length(found.value, [start.windows for start in starts if start.valid]),
        "probes": [
            _probes(start.windows)
            for start in starts
            if start.valid and capacity.NAME in start.metrics
        ],
    }


def _length(found: float, starts: Sequence[Sequence[Window]]) -> float | None:
    """Return the shortest of the starts' probe lengths, in mean end-to-end times of a request."""
    each = [capacity.probe_length(windows, found) for windows in starts]
    return min((one for one in each if one is not None), default=None)


def _probes(windows: Sequence[Window]) -> list[dict[str, Any]]:
    return [
        {
            "rate": one.metrics["rate"],
            "margin": one.metrics["margin"],
            "requests": one.requests,
            "void": list(one.void),
            "e2e": one.metrics.get(capacity.LENGTH),
        }
        for one in windows
    ]


def show(found: Mapping[str, Any]) -> None:
    """Print a capacity for people."""
    console = terminal.console()
    console.print(f"{found['target']}: {_sentence(found)}", style="bold")
    console.print(f"SLO: {found['slo']}\n")
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
    for name in ("start", "requests/s", "probes, requests/s (x: SLO not met)"):
        table.add_column(name)
    for number, (value, probes) in enumerate(
        zip(found["each"], found["probes"], strict=True), start=1
    ):
        tried = sorted((one for one in probes if not one["void"]), key=lambda one: one["rate"])
        marks = [
            f"{formatting.number(one['rate'])}{'x' if one['margin'] > 0 else ''}" for one in tried
        ]
        table.add_row(str(number), formatting.number(value), " ".join(marks))
    console.print(table)
    console.print(_lasted(found["probe_e2e"], found["requests"]))
    console.print()
    if "p99" in found["slo"] and found["requests"] < _FEW:
        console.print(
            f"Each probe had {found['requests']} requests: a p99 of so few is nearly the largest "
            "value. --requests 1000 makes it a percentile."
        )
    for note in found["notes"]:
        console.print(f"note: {note}")


def _lasted(length: float | None, requests: int) -> str:
    """Say how long the deciding probes were beside a request, and what a short one means."""
    if length is None:
        return "How long a probe was beside a request is not known."
    many = formatting.number(length)
    said = f"The probes near the capacity lasted {many} times the end-to-end time (E2E)"
    if length >= capacity.LONG_ENOUGH:
        return f"{said}."
    more = math.ceil(requests * capacity.LONG_ENOUGH / max(length, 0.1) / 100) * 100
    return (
        f"warning: {said}. Below {capacity.LONG_ENOUGH:.0f} the queue may not have settled, and "
        f"capacity and bound are then too high: repeat with --requests {more}."
    )


def _sentence(found: Mapping[str, Any]) -> str:
    value = f"capacity {formatting.number(found['capacity'])} requests/s"
    if found["low"] is None:
        return f"{value}; no bound from {no_interval_reason(len(found['each']))}"
    low = formatting.number(found["low"])
    tried = (
        "met in fresh windows" if found["verified"] else "NOT met in fresh windows: promise less"
    )
    return f"{value}; at least {low} (95 % bound over {len(found['each'])} starts; {tried})"
