"""``trimtab bench``: measure one target, with an interval over its starts."""

from __future__ import annotations

from typing import Annotated

import typer

from trimtab.commands.shared import (
    AllowHost,
    DeviceTime,
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

_HELP = """Measure one target under a workload: a profile, a file with a vllm command, or a
preset ('stock', 'guide-v2', 'image-a2': docs/presets.md).

Each start is a fresh server with new requests, verified before it is measured; the interval is
over starts, because windows and requests of one start share its luck. With --url a server that
runs already is measured: that is one start, so there is no interval.

Examples:

  trimtab bench profile.proven.yaml --starts 5

  trimtab bench serve.sh --workload chat --slo 'ttft_p99<=500ms' --json

  trimtab bench --url http://127.0.0.1:8000 --workload chat
"""


def register(root: typer.Typer) -> None:
    """Add the command to the application."""
    root.command("bench", help=_HELP)(bench)


def bench(
    target: Target = "stock",
    url: Url = None,
    insecure: Insecure = False,
    starts: Annotated[int, typer.Option(min=1, max=100, help="Starts to make.")] = 4,
    workload: Workload = None,
    slo: SloOption = None,
    windows: Windows = None,
    noise: Noise = None,
    start_deadline: StartDeadline = 600.0,
    model: Model = None,
    engine: Engine = None,
    engine_python: EnginePython = None,
    allow_host: AllowHost = False,
    shared_host: SharedHost = False,
    device_time: DeviceTime = None,
    seed: Seed = 0,
    folder: Folder = None,
    resume: Resume = False,
    as_json: Json = False,
) -> None:
    """Measure, print, and keep everything in a folder."""
    from trimtab.commands import live_server, measured, measuring, terminal
    from trimtab.commands.live_server import reached
    from trimtab.errors import UsageError
    from trimtab.question import Options

    options = Options(
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
    if insecure and url is None:
        raise UsageError("--insecure goes with an https --url: leave it out")
    if url is not None:
        if target != "stock" or resume:
            raise UsageError(
                "--url measures a server that runs: leave the target and --resume out"
            )
        found = live_server.of_url(reached(url, insecure=insecure), options)
    else:
        found = measuring.of_starts(target, options, starts, folder, resume=resume)
    if as_json:
        terminal.answer(found)
    else:
        measured.show(found)
