"""``trimtab oracle``: ask the vendors' own code what a setting does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from trimtab.model.script import Document
    from trimtab.oracle.model import Given

app = typer.Typer(help="Ask the vendors' own code what a setting does.", no_args_is_help=True)

_CHECK_HELP = """Ask torch_npu and vllm-ascend themselves what they do with settings.

The installed wheels run with the settings in their environment, over a stand-in for CANN: no NPU
is used, and nothing is said about speed. Each setting is tried alone, then all together. The
answer is what the code does: it accepts the value, refuses it with its own message, silently reads
it as another one, or nothing asks for it.

A setting is NAME=VALUE: a variable, a tuning's name, or one of the options --additional-config and
--compilation-config. --enforce-eager, --enable-sleep-mode and --tensor-parallel-size=N are given
to every check. About 5 seconds for torch_npu, 20 for what vllm-ascend reads.

Exit code 0: everything is taken as written. 1: something is not. 2: usage.

Examples: trimtab oracle check --setting TASK_QUEUE_ENABLE=2 --graph;
trimtab oracle check --file serve.sh --json
"""


_TABLE_HELP = """Put all that the catalogue says of torch_npu and vllm-ascend to their own code.

Prints a page of Markdown: each text that was tried, what lint foresees of it, and what the code
did. About three minutes on two cores.

Exit code 0: they agree. 1: they differ somewhere, or the vendors' code does not run. 2: usage.

Example: trimtab oracle table --output docs/oracle.md
"""


_BINDING_HELP = """Ask vllm-ascend which CPUs it would bind the threads of its workers to.

Its own code plans, from what npu-smi and the kernel say of this machine or of a captured one.
Nothing is bound.

Exit code 0: there is a plan. 1: vllm-ascend makes none; the message is its own. 2: usage.

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
        str, typer.Option(help="Ask this version. [default: the rehearsal's]")
    ] = "",
    chip: Annotated[str, typer.Option(help="A2, A3, 310P or 950.")] = "A2",
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
    from trimtab.errors import UsageError
    from trimtab.oracle import environment, gather, show
    from trimtab.oracle.model import TORCH_NPU, VLLM_ASCEND
    from trimtab.oracle.session import Oracle
    from trimtab.rehearsal.machine import StandIn

    if through not in ("", TORCH_NPU, VLLM_ASCEND):
        raise UsageError(f"--through must be {TORCH_NPU} or {VLLM_ASCEND}, but is {through!r}")
    groups = _groups(setting or [], file, profile)
    machine = StandIn(chip=environment.chip(chip))
    python = environment.interpreter(torch_npu)
    kinds = (through,) if through else ()
    with Oracle(python, machine, through=kinds) as oracle:
        whole = file is not None or profile is not None
        replies = [
            oracle.ask(givens, graph=graph or (whole and gather.captures(givens)))
            for givens in groups
        ]
    if as_json:
        typer.echo(json.dumps(show.as_data(replies), indent=1))
    else:
        typer.echo("\n".join(line for reply in replies for line in show.lines(reply)))
    if any(reply.failed for reply in replies):
        raise typer.Exit(1)


@app.command("binding", help=_BINDING_HELP)
def binding_plan(
    snapshot: Annotated[
        Path | None,
        typer.Option(help="A captured machine (doctor --capture). [default: this one]"),
    ] = None,
    chip: Annotated[str, typer.Option(help="A2, A3, 310P or 950.")] = "A2",
    workers: Annotated[int, typer.Option(min=1, max=64, help="NPUs that have a worker.")] = 8,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Plan the binding of CPUs and print it."""
    from trimtab.facts.text import format_cpu_list
    from trimtab.host import LocalHost, SnapshotHost
    from trimtab.oracle import LABEL, binding, environment
    from trimtab.rehearsal.machine import StandIn

    host = LocalHost() if snapshot is None else SnapshotHost(snapshot)
    machine = StandIn(chip=environment.chip(chip))
    found = binding.plan(environment.interpreter(), host, machine, workers)
    if as_json:
        typer.echo(json.dumps({"label": LABEL, "chip": machine.chip, "npus": found}, indent=1))
        return
    typer.echo(f"{LABEL}: vllm-ascend's own plan, chip {machine.chip}")
    for npu, roles in found.items():
        told = (f"{role} {format_cpu_list(tuple(cpus))}" for role, cpus in roles.items() if cpus)
        typer.echo(f"NPU {npu}: {', '.join(told)}")


@app.command("table", help=_TABLE_HELP)
def table_page(
    output: Annotated[
        Path | None, typer.Option(help="Write the page to this file. [default: print it]")
    ] = None,
) -> None:
    """Print the page of everything that was asked."""
    from trimtab.oracle import environment, table

    python = environment.interpreter()
    found = {layer: list(table.rows(python, layer)) for layer in table.KINDS}
    outcomes = list(table.outcomes(python))
    page = table.page(found, outcomes)
    if output is None:
        typer.echo(page, nl=False)
    else:
        output.write_text(page, encoding="utf-8")
    wrong = [row.probe.given.place for rows in found.values() for row in rows if not row.agrees]
    wrong += [one.case.words for one in outcomes if one.outcome != one.case.outcome]
    for place in wrong:
        typer.echo(f"{place}: lint and the code differ", err=True)
    if wrong:
        raise typer.Exit(1)


def _groups(
    settings: list[str], file: Path | None, profile: Path | None
) -> list[tuple[Given, ...]]:
    """Return the settings to ask about, one group for each launch."""
    from trimtab.errors import UsageError
    from trimtab.oracle import gather

    groups: list[tuple[Given, ...]] = []
    if settings:
        groups.append(tuple(gather.typed(one) for one in settings))
    if file is not None:
        groups += gather.of_document(_document(file))
    if profile is not None:
        from trimtab.profile import read_profile

        groups.append(gather.of_settings(read_profile(profile).plan.settings))
    groups = [one for one in groups if one]
    if not groups:
        raise UsageError(
            "nothing to ask: give --setting NAME=VALUE, or a --file or --profile that sets "
            "something of torch_npu's or vllm-ascend's"
        )
    return groups


def _document(path: Path) -> Document:
    from trimtab.commands.lint import text_of
    from trimtab.lint import read

    return read(str(path), text_of(path))
