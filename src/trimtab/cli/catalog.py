"""``trimtab catalog``: every tuning that trimtab knows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Annotated, Any

import typer
from pydantic import BaseModel, ConfigDict, Field
from rich.console import Console
from rich.table import Table
from rich.text import Text

from trimtab.catalog import CATALOG, Rule, Tuning, require_known, setters
from trimtab.cli import terminal
from trimtab.cli.entry_lists import entries
from trimtab.errors import UsageError
from trimtab.knobs import (
    Affinity,
    Argument,
    Env,
    EnvList,
    Interrupts,
    JsonKey,
    Knob,
    LoginLimit,
    Preload,
    ReadAhead,
    SwapAreas,
    Switch,
    Sysctl,
    Sysfs,
)
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
        typer.echo(json.dumps(json_schema(), indent=1))
        return
    console = terminal.console()
    if rules:
        if as_json:
            terminal.print_json({"rules": rules_data()})
        else:
            rules_listing(console)
        return
    found, rule_names, unknown = _named(names or [])
    asked = bool(found or not names)
    chosen = _chosen(found, layer, platform, search, studied=studied) if asked else []
    if as_json:
        terminal.print_json({"tunings": [entry(tuning).model_dump() for tuning in chosen]})
    elif names:
        for tuning in chosen:
            explain(entry(tuning), console)
        rules_listing(console, rule_names)
    else:
        listing(chosen, console)
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

    layers = sorted({tuning.layer for tuning in CATALOG.values()})
    if layer and layer not in layers:
        raise UsageError(f"--layer must be one of {', '.join(layers)}, not {layer!r}")
    if platform not in ("", *PLATFORMS):
        raise UsageError(f"--platform must be one of {', '.join(PLATFORMS)}, not {platform!r}")
    wanted = search.casefold()
    return [
        tuning
        for tuning in CATALOG.values()
        if not tuning.dummy
        and (not names or any(fnmatchcase(tuning.name, pattern) for pattern in names))
        and (not layer or tuning.layer == layer)
        and (not platform or not tuning.platforms or platform in tuning.platforms)
        and (not studied or not tuning.advisory)
        and wanted in f"{tuning.name} {tuning.knob.place} {tuning.summary}".casefold()
    ]


class CatalogSource(BaseModel):
    """Where a fact was published."""

    model_config = ConfigDict(extra="forbid")
    title: str
    where: str


class CatalogRelation(BaseModel):
    """Another entry, and why the two belong together or do not."""

    model_config = ConfigDict(extra="forbid")
    name: str
    sentence: str
    fatal: bool = Field(description="The conflict ends the start.")


class Trap(BaseModel):
    """A rule of the entry."""

    model_config = ConfigDict(extra="forbid")
    id: str
    severity: str
    summary: str
    traps: list[str] = Field(description="Traps of the guide that it shows, T1 to T33.")


class Entry(BaseModel):
    """One tuning, with every field."""

    model_config = ConfigDict(extra="forbid")
    name: str
    layer: str
    summary: str
    details: str
    place: str = Field(description="Where it is set: a variable, an option, a file.")
    values: list[str | int | float | bool | None] | None = Field(
        description="Stock first, null is 'not set'; null as a whole: they depend on the machine."
    )
    stock: str
    default: str = Field(description="The text that says what happens anyway, if there is one.")
    accepts: str = Field(description="What its reader takes.")
    platforms: list[str] = Field(description="Empty is any.")
    engines: list[str] = Field(description="Families of engines; empty is any.")
    scope: str
    restart: str = Field(description="What a new value costs.")
    risk: str
    risk_sentence: str
    studied: bool = Field(description="Whether 'trimtab tune' tests it.")
    may_change_answers: list[str | int | float | bool | None] = Field(
        description="Values that are tested only when the entry is named with --only."
    )
    conflicts: list[CatalogRelation]
    requires: list[CatalogRelation]
    rules: list[Trap]
    verified: str
    executed: str = Field(description="Whether the vendors' code was asked; empty off Ascend.")
    evidence: list[str] = Field(description="Published numbers: priors, never results of ours.")
    since: str
    superseded_by: str
    inert: str = Field(description="Why nothing reads it any more.")
    package: str
    sources: list[CatalogSource]


class Listing(BaseModel):
    """What ``trimtab catalog --json`` prints."""

    model_config = ConfigDict(extra="forbid")
    format: int = Field(description="Version of this object.")
    tunings: list[Entry]


def entry(tuning: Tuning) -> Entry:
    """Return an entry as data."""
    values = None if callable(tuning.values) else list(tuning.values)
    return Entry(
        name=tuning.name,
        layer=tuning.layer,
        summary=tuning.summary,
        details=tuning.details,
        place=tuning.knob.place,
        values=values,
        stock=tuning.stock,
        default=tuning.default,
        accepts=tuning.accepts.words(),
        platforms=list(tuning.platforms),
        engines=list(tuning.engines),
        scope=tuning.scope.value,
        restart=tuning.restart.value,
        risk=tuning.risk.level.value,
        risk_sentence=tuning.risk.sentence,
        studied=not tuning.advisory,
        may_change_answers=list(tuning.lowers_fidelity),
        conflicts=[_related(tuning, name) for name in rivals(tuning)],
        requires=[
            CatalogRelation(name=relation.name, sentence=relation.sentence, fatal=False)
            for relation in tuning.requires
        ],
        rules=[_trap(rule) for rule in tuning.rules],
        verified=verification_words(tuning),
        executed=tuning.executed,
        evidence=[f"{claim.sentence} ({claim.source.title})" for claim in tuning.claims],
        since=tuning.since,
        superseded_by=tuning.superseded_by,
        inert=tuning.inert,
        package=tuning.package,
        sources=[
            CatalogSource(title=source.title, where=source.where) for source in tuning.sources
        ],
    )


def rivals(tuning: Tuning) -> Iterator[str]:
    """Yield the entries that exclude this one, whichever side says it."""
    yield from (conflict.name for conflict in tuning.conflicts)
    for other in CATALOG.values():
        if any(conflict.name == tuning.name for conflict in other.conflicts):
            yield other.name


def _related(tuning: Tuning, name: str) -> CatalogRelation:
    both = ((tuning, name), (CATALOG[name], tuning.name))
    relation = next(r for side, other in both for r in side.conflicts if r.name == other)
    return CatalogRelation(name=name, sentence=relation.sentence, fatal=relation.fatal)


def _trap(rule: Rule) -> Trap:
    return Trap(
        id=rule.id, severity=rule.severity.value, summary=rule.summary, traps=list(rule.traps)
    )


def verification_words(tuning: Tuning) -> str:
    """Return in words how a live server shows that the entry is in effect."""
    said = _verified(tuning.knob)
    return f"{said}; and by checks of its own" if tuning.checks is not None else said


def _verified(knob: Knob) -> str:
    match knob:
        case Preload():
            return "mapped code of every process; a probe in a child shows who serves malloc"
        case Affinity():
            return "the mask of every thread under /proc/PID/task"
        case Env() | EnvList():
            return "the environment of the API server, /proc/PID/environ: it arrived"
        case Argument() | Switch() | JsonKey():
            return "the configuration that the server reports"
        case Sysctl() | Sysfs() | ReadAhead() | Interrupts():
            return "the file is read back"
        case SwapAreas() | LoginLimit():
            return "'trimtab host' reads it back"
        case _:
            return "not by a check of a plan: 'trimtab doctor' looks where the machine shows it"


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of ``trimtab catalog --json``."""
    return Listing.model_json_schema()


def listing(tunings: Iterable[Tuning], console: Console) -> None:
    """Print an entry a line where the console is wide or a pipe, else a short paragraph each."""
    rows = [
        (tuning.layer, tuning.name, place(tuning), tuning.summary)
        for tuning in sort_by_layer(tunings)
    ]
    entries(("layer", "tuning", "set by", "what it does"), rows, console)


def sort_by_layer(tunings: Iterable[Tuning]) -> list[Tuning]:
    """Return entries grouped by layer, layers and entries in the catalogue's order."""
    chosen = list(tunings)
    order = list(dict.fromkeys(tuning.layer for tuning in chosen))
    return sorted(chosen, key=lambda one: order.index(one.layer))


def place(tuning: Tuning) -> str:
    """Return where an entry is set, and whether that still does anything."""
    knob: Knob = tuning.knob
    return f"{knob.place} (inert)" if tuning.inert else knob.place


def explanation(one: Entry) -> Iterator[tuple[str, str]]:
    """Yield (heading, text) pairs that explain an entry; empty ones are left out."""
    values = "by machine" if one.values is None else _values(one)
    pairs = (
        ("what", " ".join(filter(None, (one.summary, one.details)))),
        ("set by", one.place),
        ("accepts", one.accepts),
        ("values", values if one.studied else ""),
        ("stock", one.stock),
        ("no effect", one.inert),
        ("replaced by", one.superseded_by),
        ("when", _when(one)),
        ("since", one.since),
        ("package", one.package),
        ("scope", f"{one.scope}; a new value costs: {one.restart}"),
        ("risk", f"{one.risk}. {one.risk_sentence}"),
        *(("excludes", f"{r.name}: {r.sentence}") for r in one.conflicts),
        *(("needs", f"{r.name}: {r.sentence}") for r in one.requires),
        *(("trap", f"{r.summary} [{r.id}, {r.severity}]") for r in one.rules),
        ("verified by", one.verified),
        ("executed", one.executed),
        ("studied", _studied(one)),
        *(("evidence", said) for said in one.evidence or ["no published number isolates it"]),
        *(("source", f"{s.title}: {s.where}") for s in one.sources),
    )
    yield from ((name, text) for name, text in pairs if text)


def _studied(one: Entry) -> str:
    if not one.studied:
        return "no: known to doctor and lint, tested by no study"
    if one.may_change_answers:
        marked = ", ".join(map(str, one.may_change_answers))
        return f"{marked} only when named (--only {one.name}): it may change answers"
    return ""


def _values(one: Entry) -> str:
    return ", ".join("not set" if value is None else str(value) for value in one.values or ())


def _when(one: Entry) -> str:
    return " and ".join(
        said
        for said in (
            f"on {' or '.join(one.platforms)}" if one.platforms else "",
            f"with {' or '.join(one.engines)}" if one.engines else "",
        )
        if said
    )


def explain(one: Entry, console: Console) -> None:
    """Print all that is known of an entry."""
    console.print(Text(one.name, style="bold"), Text(f"({one.layer})", style="dim"))
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in explanation(one):
        table.add_row(name, text)
    console.print(table)


def rules_listing(console: Console, names: Iterable[str] | None = None) -> None:
    """Print rules, all of them without ``names``."""
    chosen = None if names is None else set(names)
    rows = [
        (rule.severity.value, rule.id, owner, rule.summary)
        for rule, owner in all_rules().values()
        if chosen is None or rule.id in chosen
    ]
    entries(("severity", "rule", "tuning", "what it finds"), rows, console)


def rules_data() -> list[dict[str, Any]]:
    """Return every rule as data."""
    return [{**_trap(rule).model_dump(), "tuning": owner} for rule, owner in all_rules().values()]
