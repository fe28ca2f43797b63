"""``trimtab export``: a profile or a preset as the files of a deployment."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from trimtab.cli import terminal
from trimtab.cli.conventions import Engine, EnginePython, Json, Model
from trimtab.errors import StudyError, UsageError
from trimtab.export import (
    ALL,
    FORMATS,
    MARK,
    Artefact,
    Order,
    formats_help,
    preset,
    render,
    write_file,
)
from trimtab.export.preset import profile_order
from trimtab.export.target import ExportOptions, target_of
from trimtab.study.engine_choice import EMBEDDED

_HELP = f"""Write a profile, or a preset, as the files of a deployment.

{formats_help()}

Each file says in its comments what was measured, how to verify it while it runs, how to take it
back, and what of the plan its format cannot carry. Secrets are never written.

A preset is not measured, and its files say so. trimtab compiles it for the machine where it will
serve: this one, a captured one (--snapshot), or a typical one of --chip or --image.

Without --output, trimtab prints one file. --output is a file, or a folder if it exists or there
are several files. trimtab replaces a file of somebody else only with --force.

Examples:

  trimtab export profile.proven.yaml --format kubernetes --cpus 16 --memory 128

  trimtab export profile.proven.yaml --format all --output deploy/

  trimtab export --preset guide --format tuned

  trimtab export --preset guide --chip A2 --model /models/qwen --format kubernetes

  trimtab export --preset guide --snapshot captured/ --model Qwen/Qwen3-8B --format docker
"""

_Format = Annotated[str, typer.Option("--format", help="One of the formats above, or all.")]


def register(root: typer.Typer) -> None:
    """Add the command to the application."""
    root.command("export", help=_HELP)(export)


def export(
    profile: Annotated[Path | None, typer.Argument(help="A profile that tune wrote.")] = None,
    preset: Annotated[str, typer.Option(help="A preset instead, such as guide.")] = "",
    format_: _Format = "shell",
    output: Annotated[Path | None, typer.Option(help="File or folder. [default: print]")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what others wrote.")] = False,
    image: Annotated[str, typer.Option(help="Image. [default: the engine's official one]")] = "",
    program: Annotated[
        str, typer.Option(help="The server's command in the image. [default: the engine's]")
    ] = "",
    chip: Annotated[
        str, typer.Option(help="A2, A3, 310P, 950, cuda or cpu. [default: the machine's]")
    ] = "",
    devices: Annotated[
        int | None, typer.Option(min=0, help="Devices of a host. [default: as the plan shares]")
    ] = None,
    hosts: Annotated[int, typer.Option(min=1, help="Hosts that serve one model together.")] = 1,
    cpus: Annotated[int | None, typer.Option(min=1, help="CPUs of the container.")] = None,
    memory: Annotated[int | None, typer.Option(min=1, help="Its memory, in GiB.")] = None,
    shm: Annotated[int, typer.Option(min=1, help="Its shared memory at most, in GiB.")] = 16,
    mount: Annotated[
        list[str] | None, typer.Option(help="A path that it sees too, read-only; repeatable.")
    ] = None,
    network: Annotated[str, typer.Option(help="Its network: bridge or host.")] = "bridge",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where it listens.")] = 8000,
    name: Annotated[str, typer.Option(help="Its name. [default: the engine's]")] = "",
    snapshot: Annotated[
        Path | None, typer.Option(help="Compile a preset for a captured machine.")
    ] = None,
    model: Model = None,
    engine: Engine = None,
    engine_python: EnginePython = None,
    as_json: Json = False,
) -> None:
    """Render, write or print, and say what was left out."""
    if format_ not in (*FORMATS, ALL):
        raise UsageError(f"--format must be one of {', '.join(FORMATS)} or all, not {format_!r}")
    if (profile is None) == (not preset):
        raise UsageError("name a profile, or a preset with --preset, and not both")
    if profile is not None and (engine or engine_python):
        raise UsageError("a profile names its engine: leave --engine and --engine-python out")
    if profile is not None and snapshot is not None:
        raise UsageError("a profile was measured on its machine: --snapshot is for a preset")
    options: dict[str, Any] = {
        "image": image,
        "program": program,
        "devices": devices,
        "hosts": hosts,
        "cpus": cpus,
        "memory": memory,
        "shm": shm,
        "mounts": tuple(mount or ()),
        "network": network,
        "port": port,
        "name": name,
    }
    default = "vllm" if shutil.which("vllm") else EMBEDDED
    wish = ExportOptions(default, chip, image, snapshot, engine, engine_python)
    formats = FORMATS if format_ == ALL else (format_,)
    if profile is not None:
        order = replace(profile_order(profile, wish, formats, model), **options)
        orders = dict.fromkeys(formats, order)
    else:
        made = _of_preset(preset, formats, model, program, wish)
        orders = {one: replace(order, **options) for one, order in made.items()}
    _deliver(orders, output, force=force, as_json=as_json)


_CONTAINED = ("docker", "compose", "kubernetes", "dockerfile")
_AS_IT_IS = ("docker", "compose", "kubernetes")
"""Formats that run an image, and of these the ones that take it as it is."""
_OF_THE_HOST = ("sysctl", "tuned")


def _of_preset(
    name: str, formats: Iterable[str], model: str | None, program: str, wish: ExportOptions
) -> dict[str, Order]:
    """Compile a preset for each format: a container has its image's libraries, a host its own.

    Nothing is measured, written or started.
    """
    told: list[str] = []
    orders: dict[str, Order] = {}
    for one in formats:
        contained, builds = one in _CONTAINED, one not in _AS_IT_IS
        target = target_of(wish, contained=contained, builds=builds)
        serves = one not in _OF_THE_HOST
        orders[one] = preset.order_of(
            name, target, model, told.append, program=program, serves=serves
        )
        told += target.told if target.host is None else ()
    for sentence in dict.fromkeys(told):
        terminal.say(sentence)
    return orders


def _deliver(
    orders: Mapping[str, Order], output: Path | None, *, force: bool, as_json: bool
) -> None:
    """Render all files first, so that a refusal leaves nothing half written; then deliver them.

    Raises:
        StudyError: the one format asked for cannot carry the plan.
        UsageError: several files have nowhere to go, or one would replace somebody else's.
    """
    texts: list[tuple[Artefact, str]] = []
    absent: dict[str, str] = {}
    refused: dict[str, StudyError | UsageError] = {}
    for artefact, order in (
        (artefact, order) for name, order in orders.items() for artefact in FORMATS[name]
    ):
        if reason := artefact.absent(order):
            absent[artefact.file] = reason
            continue
        try:
            texts.append((artefact, render(artefact, order)))
        except (StudyError, UsageError) as error:
            refused[artefact.file] = error
    if not texts:
        if refused:
            raise next(iter(refused.values()))
        raise StudyError("; ".join(f"{file}: {reason}" for file, reason in absent.items()))
    if output is None and not as_json:
        _print(texts)
        return
    written = {} if output is None else _write(texts, output, force=force)
    reasons = {file: " ".join(str(error).split()) for file, error in refused.items()}
    _report(texts, written, {**absent, **reasons}, as_json=as_json)
    if refused:
        raise typer.Exit(1)


def _print(texts: list[tuple[Artefact, str]]) -> None:

    if len(texts) > 2:
        raise UsageError(f"{len(texts)} files cannot be printed as one: name a folder, --output")
    (main, text), *more = texts
    typer.echo(text, nl=False)
    for artefact, _ in more:
        terminal.say(f"this is {main.file}; --output FOLDER writes {artefact.file} too")


def _write(texts: list[tuple[Artefact, str]], output: Path, *, force: bool) -> dict[str, Path]:

    alone = len(texts) == 1 and not output.is_dir()
    paths = {artefact.file: output if alone else output / artefact.file for artefact, _ in texts}
    for path in paths.values():
        if path.exists() and not force and MARK not in _text(path):
            raise UsageError(f"{path} is not trimtab's: name another --output, or add --force")
    return {
        artefact.file: write_file(paths[artefact.file], text, artefact.mode)
        for artefact, text in texts
    }


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", errors="replace") if path.is_file() else ""


def _report(
    texts: list[tuple[Artefact, str]],
    written: dict[str, Path],
    left_out: dict[str, str],
    *,
    as_json: bool,
) -> None:
    if as_json:
        files = (
            {file: str(path) for file, path in written.items()}
            if written
            else {artefact.file: text for artefact, text in texts}
        )
        key = "files" if written else "texts"
        terminal.print_json({key: files, "left_out": left_out})
        return
    for path in written.values():
        terminal.print_line(f"wrote {path}")
    for file, reason in left_out.items():
        terminal.say(f"left out {file}: {reason}")
