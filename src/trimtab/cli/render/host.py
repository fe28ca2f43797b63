"""What ``trimtab host`` prints: a plan, how settings stand, and what to do where it may not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any

from rich.console import Console

from trimtab.cli.render.entries import paragraph
from trimtab.host_settings import manifest, render
from trimtab.host_settings.applied_settings import AppliedSetting, HostStatus, SettingState
from trimtab.host_settings.plan import HostPlan, PlannedSetting, SettingAction
from trimtab.model import HostWrite

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
    due = [one for one in plan.settings if _due(plan, one)]
    files = [one for one in due if one.path.startswith("/")]
    before = {row.place: row.now for row in plan.rows if row.now}
    return {
        "commands": [*render.commands(files), *_by_hand(due)],
        "pod": manifest.pod_patch(files),
        "daemon_set": manifest.daemon_set(files, before, plan.label),
    }


def _due(plan: HostPlan, write: HostWrite) -> bool:
    return any(row.place == write.path and row.fate is SettingAction.WRITE for row in plan.rows)


def _by_hand(due: Iterable[HostWrite]) -> list[str]:
    """Return the commands for what is no kernel setting."""
    lines = []
    for one in due:
        scheme, _, name = one.path.partition(":")
        if scheme == "service":
            lines.append(f"systemctl stop {name}")
        elif scheme == "swap":
            lines.append(f"swapoff {name}")
        elif scheme == "limits":
            lines.append(f"trimtab host apply --set {_ENTRIES[name]}={one.text}")
        elif scheme == "rlimit":
            pid, _, limit = name.split(":")
            lines.append(f"prlimit --pid {pid} --{limit}={one.text}")
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
