"""``trimtab bench``: measure one target, with an interval over its starts."""

from __future__ import annotations

from typing import Annotated

import typer

from trimtab.cli import dry_run as intention
from trimtab.cli import measurement_tables, terminal
from trimtab.cli.conventions import (
    AllowHost,
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
    SloOption,
    StartDeadline,
    Target,
    Url,
    Windows,
    Workload,
)
from trimtab.measurement import remote_server, runs
from trimtab.measurement.remote_server import server_address
from trimtab.study.options import Options

_HELP = """Measure one target under a workload: a profile, a file with a vllm command, or a
preset ('stock', 'guide-v2', 'image-a2': docs/presets.md).

Each start is a fresh server with new requests, verified before it is measured. The interval is
over starts, because windows and requests of one start share its luck. --url measures a server that
runs already: that is one start, so there is no interval.

Examples:

  trimtab bench profile.proven.yaml --starts 5

  trimtab bench -- vllm serve /models/qwen3 --max-num-seqs 64

  trimtab bench serve.sh --workload chat --slo 'ttft_p99<=500ms' --json

  trimtab bench --url http://127.0.0.1:8000 --workload chat
"""


def register(root: typer.Typer) -> None:
    """Add the command to the application."""
    root.command("bench", help=_HELP)(bench)


def bench(
    target: Target = "stock",
    baseline_command: BaselineCommand = None,
    url: Url = None,
    insecure: Insecure = False,
    starts: Annotated[int, typer.Option(min=1, max=100, help="Starts to make.")] = 4,
    workload: Workload = None,
    slo: SloOption = None,
    windows: Windows = None,
    noise: Noise = None,
    start_deadline: StartDeadline = 600.0,
    demo: Demo = False,
    baseline: BaselineFile = None,
    model: Model = None,
    engine: Engine = None,
    engine_python: EnginePython = None,
    allow_host: AllowHost = False,
    shared_host: SharedHost = False,
    device_time: DeviceTime = None,
    seed: Seed = 0,
    folder: Folder = None,
    dry_run: DryRun = False,
    resume: Resume = False,
    as_json: Json = False,
) -> None:
    """Measure, print, and keep everything in a folder."""
    options = Options(
        demo=demo,
        baseline=tuple(baseline_command or ()),
        baseline_file=baseline,
        model=model,
        engine=engine,
        engine_python=engine_python,
        workload=workload,
        slo=slo,
        windows=windows,
        noise=noise,
        start_deadline=start_deadline,
        seed=seed,
        allow_host=allow_host,
        shared_host=shared_host,
        device_time=device_time,
    )
    address = server_address(url, options, target, insecure=insecure, resume=resume)
    if dry_run:
        intention.show(
            intention.planned_bench(address, target, options, starts, resume=resume),
            as_json=as_json,
        )
        return
    if address is not None:
        result = remote_server.measure_url(address, options, terminal.say)
    else:
        result = runs.measure_starts(
            target, options, starts, folder, resume=resume, reporter=terminal.reporter()
        )
    if as_json:
        terminal.print_json(result.as_data())
    else:
        measurement_tables.show(result.as_data())
