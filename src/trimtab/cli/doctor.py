"""``trimtab doctor``: what every tuning is on this machine, or in a running server."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from trimtab import engines
from trimtab.cli import terminal
from trimtab.cli.oracle_findings import OracleOption, machine_findings
from trimtab.cli.render import entries as report
from trimtab.cli.render.doctor import Layout, show
from trimtab.diagnosis import inspection
from trimtab.diagnosis.inspection import Diagnosis
from trimtab.errors import UsageError
from trimtab.host import LocalHost
from trimtab.linter.context import parse_context
from trimtab.profiles.profile import read_profile
from trimtab.run import messages as told
from trimtab.server.live_server import LiveServer
from trimtab.verification.checks import refutations, verify

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
    if profile is not None:
        if pid is None:
            raise UsageError("--profile needs --pid: the server in which to verify it")
        _verify(pid, profile, log, as_json=as_json)
        return
    if snapshot is not None and (pid is not None or capture is not None):
        raise UsageError("--snapshot shows a captured machine: leave --pid and --capture out")
    if image and (pid is not None or snapshot is not None):
        raise UsageError("--image shows what an image bakes in: leave --pid and --snapshot out")
    situation = parse_context(context)
    if image:
        view = inspection.view_of_image(image, situation)
    else:
        view = inspection.view(situation, pid, log, python, snapshot, capture)
    found = inspection.diagnose(view, layer)
    if oracle:
        found = replace(found, findings=(*found.findings, *machine_findings(view)))
    if as_json:
        terminal.print_json(found.as_data())
    else:
        _print(found, everything=everything, wide=wide)
    if found.has_trouble:
        raise typer.Exit(1)


def _print(found: Diagnosis, *, everything: bool, wide: bool) -> None:

    console = terminal.console(soft_wrap=True)
    layout = Layout(
        width=console.width if console.is_terminal and not wide else 0,
        tabs=not console.is_terminal,
        everything=everything or terminal.is_verbose(),
        brief=terminal.is_quiet(),
    )
    show(found.view, found.rows, found.findings, found.differences, console, layout)


def _verify(pid: int, profile: Path, log: Path | None, *, as_json: bool) -> None:
    """Verify the server under ``pid`` against ``profile``, and print the evidence."""
    wanted = read_profile(profile)
    server = LiveServer(pid, engines.observer(wanted.engine.name), log)
    for sentence in server.unread if wanted.plan.checks else ():
        terminal.say(sentence)
    evidence = verify(wanted.plan, server, LocalHost())
    if as_json:
        terminal.print_json({"evidence": [asdict(one) for one in evidence]})
    else:
        if evidence:
            report.show(evidence, terminal.console())
        else:
            typer.echo(told.verdict(wanted.name, wanted.plan, evidence))
    if refutations(evidence):
        raise typer.Exit(1)
