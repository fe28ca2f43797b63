"""``trimtab lint``: the traps in launch files, before anything runs."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from trimtab.cli import terminal
from trimtab.cli.oracle_findings import OracleOption, file_findings
from trimtab.errors import UsageError
from trimtab.formatting import styled_text
from trimtab.linter import fix, fix_trial, launch_files, parse_context
from trimtab.linter.output import Style, as_annotations, as_data, as_sarif, render
from trimtab.linter.report import FindingFilter, Report, report_on
from trimtab.model.document import Document
from trimtab.model.finding import Finding, Severity
from trimtab.model.situation import Situation
from trimtab.oracle import RULE as ORACLE

_HELP = """Find the traps in launch files, before anything runs.

Reads shell scripts, Dockerfiles, compose files, Kubernetes manifests, systemd units, Quadlet
files, .env files, sysctl files and the blocks of Markdown guides. Of a folder, it reads the
files whose names say so; '-' is standard input. It works out what each process would be given,
and reports what will be refused, misread, overwritten or without effect.

--oracle asks torch_npu and vllm-ascend themselves, over an emulated chip: no NPU is used. --preset
reads the settings of a preset, each in the line that it has in its source (docs/presets.md).

Example: trimtab lint serve.sh --context chip=A2,graphs=on,vllm-ascend=0.18
"""


def register(root: typer.Typer) -> None:
    """Add the command to the application."""
    root.command("lint", help=_HELP)(lint)


def lint(
    files: Annotated[
        list[str] | None, typer.Argument(help="Files or folders; '-' is standard input.")
    ] = None,
    preset: Annotated[
        list[str] | None, typer.Option(help="A preset, such as guide-v1 (repeatable).")
    ] = None,
    context: Annotated[
        str, typer.Option(help="Facts that the files do not hold: chip=A2,graphs=on,vllm=0.32 ...")
    ] = "",
    output: Annotated[str, typer.Option("--format", help="text, json, sarif or github.")] = "text",
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    fix: Annotated[
        bool, typer.Option("--fix", help="Show what can be fixed mechanically, then write it.")
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Print each info too; else they are counted by rule.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --fix: do not ask.")] = False,
    select: Annotated[
        list[str] | None, typer.Option(help="Only these rules (names or globs).")
    ] = None,
    ignore: Annotated[list[str] | None, typer.Option(help="Not these rules.")] = None,
    min_severity: Annotated[str, typer.Option(help="info, warning or error.")] = "info",
    stdin_filename: Annotated[
        str, typer.Option(help="The name that decides how standard input is read.")
    ] = "",
    oracle: OracleOption = False,
) -> None:
    """Lint ``files`` and print what is found."""
    if output not in {"text", "json", "sarif", "github"}:
        raise UsageError(f"--format must be text, json, sarif or github, not {output!r}")
    if min_severity not in tuple(Severity):
        raise UsageError(f"--min-severity must be info, warning or error, not {min_severity!r}")
    choice = FindingFilter(select or (), ignore or (), Severity(min_severity))
    situation = parse_context(context)
    if not files and not preset:
        raise UsageError("lint needs a file, a folder, '-', or --preset NAME")
    documents, trouble = launch_files.documents(files or [], stdin_filename)
    documents += launch_files.preset_documents(preset or [])
    others: dict[str, tuple[Finding, ...]] = {}
    if oracle and choice.has(ORACLE):
        others, missing = _asked(documents, situation)
        trouble += missing
    report = report_on(documents, situation, choice, others)
    report = fix_trial.with_fixable(report, documents, situation)
    for sentence in trouble:  # before the count, which it explains
        terminal.warn(sentence)
    _print(report, "json" if as_json else output, everything=everything or bool(select))
    if fix:
        _fix(documents, situation, choice, yes=yes)
    if trouble:
        raise typer.Exit(2)
    if report.failed:
        raise typer.Exit(1)


def _asked(
    documents: list[Document], situation: Situation
) -> tuple[dict[str, tuple[Finding, ...]], list[str]]:
    """Return what the oracle finds, by file; and a sentence where it cannot be asked."""
    try:
        return file_findings(documents, situation), []
    except UsageError as error:  # what the rules find is still worth printing
        return {}, [" ".join(str(error).split())]


def _print(report: Report, output: str, *, everything: bool) -> None:
    if output == "text":
        colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        width = _width()
        style = Style(colour, width, everything or terminal.is_verbose())
        typer.echo(styled_text(render(report, style)), nl=False)
    elif output == "json":
        terminal.print_json(as_data(report))
    elif output == "sarif":
        typer.echo(json.dumps(as_sarif(report), indent=1))
    else:
        typer.echo(as_annotations(report), nl=False)


def _width() -> int:
    """Return the columns of text; 0, no limit, in a pipe that names none."""
    if sys.stdout.isatty() or os.environ.get("COLUMNS"):
        return max(40, shutil.get_terminal_size().columns)
    return 0


def _fix(
    documents: list[Document], situation: Situation, choice: FindingFilter, *, yes: bool
) -> None:
    """Show the diff of the fixes, ask, write them, and say what is fixed and what remains."""
    check = fix_trial.finder(situation)
    planned = []
    for document in documents:
        path = Path(document.file)
        if not path.is_file():
            continue
        made = fix_trial.fix_all(document, check, choice.wants)
        if made.fixed and (why := fix.obstacle(path)):
            terminal.say(why)
        elif made.fixed:
            planned.append((path, document.text, made))
            typer.echo("\n".join(fix.diff(document.file, document.text, made.text)), err=True)
    if not planned:
        terminal.say("no finding can be fixed mechanically")
        return
    if not yes and not typer.confirm("write this?", err=True):
        return
    for path, before, made in planned:
        fix.write(path, before, made.text)
        terminal.say(f"{path}: {len(made.fixed)} fixed, {len(made.left)} left")
        for finding in made.fixed:
            terminal.say(f"  fixed {finding.rule}: {finding.setting}")
        for rule, count in Counter(finding.rule for finding in made.left).items():
            terminal.say(f"  left {rule}: {count}")
