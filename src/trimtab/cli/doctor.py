"""``trimtab doctor``: what every tuning is on this machine, or in a running server."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from trimtab.cli import terminal
from trimtab.cli.oracle_findings import OracleOption

if TYPE_CHECKING:
    from trimtab.diagnosis import DiagnosisView, TuningDiagnosis
    from trimtab.model.finding import Finding
    from trimtab.model.situation import Situation

Diagnosis: TypeAlias = "tuple[tuple[TuningDiagnosis, ...], tuple[Finding, ...], tuple[str, ...]]"
"""Rows, findings that belong to no row, and how the processes of a server differ."""

_HELP = """Report the state of every tuning: active, wrong, in conflict, or without effect.

Without --pid: the machine, and what a server started from this environment would get. With --pid:
a running server, process by process. With --pid and --profile: whether the profile is in effect.

doctor only reads, needs no root and takes a few seconds. If it cannot read something, it prints
the reason. --oracle also asks torch_npu and vllm-ascend what they do with the Ascend settings
found, over an emulated chip; that takes longer.

Examples: trimtab doctor; trimtab doctor --pid 4242; trimtab doctor --snapshot captured/;
trimtab doctor --pid 4242 --profile profile.proven.yaml
"""


def register(root: typer.Typer) -> None:
    """Add the command to the application."""
    root.command("doctor", help=_HELP)(doctor)


def doctor(
    pid: Annotated[
        int | None, typer.Option(help="Process id of a running server's first process.")
    ] = None,
    profile: Annotated[
        Path | None, typer.Option(help="With --pid: verify that this profile is in effect.")
    ] = None,
    log: Annotated[
        Path | None,
        typer.Option(help="The engine's log. [default: where its output goes, if to a file]"),
    ] = None,
    python: Annotated[
        str | None,
        typer.Option(help="The server's interpreter. [default: that of vllm on PATH]"),
    ] = None,
    snapshot: Annotated[
        Path | None, typer.Option(help="Look at a captured machine instead of this one.")
    ] = None,
    image: Annotated[
        str, typer.Option(help="Look at what this image bakes in, instead of this environment.")
    ] = "",
    capture: Annotated[
        Path | None, typer.Option(help="Save all that doctor reads to this new folder.")
    ] = None,
    context: Annotated[
        str, typer.Option(help="Facts that the machine does not show: graphs=on,hosts=2 ...")
    ] = "",
    layer: Annotated[str, typer.Option(help="Only this layer's tunings.")] = "",
    everything: Annotated[
        bool, typer.Option("--all", help="Print every row, stock and not applicable ones too.")
    ] = False,
    wide: Annotated[
        bool, typer.Option("--wide", help="One line for each row, as long as it is.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    oracle: OracleOption = False,
) -> None:
    """Diagnose, print, and set the exit code."""
    from trimtab.diagnosis import table
    from trimtab.errors import UsageError
    from trimtab.lint.context import parse_context

    if profile is not None:
        if pid is None:
            raise UsageError("--profile needs --pid: the server in which to verify it")
        _verify(pid, profile, log, as_json=as_json)
        return
    if snapshot is not None and (pid is not None or capture is not None):
        raise UsageError("--snapshot shows a captured machine: leave --pid and --capture out")
    if image and (pid is not None or snapshot is not None):
        raise UsageError("--image shows what an image bakes in: leave --pid and --snapshot out")
    if image:
        view = _of_image(image, parse_context(context))
    else:
        view = _view(pid, log, python, snapshot, capture, parse_context(context))
    found = _diagnosed(view, layer, oracle=oracle)
    if as_json:
        from trimtab.cli.render import doctor as report

        terminal.print_json(report.as_data(view, *found))
    else:
        _print(view, found, everything=everything, wide=wide)
    rows, findings, _ = found
    if table.has_trouble(rows, findings):
        raise typer.Exit(1)


def _view(
    pid: int | None,
    log: Path | None,
    python: str | None,
    snapshot: Path | None,
    capture: Path | None,
    told: Situation,
) -> DiagnosisView:
    from trimtab.diagnosis import machine
    from trimtab.diagnosis.capture import RecordingHost
    from trimtab.host import Host, LocalHost, open_snapshot
    from trimtab.storage import user_files

    host: Host = LocalHost() if snapshot is None else open_snapshot(snapshot)
    if capture is not None:
        host = RecordingHost(host, capture)
    local = snapshot is None
    if python is not None and local:
        user_files.require_program("--python", python)
    if pid is not None and python is None:
        python = _interpreter_of(pid)
    environment = machine.find_environment(host, python, local=local)
    env = dict(os.environ) if local and pid is None else {}
    view = machine.view(host, env, environment, local=local, told=told)
    return view if pid is None else _live(view, pid, log)


def _of_image(name: str, told: Situation) -> DiagnosisView:
    """Return the view of what a container of an image would be given on this machine."""
    from trimtab.diagnosis import machine
    from trimtab.errors import UsageError
    from trimtab.facts import container as image
    from trimtab.host import LocalHost
    from trimtab.lint.images import image_situation
    from trimtab.lint.scenes import merge_situations

    host = LocalHost()
    found = image.read_image(host, name)
    if found.value is None:
        raise UsageError(f"--image {name} must be an image that docker has: {found.reason}")
    known = merge_situations(told, image_situation(name))
    nowhere = machine.PythonEnvironment("", {})
    return machine.view(host, found.value.env, nowhere, local=False, told=known)


def _interpreter_of(pid: int) -> str | None:
    """Return the interpreter that a process was started with: it names the environment."""
    from trimtab.processes import procfs

    words = procfs.cmdline(pid)
    return words[0] if words and Path(words[0]).name.startswith("python") else None


def _live(machine: DiagnosisView, pid: int, log: Path | None) -> DiagnosisView:
    from trimtab import engines
    from trimtab.diagnosis import live_process
    from trimtab.errors import UsageError
    from trimtab.host import LocalHost
    from trimtab.server.live_server import LiveServer

    server = LiveServer(pid, engines.observer("vllm"), log)
    tree = server.processes()
    if not any(one.role in live_process.SERVING for one in tree):
        raise UsageError(f"--pid {pid} is no vLLM server, and has none below it")
    seen = live_process.view(machine, LocalHost(), tree, server.reported_config, server.url or "")
    return replace(seen, unread=(*seen.unread, *server.unread))


def _diagnosed(view: DiagnosisView, layer: str, *, oracle: bool) -> Diagnosis:
    """Return the rows of a layer ("" for all), the findings of none, and how processes differ."""
    from trimtab import diagnosis
    from trimtab.diagnosis import live_process, table
    from trimtab.errors import UsageError
    from trimtab.lint.serving_variables import is_serving_variable

    found = diagnosis.rows(view)
    layers = sorted({row.layer for row in found})
    if layer and layer not in layers:
        raise UsageError(f"--layer must be one of {', '.join(layers)}, not {layer!r}")
    findings = () if layer else table.unowned_findings(view)
    if oracle:
        from trimtab.cli.oracle_findings import machine_findings

        findings = (*findings, *machine_findings(view))
    rows = tuple(row for row in found if not layer or row.layer == layer)
    return rows, findings, live_process.differences(view.processes, is_serving_variable)


def _print(view: DiagnosisView, found: Diagnosis, *, everything: bool, wide: bool) -> None:
    from trimtab.cli.render.doctor import Layout, show

    console = terminal.console(soft_wrap=True)
    layout = Layout(
        width=console.width if console.is_terminal and not wide else 0,
        tabs=not console.is_terminal,
        everything=everything or terminal.is_verbose(),
        brief=terminal.is_quiet(),
    )
    show(view, *found, console, layout)


def _verify(pid: int, profile: Path, log: Path | None, *, as_json: bool) -> None:
    """Verify the server under ``pid`` against ``profile``, and print the evidence."""
    from trimtab import engines
    from trimtab.host import LocalHost
    from trimtab.profiles.profile import read_profile
    from trimtab.run import messages as told
    from trimtab.server.live_server import LiveServer
    from trimtab.verification.checks import refutations, verify

    wanted = read_profile(profile)
    server = LiveServer(pid, engines.observer(wanted.engine.name), log)
    for sentence in server.unread if wanted.plan.checks else ():
        terminal.say(sentence)
    evidence = verify(wanted.plan, server, LocalHost())
    if as_json:
        terminal.print_json({"evidence": [asdict(one) for one in evidence]})
    else:
        from trimtab.cli.render import entries as report

        if evidence:
            report.show(evidence, terminal.console())
        else:
            typer.echo(told.verdict(wanted.name, wanted.plan, evidence))
    if refutations(evidence):
        raise typer.Exit(1)
