"""``trimtab doctor``: prove in a live server that a profile is in effect."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

_HELP = """Verify in a running server's process tree that a profile is in effect.

Exit code 0: every check holds. 1: at least one is refuted. Read-only; needs no privilege for your
own processes. What cannot be seen is reported as unobservable, never as a yes.

Example: trimtab doctor --pid 4242 --profile profile.proven.yaml
"""


def register(root: typer.Typer) -> None:
    """Add the command to the application."""
    root.command("doctor", help=_HELP)(doctor)


def doctor(
    pid: Annotated[int, typer.Option(help="Process id of the server's first process.")],
    profile: Annotated[Path, typer.Option(help="The profile to verify.")],
    log: Annotated[
        Path | None,
        typer.Option(help="The engine's log. [default: where its output goes, if to a file]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False,
) -> None:
    """Verify the server under ``pid`` against ``profile``, and print the evidence."""
    from trimtab import engines
    from trimtab.host import LocalHost
    from trimtab.live import LiveServer
    from trimtab.profile import read_profile
    from trimtab.verify import refuted, verify

    wanted = read_profile(profile)
    server = LiveServer(pid, engines.observer(wanted.engine.name), log)
    evidence = verify(wanted.plan, server, LocalHost())
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in evidence], indent=1))
    else:
        from trimtab.report.text import print_evidence

        print_evidence(evidence)
    if refuted(evidence):
        raise typer.Exit(1)
