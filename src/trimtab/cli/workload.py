"""``trimtab workload``: list the presets, show one, derive one from a live server's counters."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from trimtab.cli import terminal
from trimtab.errors import ServerLostError
from trimtab.http_client import address, loopback
from trimtab.load import from_metrics as observed
from trimtab.load.presets import PRESETS
from trimtab.load.workload import load_workload
from trimtab.storage import atomic_files, strict_yaml

_PAGE = "/metrics"
_SECONDS = 10.0

app = typer.Typer(help="List, show and derive workloads.", no_args_is_help=True)

_LIST_HELP = """List the named workloads.

Example: trimtab workload list
"""

_SHOW_HELP = """Print a workload as YAML: a preset, or a file with its defaults filled in.

Example: trimtab workload show chat > mine.yaml
"""

_METRICS_HELP = """Derive a workload from a live vLLM server's Prometheus counters.

trimtab derives lengths, prefix reuse and rate from the requests that finish while it observes the
server. It reads no prompt. --since-start counts all requests since the server's start, without a
rate.

Example: trimtab workload from-metrics http://127.0.0.1:8000 --seconds 300 --out mine.yaml
"""


def register(root: typer.Typer) -> None:
    """Add the command group to the application."""
    root.add_typer(app, name="workload")


@app.command("list", help=_LIST_HELP)
def list_workloads() -> None:
    """Print the names of the presets."""
    for name in PRESETS:
        typer.echo(name)


@app.command("show", help=_SHOW_HELP)
def show(
    workload: Annotated[str, typer.Argument(help="A preset or a YAML file.")],
) -> None:
    """Print ``workload`` as a file."""
    found = load_workload(workload).model_dump(mode="json", exclude_defaults=True)
    typer.echo(strict_yaml.dump(found), nl=False)


@app.command("from-metrics", help=_METRICS_HELP)
def from_metrics(
    url: Annotated[str, typer.Argument(help="The server, such as http://127.0.0.1:8000.")],
    seconds: Annotated[
        float, typer.Option(min=1, max=86_400, help="How long to observe the server, in seconds.")
    ] = 60.0,
    since_start: Annotated[
        bool, typer.Option("--since-start", help="Take everything since the server's start.")
    ] = False,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Do not check the server's certificate.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Write to this file. [default: standard output]")
    ] = None,
) -> None:
    """Print the workload that the server at ``url`` gets."""
    url = address.parse(address.insecure_url(url) if insecure else url, "the address").url
    if out is not None:
        atomic_files.require_place("--out", out)
    seen = observed.parse(_get(url))
    elapsed = None
    if not since_start:
        began = time.monotonic()
        terminal.say(f"observing the server for {seconds:g} s")
        time.sleep(seconds)
        later = observed.parse(_get(url))
        elapsed, seen = time.monotonic() - began, later.since(seen)
    text = strict_yaml.dump({"name": "observed", **observed.workload_of(seen, elapsed)})
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")
        terminal.say(f"{out}: the workload of {seen.requests:.0f} requests")


def _get(url: str) -> str:

    try:
        reply = loopback.exchange("GET", url, _PAGE, timeout=_SECONDS)
    except loopback.ExchangeError as error:
        raise ServerLostError(f"{url}{_PAGE} cannot be read: {error}") from error
    if why := loopback.refusal(_PAGE, reply):
        raise ServerLostError(f"{url}{_PAGE} cannot be read: {why}")
    return reply.body.decode(errors="replace")
