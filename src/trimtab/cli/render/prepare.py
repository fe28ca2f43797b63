"""What ``trimtab prepare`` prints: the steps with what was found, and as data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console

from trimtab.cli.render.entries import paragraph
from trimtab.prepare.examination import CheckedStep, StepPlan
from trimtab.prepare.step import CheckState, MachineScene

_WIDTH = 14


def show(scene: MachineScene, found: Sequence[CheckedStep], console: Console) -> None:
    """Print the target, and a paragraph for each step."""
    wish = scene.wish
    console.print(
        f"{wish.target.name} on {scene.system}, {scene.system.arch or 'unknown machine'}"
    )
    console.print()
    for number, one in enumerate(found, 1):
        first = f"{number}. {one.step.name:<{_WIDTH}} {one.finding.state.value:<15} "
        paragraph(console, one.finding.sentence, first, " " * len(first))
    console.print()
    console.print(summary(found))


def show_plan(plan: Sequence[StepPlan], console: Console) -> None:
    """Print each step with the commands and files that would be made, ready to paste."""
    for one in plan:
        said = f"{one.step.name}: {one.finding.state.value}: {one.finding.sentence}"
        paragraph(console, said, rest="  ")
        for change in one.changes:
            for line in str(change).splitlines():
                console.file.write(f"    {line}\n")
        if one.refusal:
            paragraph(console, f"refused, as the machine is now: {one.refusal}", "    ", "    ")


def summary(found: Sequence[CheckedStep]) -> str:
    """Return how the checks went, in one line."""
    counts = {state: sum(one.finding.state is state for one in found) for state in CheckState}
    said = [f"{number} {state.value}" for state, number in counts.items() if number]
    return ", ".join(said)


def as_data(scene: MachineScene, found: Sequence[CheckedStep]) -> dict[str, Any]:
    """Return the same as plain JSON data."""
    return {
        "target": scene.wish.target.name,
        "distribution": scene.system.distribution or None,
        "release": scene.system.release or None,
        "arch": scene.system.arch or None,
        "python": scene.python or None,
        "steps": [
            {
                "name": one.step.name,
                "summary": one.step.summary,
                "reason": one.step.reason,
                "state": one.finding.state.value,
                "sentence": one.finding.sentence,
            }
            for one in found
        ],
    }
