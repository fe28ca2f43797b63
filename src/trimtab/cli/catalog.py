"""``trimtab catalog``: every tuning that trimtab knows."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import Annotated

import typer

from trimtab.catalog import CATALOG, Tuning, require_known, setters
from trimtab.cli import terminal
from trimtab.cli.render import catalog as report
from trimtab.errors import UsageError
from trimtab.model.platforms import PLATFORMS
from trimtab.rules import all_rules

_HELP = """List the tunings that trimtab knows, or explain some.

Without names: one line for each, filtered by --layer, --platform and --search. With names (or
globs): what each does, its values, when it applies, conflicts, traps, how it is verified, what was
published about it, and the sources.

Examples: trimtab catalog --layer hccl; trimtab catalog task-queue; trimtab catalog --json;
trimtab catalog --rules
"""


def register(root: typer.Typer) -> None:
    """Add the command to the application."""
    options = {"ignore_unknown_options": True}  # a name may be an option of a server
    root.command("catalog", help=_HELP, context_settings=options)(catalog)


def catalog(
    names: Annotated[
        list[str] | None, typer.Argument(help="Entries to explain; globs are allowed.")
    ] = None,
    layer: Annotated[str, typer.Option(help="Only this layer.")] = "",
    platform: Annotated[str, typer.Option(help="Only tunings for ascend, cuda or cpu.")] = "",
    search: Annotated[
        str, typer.Option(help="Only entries that hold this text in name, place or summary.")
    ] = "",
    studied: Annotated[bool, typer.Option(help="Only what 'trimtab tune' tests.")] = False,
    rules: Annotated[bool, typer.Option("--rules", help="List the rules instead.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the schema of --json.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a list of entries with every field.")
    ] = False,
) -> None:
    """Print entries, rules or the schema."""
    if schema:
        typer.echo(json.dumps(report.schema(), indent=1))
        return
    console = terminal.console()
    if rules:
        if as_json:
            terminal.print_json({"rules": report.rules_data()})
        else:
            report.rules_listing(console)
        return
    found, rule_names, unknown = _named(names or [])
    asked = bool(found or not names)
    chosen = _chosen(found, layer, platform, search, studied=studied) if asked else []
    if as_json:
        terminal.print_json({"tunings": [report.entry(one).model_dump() for one in chosen]})
    elif names:
        for one in chosen:
            report.explain(report.entry(one), console)
        report.rules_listing(console, rule_names)
    else:
        report.listing(chosen, console)
    _refuse(unknown)


def _refuse(unknown: list[str]) -> None:
    """Refuse names that mean nothing; what is known is printed before.

    Raises:
        UsageError: there is one.
    """
    if unknown:
        raise UsageError("; ".join(unknown))


def _named(names: list[str]) -> tuple[list[str], list[str], list[str]]:
    """Return the tunings and rules that names mean, and a sentence for each that means none.

    A tuning goes by its own name, or by the variable or option that sets it.
    """
    found: list[str] = []
    rules: list[str] = []
    unknown: list[str] = []
    for name in names:
        meant = setters(CATALOG, name)
        if name in all_rules() and name not in CATALOG:
            rules.append(name)
        elif name not in CATALOG and meant:
            found += meant
        else:
            try:
                require_known(CATALOG, [name])
                found.append(name)
            except UsageError as error:
                unknown.append(" ".join(str(error).split()))
    return found, rules, unknown


def _chosen(
    names: list[str], layer: str, platform: str, search: str, *, studied: bool
) -> list[Tuning]:

    layers = sorted({one.layer for one in CATALOG.values()})
    if layer and layer not in layers:
        raise UsageError(f"--layer must be one of {', '.join(layers)}, not {layer!r}")
    if platform not in ("", *PLATFORMS):
        raise UsageError(f"--platform must be one of {', '.join(PLATFORMS)}, not {platform!r}")
    wanted = search.casefold()
    return [
        one
        for one in CATALOG.values()
        if not one.dummy
        and (not names or any(fnmatchcase(one.name, pattern) for pattern in names))
        and (not layer or one.layer == layer)
        and (not platform or not one.platforms or platform in one.platforms)
        and (not studied or not one.advisory)
        and wanted in f"{one.name} {one.knob.place} {one.summary}".casefold()
    ]
