"""``trimtab diff``: two launches compared, tuning by tuning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from trimtab import presets
from trimtab.cli import terminal
from trimtab.cli.conventions import Json
from trimtab.cli.entry_lists import paragraph, show_comparison
from trimtab.errors import UsageError
from trimtab.families import family_started, program_names
from trimtab.linter import read
from trimtab.linter.launch_files import text_of
from trimtab.model import HostWrite
from trimtab.model.document import Document, Launch
from trimtab.profiles import launch_diff
from trimtab.profiles.launch_diff import DiffRow, Side
from trimtab.profiles.profile import read_profile

_HELP = """Compare what two launches set: presets, profiles or launch files.

A and B are each the name of a preset ('trimtab diff guide-v1 guide-v2'), a profile, or a launch
file that 'trimtab lint' reads: shell script, Dockerfile, compose file, Kubernetes manifest,
systemd unit, .env, sysctl file, Markdown. FILE#SERVICE names one of several services of a file.
The settings of a preset are those of its source, on any machine.

Examples:

  trimtab diff guide-v1 guide-v2

  trimtab diff image-a2 serve.sh --json
"""


def register(root: typer.Typer) -> None:
    """Add the command to the application."""
    root.command("diff", help=_HELP)(diff)


def diff(
    first: Annotated[str, typer.Argument(metavar="A", help="A preset, a profile, or a file.")],
    second: Annotated[str, typer.Argument(metavar="B", help="The launch to compare with A.")],
    everything: Annotated[bool, typer.Option("--all", help="Show equal settings too.")] = False,
    as_json: Json = False,
) -> None:
    """Compare, print, and say by the exit code whether they differ."""
    sides = _side(first), _side(second)
    rows = launch_diff.compare(*sides)
    others = launch_diff.setting_differences(*sides, rows)
    if as_json:
        terminal.print_json(_data(sides, rows, others))
    else:
        _show(sides, rows, others, everything=everything)
    if others or not all(row.same for row in rows):
        raise typer.Exit(1)


def _side(given: str) -> Side:
    """Return what A or B sets.

    Raises:
        UsageError: it is neither a preset nor a file, or a file of several servers.
        StudyError: it is a profile that cannot be read.
    """
    if given in presets.DOCUMENTED:
        return launch_diff.preset_side(presets.DOCUMENTED[given])
    name, _, service = given.partition("#")
    path = Path(name)
    if not path.is_file():
        try:
            presets.find(given)
        except UsageError as error:
            raise UsageError(
                f"{given} must be a file or a preset, but is none: {error}"
            ) from error
    text = text_of(path)
    if "\ntrimtab:" in f"\n{text}" and "\ncandidate:" in text:
        plan = read_profile(path).plan
        return launch_diff.settings_side(given, plan.settings, plan.writes)
    document = read(name, text)
    writes = tuple(HostWrite(setting.name, setting.value) for setting in document.host)
    return launch_diff.launch_side(given, _launch(document, service), writes)


def _launch(document: Document, service: str) -> Launch:
    """Return the one server that a file starts; what it sets, where it starts none.

    Raises:
        UsageError: it starts several, or none of that name.
    """
    launches = [launch for launch in document.launches if _serves(launch)] or list(
        document.launches
    )
    if service:
        launches = [launch for launch in document.launches if launch.service == service]
        if not launches:
            known = sorted({launch.service for launch in document.launches} - {""})
            offered = f"it has {', '.join(known)}" if known else "it names no service"
            raise UsageError(f"{document.file} has no service {service!r}: {offered}")
    if len(launches) > 1:
        names = ", ".join(
            launch.service or f"line {launch.place.line}" if launch.place else launch.service
            for launch in launches
        )
        raise UsageError(
            f"{document.file} must start one server to be compared, but starts {len(launches)} "
            f"({names}): name one, as {document.file}#SERVICE, or split the file"
        )
    return launches[0] if launches else Launch((), ())


def _serves(launch: Launch) -> bool:
    named = any(word.rpartition("/")[2] in program_names() for word in launch.argv)
    return named or family_started(launch.argv) is not None


def _data(
    sides: tuple[Side, Side], rows: tuple[DiffRow, ...], others: tuple[DiffRow, ...]
) -> dict[str, Any]:
    first, second = sides
    return {
        "a": first.name,
        "b": second.name,
        "same": not others and all(row.same for row in rows),
        "tunings": [
            {
                "tuning": row.name,
                "place": row.place,
                "a": row.first,
                "b": row.second,
                "same": row.same,
            }
            for row in rows
        ],
        "settings": [{"setting": row.name, "a": row.first, "b": row.second} for row in others],
        "lost": {"a": dict(first.lost), "b": dict(second.lost)},
        "sources": {"a": dict(first.sources), "b": dict(second.sources)},
    }


def _show(
    sides: tuple[Side, Side],
    rows: tuple[DiffRow, ...],
    others: tuple[DiffRow, ...],
    *,
    everything: bool,
) -> None:

    console = terminal.console()
    shown = [*(row for row in rows if everything or not row.same), *others]
    if shown:
        heads = ("tuning or setting", sides[0].name, sides[1].name)
        show_comparison(
            heads, [(row.name, _cell(row.first), _cell(row.second)) for row in shown], console
        )
    alike = sum(row.same for row in rows)
    paragraph(console, f"{len(shown) - (alike if everything else 0)} differ, {alike} alike")
    for side, other in (sides, sides[::-1]):
        for name, why in side.lost.items():
            if everything or other.lost.get(name) != why:
                said = f"{side.name} names {name}, which reaches no server: {why}"
                paragraph(console, said, rest="  ")


def _cell(value: str | None) -> str:
    return "-" if value is None else value
