"""``trimtab oracle``: ask the vendors' own code what a setting does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trimtab.cli import terminal
from trimtab.emulator.machine import EmulatedMachine
from trimtab.errors import EngineError, UsageError
from trimtab.facts.parsing import format_cpu_list
from trimtab.host import LocalHost, open_snapshot
from trimtab.linter import read
from trimtab.linter.launch_files import text_of
from trimtab.model.document import Document
from trimtab.oracle import LABEL, binding, vendor
from trimtab.oracle import output as show
from trimtab.oracle import settings as gather
from trimtab.oracle.audit import table
from trimtab.oracle.model import (
    TORCH_NPU,
    VLLM_ASCEND,
    OracleReply,
    OracleSettings,
    SkippedSetting,
)
from trimtab.oracle.oracle import Oracle
from trimtab.profiles.profile import read_profile
from trimtab.storage import atomic_files

app = typer.Typer(help="Ask the vendors' own code what a setting does.", no_args_is_help=True)

_CHECK_HELP = """Ask torch_npu and vllm-ascend themselves what they do with settings.

The installed wheels run with the settings in their environment, over an emulated chip: no NPU is
used, and speed is not measured. Each setting is tried alone, then all together. The code accepts a
value, refuses it with its own message, silently reads it as another one, or never asks for it.
Paths of software are left out; values of a --file that are unknown before it runs are listed on
standard error.

A setting is NAME=VALUE: a variable, a tuning's name, or one of the options --additional-config and
--compilation-config. --enforce-eager, --enable-sleep-mode, --enable-expert-parallel and
--tensor-, --pipeline- and --data-parallel-size=N are given to every check. The
oracle runs a small dense model, so it ignores refusals that depend on the model. About 5 seconds.

Examples: trimtab oracle check --setting TASK_QUEUE_ENABLE=2 --graph;
trimtab oracle check --file serve.sh --json
"""


_TABLE_HELP = """Compare what the catalogue says of torch_npu and vllm-ascend with their own code.

Prints a page of Markdown: each text that was tried, what lint foresees of it, and what the code
did. About three minutes on two cores.

Example: trimtab oracle table --output docs/oracle.md
"""


_BINDING_HELP = """Ask vllm-ascend which CPUs it would bind the threads of its workers to.

vllm-ascend's code plans from the answers of npu-smi and the kernel on this machine, or on a
captured one. Nothing is bound.

Example: trimtab oracle binding --snapshot captured/ --chip A3 --workers 16
"""


def register(root: typer.Typer) -> None:
    """Add the command group to the application."""
    root.add_typer(app, name="oracle")


@app.callback()
def _group() -> None:
    pass


@app.command("check", help=_CHECK_HELP)
def check(
    setting: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE; may be given several times.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="The settings of a launch file, as lint reads it.")
    ] = None,
    profile: Annotated[Path | None, typer.Option(help="The settings of a profile.")] = None,
    torch_npu: Annotated[
        str, typer.Option(help="Ask this version. [default: the emulator's]")
    ] = "",
    chip: Annotated[str, typer.Option(help="A2, A3, 310P, 950, or a chip: 910B4 ...")] = "A2",
    graph: Annotated[
        bool,
        typer.Option("--graph", help="Capture a graph too. [a file's: unless --enforce-eager]"),
    ] = False,
    through: Annotated[
        str, typer.Option(help="Ask only torch_npu, or only vllm-ascend. [default: both]")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Ask about settings and print the answers."""
    if through not in ("", TORCH_NPU, VLLM_ASCEND):
        raise UsageError(f"--through must be {TORCH_NPU} or {VLLM_ASCEND}, but is {through!r}")
    document = None if file is None else _document(file)
    left_out = _left_out(document)
    groups = _groups(setting or [], document, profile, graph=graph)
    machine = EmulatedMachine(chip=vendor.chip(chip))
    try:
        replies = _ask(vendor.interpreter(torch_npu), machine, through, groups)
    except EngineError as error:  # 1 would say that something is not taken as written
        raise UsageError(str(error)) from error
    if as_json:
        terminal.print_json(show.as_data(replies, left_out))
    else:
        for line in (line for reply in replies for line in show.lines(reply)):
            terminal.print_line(line.lstrip(), line[: len(line) - len(line.lstrip())])
    if any(reply.failed for reply in replies):
        raise typer.Exit(1)


@app.command("binding", help=_BINDING_HELP)
def binding_plan(
    snapshot: Annotated[
        Path | None,
        typer.Option(help="A captured machine (doctor --capture). [default: this one]"),
    ] = None,
    chip: Annotated[str, typer.Option(help="A2, A3, 310P, 950, or a chip: 910B4 ...")] = "A2",
    workers: Annotated[int, typer.Option(min=1, max=64, help="NPUs that have a worker.")] = 8,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Plan the binding of CPUs and print it."""
    host = LocalHost() if snapshot is None else open_snapshot(snapshot)
    machine = EmulatedMachine(chip=vendor.chip(chip))
    plan = binding.plan(vendor.interpreter(), host, machine, workers)
    if as_json:
        told = {"label": LABEL, "chip": machine.chip, "npus": plan.npus, "note": plan.note}
        terminal.print_json(told)
        return
    terminal.print_line(f"{LABEL}: vllm-ascend's own plan, chip {machine.chip}")
    for npu, roles in plan.npus.items():
        bound = (f"{role} {format_cpu_list(tuple(cpus))}" for role, cpus in roles.items() if cpus)
        terminal.print_line(f"NPU {npu}: {', '.join(bound)}")
    if plan.note:
        terminal.print_line(plan.note)


@app.command("table", help=_TABLE_HELP)
def table_page(
    output: Annotated[
        Path | None, typer.Option(help="Write the page to this file. [default: print it]")
    ] = None,
) -> None:
    """Print the page of everything that was asked."""
    if output is not None:
        atomic_files.require_place("--output", output)
    python = vendor.interpreter()
    found = {layer: list(table.rows(python, layer)) for layer in table.KINDS}
    outcomes = list(table.outcomes(python))
    page = table.page(found, outcomes)
    if output is None:
        typer.echo(page, nl=False)
    else:
        output.write_text(page, encoding="utf-8")
    wrong = [row.probe.given.place for rows in found.values() for row in rows if not row.agrees]
    wrong += [
        outcome.case.words for outcome in outcomes if outcome.outcome != outcome.case.outcome
    ]
    for place in wrong:
        terminal.warn(f"{place}: lint and the code differ")
    if wrong:
        raise typer.Exit(1)


def _ask(
    python: Path, machine: EmulatedMachine, through: str, groups: list[tuple[OracleSettings, bool]]
) -> list[OracleReply]:

    with Oracle(python, machine, through=(through,) if through else ()) as oracle:
        return [oracle.ask(givens, graph=graph) for givens, graph in groups]


def _groups(
    settings: list[str], document: Document | None, profile: Path | None, *, graph: bool
) -> list[tuple[OracleSettings, bool]]:
    """Return the settings to ask about, and whether a graph is captured: one for each launch."""
    typed = gather.parse_settings(settings)
    whole = [] if document is None else gather.document_settings(document)
    if profile is not None:
        whole.append(_of_profile(profile))
    groups = [(typed, graph)] if gather.asks(typed) else []
    groups += [
        (settings, graph or gather.captures_graphs(settings)) for settings in whole if settings
    ]
    if not groups:
        raise UsageError(
            "nothing to ask: give --setting NAME=VALUE, or a --file or --profile that sets "
            "something of torch_npu's or vllm-ascend's"
        )
    return groups


def _of_profile(path: Path) -> OracleSettings:

    return gather.plan_settings(read_profile(path).plan.settings)


def _left_out(document: Document | None) -> list[SkippedSetting]:
    """Return which settings of a file are not asked about, and say so on standard error."""
    settings = [] if document is None else gather.skipped_settings(document)
    for setting in settings:
        terminal.warn(f"not asked: {setting.given.place}: {setting.why}")
    return settings


def _document(path: Path) -> Document:

    return read(str(path), text_of(path))
