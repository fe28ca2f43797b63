"""``trimtab compare``: two targets against each other, until it is clear or time is up."""

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
    Json,
    Model,
    Noise,
    Resume,
    Seed,
    SharedHost,
    SloOption,
    StartDeadline,
    Windows,
    Workload,
)
from trimtab.measurement import runs
from trimtab.study.options import Options

_HELP = """Compare B with A: profiles, files with a vllm command, tuning=value, or presets.

Makes pairs of fresh starts in alternating order (ABBA), both with the same requests, and looks
after 4, 6, 8 and 12 pairs, at levels that keep the error of all looks together at 5 %. It ends
with better, worse, equivalent (the interval lies within the margin), or not proven.

Examples:

  trimtab compare stock profile.proven.yaml

  trimtab compare stock guide-v2

  trimtab compare stock eager=True -- vllm serve /models/qwen3

  trimtab compare today.sh tomorrow.sh --margin 2% --objective request_throughput

  trimtab compare stock interpreter=3.11.2-pgo-lto
"""


def register(root: typer.Typer) -> None:
    """Add the command to the application."""
    root.command("compare", help=_HELP)(compare)


def compare(
    first: Annotated[str, typer.Argument(metavar="A", help="A profile, a file, or a preset.")],
    second: Annotated[str, typer.Argument(metavar="B", help="The target to compare with A.")],
    baseline_command: BaselineCommand = None,
    margin: Annotated[
        str, typer.Option(help="Within this, two are equivalent: 1%, or 0.01.")
    ] = "1%",
    pairs: Annotated[int, typer.Option(min=2, max=12, help="Pairs at most.")] = 12,
    objective: Annotated[str, typer.Option(help="The metric that decides.")] = "output_throughput",
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
    """Compare, print, and keep everything in a folder."""
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
        objective=objective,
        seed=seed,
        allow_host=allow_host,
        shared_host=shared_host,
        device_time=device_time,
    )
    if dry_run:
        intention.show(
            intention.planned_compare((first, second), options, margin, pairs, resume=resume),
            as_json=as_json,
        )
        return
    result = runs.measure_pairs(
        (first, second),
        options,
        margin,
        pairs,
        folder,
        resume=resume,
        reporter=terminal.reporter(),
    )
    if as_json:
        terminal.print_json(result.as_data())
    else:
        measurement_tables.show(result.as_data())
