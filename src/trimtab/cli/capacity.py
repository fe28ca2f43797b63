"""``trimtab capacity``: the highest rate that meets an SLO."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.table import Table

from trimtab import formatting
from trimtab.cli import dry_run as intention
from trimtab.cli import terminal
from trimtab.cli.conventions import (
    BaselineCommand,
    BaselineFile,
    Demo,
    DeviceTime,
    DryRun,
    Engine,
    EnginePython,
    Folder,
    Insecure,
    Json,
    Model,
    Noise,
    Resume,
    Seed,
    SharedHost,
    StartDeadline,
    Target,
    Url,
    Workload,
)
from trimtab.measurement.capacity import LONG_ENOUGH, measure_capacity, measure_url_capacity
from trimtab.measurement.remote_server import server_address
from trimtab.stats.sequential import no_interval_reason
from trimtab.study.options import Options

_HELP = """Find the highest request rate at which a target meets its SLO: a profile, a file with a
vllm command, or a preset ('stock').

trimtab probes each start at a dozen rates of Poisson arrivals. The capacity is the rate at which
the margin to the SLO crosses zero. Its lower bound over starts (95 %, one-sided) is tried on one
more start. Both are too high if the probes are short beside a request; the output warns of it.
--url probes a server that runs already: that is one start, so there is no bound.

Examples:

  trimtab capacity profile.proven.yaml --slo 'ttft_p99<=500ms,tpot_p99<=50ms'

  trimtab capacity --slo 'ttft_p99<=500ms' -- vllm serve /models/qwen3

  trimtab capacity --slo 'e2e_p90<=3s' --workload chat --requests 1000 --json

  trimtab capacity --url http://127.0.0.1:8000 --slo 'ttft_p99<=500ms'
"""


def register(root: typer.Typer) -> None:
    """Add the command to the application."""
    root.command("capacity", help=_HELP)(capacity)


def capacity(
    slo: Annotated[str, typer.Option(help="Such as 'ttft_p99<=500ms,tpot_p99<=50ms'.")],
    target: Target = "stock",
    baseline_command: BaselineCommand = None,
    url: Url = None,
    insecure: Insecure = False,
    starts: Annotated[int, typer.Option(min=1, max=100, help="Starts to search on.")] = 4,
    requests: Annotated[
        int, typer.Option(min=20, max=100_000, help="Requests of a probe; 1000 for a p99.")
    ] = 200,
    workload: Workload = None,
    noise: Noise = None,
    start_deadline: StartDeadline = 600.0,
    demo: Demo = False,
    baseline: BaselineFile = None,
    model: Model = None,
    engine: Engine = None,
    engine_python: EnginePython = None,
    shared_host: SharedHost = False,
    device_time: DeviceTime = None,
    seed: Seed = 0,
    folder: Folder = None,
    dry_run: DryRun = False,
    resume: Resume = False,
    as_json: Json = False,
) -> None:
    """Search, print, and keep everything in a folder."""
    options = Options(
        demo=demo,
        baseline=tuple(baseline_command or ()),
        baseline_file=baseline,
        model=model,
        engine=engine,
        engine_python=engine_python,
        workload=workload,
        slo=slo,
        noise=noise,
        start_deadline=start_deadline,
        seed=seed,
        shared_host=shared_host,
        device_time=device_time,
    )
    address = server_address(url, options, target, insecure=insecure, resume=resume)
    if dry_run:
        intention.show(
            intention.planned_capacity(address, target, options, starts, requests, resume=resume),
            as_json=as_json,
        )
        return
    if address is not None:
        result = measure_url_capacity(address, options, requests, terminal.say)
    else:
        result = measure_capacity(
            target,
            options,
            starts,
            requests,
            folder,
            resume=resume,
            reporter=terminal.reporter(),
        )
    if as_json:
        terminal.print_json(result.as_data())
    else:
        show(result.as_data())


_FEW = 500
"""Requests below which a 99th percentile is nearly the largest value."""


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
        tried = sorted(
            (probe for probe in probes if not probe["void"]), key=lambda one: one["rate"]
        )
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
    if length >= LONG_ENOUGH:
        return f"{said}."
    more = math.ceil(requests * LONG_ENOUGH / max(length, 0.1) / 100) * 100
    return (
        f"warning: {said}. Below {LONG_ENOUGH:.0f} the queue may not have settled, and "
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
