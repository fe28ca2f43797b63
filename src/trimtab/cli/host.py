"""``trimtab host``: kernel-level settings, journalled before they are written, taken back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from trimtab.cli import terminal
from trimtab.cli.conventions import Json
from trimtab.cli.entry_lists import paragraph
from trimtab.errors import UsageError
from trimtab.host import Host, LocalHost, open_snapshot
from trimtab.host_settings import applied_settings as held
from trimtab.host_settings import plan as planning
from trimtab.host_settings import plan as wanted
from trimtab.host_settings import render
from trimtab.host_settings.applied_settings import AppliedSetting, HostStatus, SettingState
from trimtab.host_settings.plan import HostPlan, PlannedSetting, SettingAction, context
from trimtab.model import Candidate, HostWrite
from trimtab.profiles.profile import read_trusted_profile
from trimtab.storage import atomic_files

app = typer.Typer(help="Settings of the whole host, and the way back.", no_args_is_help=True)

_PLAN_HELP = """Show what would be written on this host: value now, value after, why or why not.

Changes nothing. Where nothing can be changed from here (in a container, or not as root), the
commands and manifests for somebody who may are printed.

Example: trimtab host plan --preset guide
"""

_APPLY_HELP = """Make the host settings of a profile or preset, and leave them in effect.

trimtab writes each old value to a journal first, and reads each new value back. It makes all that
--set or a profile names, or nothing: invalid settings are reported before the first write, and if
the kernel refuses one, all earlier writes are rolled back. It leaves out settings of a preset that
do not apply here. Settings last until the next boot, or longer with --persist. Repeating is safe:
settings of an earlier apply that are no longer named are rolled back.

Example: trimtab host apply profile.proven.yaml --persist systemd
"""

_STATUS_HELP = """Show what is applied on this host, and how each setting stands now.

Example: trimtab host status --json
"""

_VERIFY_HELP = """Check that everything that was applied is in effect.

Example: trimtab host verify
"""

_ROLLBACK_HELP = """Put every setting back to what it was, in reverse order; remove the files made.

trimtab leaves a setting that somebody else has changed since, and reports it: --force puts it back
too, --forget leaves it for good.

Example: trimtab host rollback
"""

Profile = Annotated[Path | None, typer.Argument(help="A profile that trimtab tune wrote.")]
Preset = Annotated[str, typer.Option(help="A preset instead, such as guide.")]
Single = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="One setting, such as swappiness=1."),
]
Persist = Annotated[str, typer.Option(help="Keep over a boot by sysctl, systemd or tuned.")]
Pid = Annotated[
    int | None, typer.Option(help="Set limits in this process, not for later sessions.")
]
State = Annotated[
    Path | None, typer.Option(help="Folder of the journal. [default: /var/lib/trimtab/host]")
]


def register(root: typer.Typer) -> None:
    """Add the command group to the application."""
    root.add_typer(app, name="host")


@app.command("plan", help=_PLAN_HELP)
def plan(
    profile: Profile = None,
    preset: Preset = "",
    settings: Single = None,
    persist: Persist = "",
    pid: Pid = None,
    snapshot: Annotated[
        Path | None, typer.Option(help="Plan for a captured machine (trimtab doctor --capture).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Plan, print, and set the exit code."""
    host: Host = LocalHost() if snapshot is None else open_snapshot(snapshot)
    made = _planned(host, profile, preset, settings or [], persist, pid, local=snapshot is None)
    _show(made, as_json=as_json)
    if not made.possible:
        raise typer.Exit(1)


@app.command("apply", help=_APPLY_HELP)
def apply(
    profile: Profile = None,
    preset: Preset = "",
    settings: Single = None,
    persist: Persist = "",
    pid: Pid = None,
    state: State = None,
    as_json: Json = False,
) -> None:
    """Plan, make, and say what was made."""
    host = LocalHost()
    made = _planned(host, profile, preset, settings or [], persist, pid, local=True)
    possible = made.possible and bool(made.writes)
    if possible:
        held.apply(
            made.writes, host, label=made.label, persist=made.persist, folder=_folder(state)
        )
    _show(made, as_json=as_json, applied=possible)
    if not made.possible:
        raise typer.Exit(1)
    if not as_json and possible:
        for line in _afterwards(host, made):
            terminal.print_line(line)


@app.command("status", help=_STATUS_HELP)
def status(state: State = None, as_json: Json = False) -> None:
    """Print what is applied."""
    _stands(state, as_json=as_json)


@app.command("verify", help=_VERIFY_HELP)
def verify(state: State = None, as_json: Json = False) -> None:
    """Print what is applied, and set the exit code."""
    if not _stands(state, as_json=as_json):
        raise typer.Exit(1)


@app.command("rollback", help=_ROLLBACK_HELP)
def rollback(
    force: Annotated[
        bool, typer.Option("--force", help="Put back also what somebody else has changed.")
    ] = False,
    forget: Annotated[
        bool, typer.Option("--forget", help="Leave for good what somebody else has changed.")
    ] = False,
    state: State = None,
    as_json: Json = False,
) -> None:
    """Take everything back."""
    if force and forget:
        raise UsageError("--force puts back what --forget leaves: give one of the two")
    host, folder = LocalHost(), _folder(state)
    before = held.status(host, folder=folder)
    said = held.rollback(host, force=force, forget=forget, folder=folder)
    count = sum(setting.journalled for setting in before.settings)
    if before.persist == "systemd":
        held.reload_units(host)
    if as_json:
        terminal.print_json({"settings": count, "not_restored": said})
    elif before.nothing:
        typer.echo("trimtab has applied nothing on this host.")
    else:
        terminal.print_line(f"{count - len(said)} of {count} settings put back ({before.label})")
        for sentence in said:
            terminal.print_line(f"not put back: {sentence}")
        if said and not forget:
            terminal.print_line(
                "--force puts back also what somebody else has changed, --forget leaves it"
            )
    if said:
        raise typer.Exit(1)


def _planned(
    host: Host,
    profile: Path | None,
    preset: str,
    words: list[str],
    persist: str,
    pid: int | None,
    *,
    local: bool,
) -> HostPlan:

    if (profile is not None) + bool(preset) + bool(words) == 0:
        raise UsageError("name what to set: a profile, --preset guide, or --set swappiness=1")
    if profile is not None and preset:
        raise UsageError("a profile and a preset are two answers: name one of them")
    here = context(host, local=local)
    chosen: Candidate = ()
    required: set[str] = set()
    parts: list[str] = []
    if profile is not None:
        read = read_trusted_profile(profile)
        chosen, parts = wanted.host_candidate(read.candidate), [f"profile {read.name} ({profile})"]
        required = {name for name, _ in chosen}
    if preset:
        chosen, parts = wanted.preset_candidate(preset), [f"preset {preset}"]
    chosen = wanted.with_words(chosen, words)
    label = " and ".join([*parts, *([" ".join(words)] if words else [])])
    required |= {word.partition("=")[0] for word in words}
    return planning.plan(chosen, here, host, label, persist=persist, pid=pid, required=required)


def _show(made: HostPlan, *, as_json: bool, applied: bool = False) -> None:

    if as_json:
        data: dict[str, Any] = {**plan_data(made), "applied": applied}
        terminal.print_json(data)
        return
    console = _console()
    show_plan(made, console)
    if made.refusal:
        show_manual_steps(made, console)
    elif made.unmet:
        paragraph(console, refusal_line(made), style="bold")
    elif made.futile:
        paragraph(console, "Nothing was changed: nothing of it can be made here.", style="bold")


def _afterwards(host: Host, made: HostPlan) -> list[str]:
    """Return what to say after an apply; makes systemd read a new unit."""
    told = {
        "": "in effect; kernel settings end with the next boot",
        "sysctl": "in effect, and kept over a boot by sysctl.d",
        "systemd": "in effect, and kept over a boot by trimtab-host.service",
        "tuned": "in effect; TuneD takes the profile over when it starts next",
    }
    lines = [f"{told[made.persist]}; take it back with: trimtab host rollback"]
    if made.persist == "systemd" and (sentence := held.reload_units(host)):
        lines.append(sentence)
    return lines


def _stands(state: Path | None, *, as_json: bool) -> bool:

    found = held.status(LocalHost(), folder=_folder(state))
    if as_json:
        terminal.print_json(status_data(found))
    else:
        show_status(found, _console())
    return found.stands


def _console() -> Console:
    return terminal.console()


def _folder(state: Path | None) -> Path:
    """Return the folder of the journal.

    Raises:
        UsageError: what is named is no folder.
    """
    if state is None:
        return held.FOLDER
    atomic_files.require_folder("--state", state)
    return state


_STYLES = {
    SettingAction.WRITE: "bold",
    SettingAction.ALREADY: "dim",
    SettingAction.REFUSED: "yellow",
}
_NUMBER = re.compile(r"\d+")


def show_plan(plan: HostPlan, console: Console) -> None:
    """Print what would be written, and why the rest would not; two lines a setting."""
    for rows in _alike(plan.rows):
        row = rows[0]
        change = f"{row.now} -> {row.after}" if row.fate is SettingAction.WRITE else row.after
        name = f"{row.tuning}: " if row.tuning else ""
        _line(console, row.fate.value, _STYLES[row.fate], f"{name}{change}  [{_places(rows)}]")
        why = f"{row.why} Ends with a boot: {row.kept}." if _ends(row) else row.why
        _line(console, "", "", why)
    paragraph(console, summary(plan))


def _line(console: Console, word: str, style: str, text: str) -> None:
    paragraph(console, text, f"{word:9}", " " * 9, style)


def summary(plan: HostPlan) -> str:
    """Return the plan's count in one line."""
    counts = {fate: sum(row.fate is fate for row in plan.rows) for fate in SettingAction}
    return (
        f"{plan.label}: {counts[SettingAction.WRITE]} to write, "
        f"{counts[SettingAction.ALREADY]} there already, {counts[SettingAction.REFUSED]} refused"
    )


def refusal_line(plan: HostPlan) -> str:
    """Return in one line why nothing is made although something could be."""
    be, them = ("is", "it") if len(plan.unmet) == 1 else ("are", "them")
    return (
        f"Nothing was changed: {', '.join(plan.unmet)} {be} refused, and trimtab makes all that "
        f"--set or a profile names, or nothing. Correct {them}, or name the others with --set."
    )


def _ends(row: PlannedSetting) -> bool:
    return row.fate is SettingAction.WRITE and row.kept not in ("", "until the next boot")


def show_manual_steps(plan: HostPlan, console: Console) -> None:
    """Print what somebody who may change the host has to do."""
    paragraph(console, f"Nothing was changed: {plan.refusal}.", style="bold")
    told = manual_steps(plan)
    if told["commands"]:
        console.print("\nOn the host, as root:")
        for line in told["commands"]:
            console.out(f"  {line}", highlight=False)
    for title, text in (
        ("In the pod's manifest:", told["pod"]),
        ("For a cluster's administrator, on the nodes:", told["daemon_set"]),
    ):
        if text and plan.container:
            console.print(f"\n{title}")
            console.out(text, end="", highlight=False)


def manual_steps(plan: HostPlan) -> dict[str, Any]:
    """Return the commands and manifests that make a plan's settings from outside."""
    due = [setting for setting in plan.settings if _due(plan, setting)]
    files = [write for write in due if write.path.startswith("/")]
    before = {row.place: row.now for row in plan.rows if row.now}
    return {
        "commands": [*render.commands(files), *_by_hand(due)],
        "pod": render.pod_patch(files),
        "daemon_set": render.daemon_set(files, before, plan.label),
    }


def _due(plan: HostPlan, write: HostWrite) -> bool:
    return any(row.place == write.path and row.fate is SettingAction.WRITE for row in plan.rows)


def _by_hand(due: Iterable[HostWrite]) -> list[str]:
    """Return the commands for what is no kernel setting."""
    lines = []
    for write in due:
        scheme, _, name = write.path.partition(":")
        if scheme == "service":
            lines.append(f"systemctl stop {name}")
        elif scheme == "swap":
            lines.append(f"swapoff {name}")
        elif scheme == "limits":
            lines.append(f"trimtab host apply --set {_ENTRIES[name]}={write.text}")
        elif scheme == "rlimit":
            pid, _, limit = name.split(":")
            lines.append(f"prlimit --pid {pid} --{limit}={write.text}")
    return lines


_ENTRIES = {"nofile": "file-limit", "memlock": "memlock-limit"}


def plan_data(plan: HostPlan) -> dict[str, Any]:
    """Return a plan as plain data, with what to do instead where it is refused."""
    told = asdict(plan)
    return {**told, **({"instead": manual_steps(plan)} if plan.refusal else {})}


def show_status(status: HostStatus, console: Console) -> None:
    """Print what is applied and how it stands."""
    if status.nothing:
        console.print("trimtab has applied nothing on this host.")
        return
    kept = f", kept over a boot by {status.persist}" if status.persist else ""
    paragraph(console, f"{status.label}, applied {status.at}{kept}", style="bold")
    if status.undoing:
        said = "It was taken back, except what follows: 'trimtab host rollback' goes on."
        paragraph(console, said, style="bold red")
    elif not status.complete:
        said = "The apply was interrupted: roll it back, or apply it again."
        paragraph(console, said, style="bold red")
    for rows in _alike(status.settings):
        row = rows[0]
        style = "green" if row.standing is SettingState.HOLDS else "bold red"
        before = row.before if row.journalled else f"{row.before}, not by trimtab"
        now = "" if row.standing is SettingState.HOLDS else f", now {row.now}"
        text = f"{row.after} (before: {before}{now})  [{_places(rows)}]"
        _line(console, f"{row.standing.value}:", style, text)


def status_data(status: HostStatus) -> dict[str, Any]:
    """Return the status as plain data."""
    return {**asdict(status), "nothing": status.nothing, "stands": status.stands}


def _alike(rows: Sequence[Any]) -> Iterable[list[Any]]:
    """Put neighbours together that differ in a number of their path only."""
    for _, group in groupby(rows, _without_number):
        yield list(group)


def _without_number(row: PlannedSetting | AppliedSetting) -> tuple[object, ...]:
    told = asdict(row)
    if row.place.startswith(("/sys/", "/proc/irq/")):
        told["place"] = _NUMBER.sub("*", row.place)
        if isinstance(row, PlannedSetting) and row.fate is SettingAction.REFUSED:
            told["why"] = _NUMBER.sub("*", row.why)
    return tuple(told.items())


def _places(rows: Sequence[PlannedSetting | AppliedSetting]) -> str:
    place = rows[0].place
    if len(rows) == 1:
        return render.sysctl_name(place) if place.startswith(render.SYSCTL) else place
    return f"{_NUMBER.sub('*', rows[0].place)} ({len(rows)} files)"
