"""``trimtab show``: what a study found, in full, or the evidence for one tuning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trimtab.cli import terminal
from trimtab.cli.conventions import Json
from trimtab.errors import UsageError
from trimtab.report import text
from trimtab.report.tuning_evidence import tuning_evidence as chain
from trimtab.study import artifacts
from trimtab.study.result_json import as_json as of_study

_HELP = """Print what a study found: its tables, or the evidence for one tuning.

Reads the study's folder and changes nothing. The study may be unfinished, or from another machine.

Examples:

  trimtab show my-study

  trimtab show my-study --why jemalloc

  trimtab show my-study --left-out
"""


def register(root: typer.Typer) -> None:
    """Add the command to the application."""
    root.command("show", help=_HELP)(show)


def show(
    study: Annotated[
        Path | None, typer.Argument(help="Study folder. [default: the newest]")
    ] = None,
    why: Annotated[
        str | None, typer.Option(help="Print the evidence for this tuning, start by start.")
    ] = None,
    left_out: Annotated[
        bool, typer.Option("--left-out", help="List the tunings that were not part of the study.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Read the study and print the part that is asked for."""
    if why is not None and left_out:
        raise UsageError("--why and --left-out print different things: name one of them")
    folder = artifacts.folder(study)
    found = artifacts.read(folder, terminal.say)
    if why is not None:
        evidence = chain(found, why)
        if as_json:
            terminal.print_json(evidence.data())
        else:
            typer.echo(evidence.text())
    elif as_json:
        terminal.print_json(of_study(found, folder))
    elif left_out:
        text.show_left_out(found, terminal.console())
    else:
        text.show(found, terminal.console())
