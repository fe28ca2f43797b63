"""``trimtab prepare``: the guide's preparation as steps that are checked, done and undone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from trimtab.cli import terminal
from trimtab.cli.entry_lists import paragraph
from trimtab.errors import UsageError
from trimtab.host import Host, LocalHost, open_snapshot
from trimtab.prepare import version_matrix
from trimtab.prepare.emit import emit
from trimtab.prepare.examination import (
    CheckedStep,
    StepPlan,
    examine,
    plan_step,
    refresh,
    scene_of,
)
from trimtab.prepare.journal import Journal, place
from trimtab.prepare.machine_writer import MachineWriter, perform, undo
from trimtab.prepare.step import CheckState, MachineScene, Step
from trimtab.prepare.steps import select_steps
from trimtab.prepare.target import MODELS, TARGETS, PrepareOptions, parse_address, parse_target
from trimtab.storage import atomic_files

_HELP = """Prepare this machine for vLLM, step by step, or report what is missing.

Devices, the mirror and packages of the operating system, the Python package index, an optimized
Python, the engine in versions that belong together, allocators, the source of models: in this
order. A step that is satisfied does nothing. trimtab writes each change to a journal first, and
--undo takes it back. --emit writes the same steps as a Dockerfile or a shell script.

Examples: trimtab prepare --check; trimtab prepare --dry-run --mirror https://mirror.example;
trimtab prepare --target ascend-a2 --emit dockerfile --base openeuler > Dockerfile
"""

_TARGETS = "ascend-a2, ascend-a3, ascend-310p, cuda or cpu"


def register(root: typer.Typer) -> None:
    """Add the command to the application."""
    root.command("prepare", help=_HELP)(prepare)


def prepare(
    target: Annotated[
        str, typer.Option(help=f"{_TARGETS}. [default: what the devices show]")
    ] = "",
    check: Annotated[bool, typer.Option("--check", help="Only report what is missing.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be changed, and change nothing.")
    ] = False,
    undo: Annotated[
        bool, typer.Option("--undo", help="Take back what was changed, last first.")
    ] = False,
    only: Annotated[
        list[str] | None, typer.Option(help="Only this step; may be repeated.")
    ] = None,
    mirror: Annotated[
        str, typer.Option(help="Site that mirrors the distribution, https://mirror.example.")
    ] = "",
    index: Annotated[
        str, typer.Option(help="Python package index for these steps; kept nowhere.")
    ] = "",
    models: Annotated[str, typer.Option(help="huggingface or modelscope.")] = "huggingface",
    release: Annotated[
        str, typer.Option(help="Release of vllm-ascend. [default: the newest that fits CANN]")
    ] = "",
    python: Annotated[
        str, typer.Option(help="Interpreter to make the engine's environment with.")
    ] = "",
    environment: Annotated[
        str, typer.Option(help="Folder of that environment (cpu: trimtab's own).")
    ] = "/opt/vllm",
    emit: Annotated[str, typer.Option(help="Print the steps as dockerfile or shell.")] = "",
    base: Annotated[
        str, typer.Option(help="With --emit: ubuntu, openeuler or debian.")
    ] = "ubuntu",
    snapshot: Annotated[
        Path | None, typer.Option(help="With --check: a captured machine instead of this one.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check, show, do, undo or emit the steps."""
    steps = select_steps(only)
    modes = [name for name, on in (("--check", check), ("--dry-run", dry_run), ("--undo", undo),
                                   ("--emit", bool(emit))) if on]  # fmt: skip
    if len(modes) > 1:
        raise UsageError(f"{' and '.join(modes)} must not be given together: choose one")
    if snapshot is not None and not (check or dry_run):
        raise UsageError("--snapshot shows a captured machine: give --check or --dry-run with it")
    if undo:
        _undo(steps)
        return
    wish = _wish(target, mirror, index, models, release, environment)
    if emit:
        _emit(emit, steps, wish, base)
        return
    scene = _scene(wish, target, python, snapshot)
    if check:
        _check(steps, scene, as_json=as_json)
    elif dry_run:
        _dry_run(steps, scene, as_json=as_json)
    else:
        _do(steps, scene, as_json=as_json)


def _wish(
    target: str, mirror: str, index: str, models: str, release: str, environment: str
) -> PrepareOptions:

    if models not in MODELS:
        raise UsageError(f"--models must be {' or '.join(MODELS)}, but is {models!r}")
    if release and release not in version_matrix.ASCEND:
        known = ", ".join(version_matrix.ASCEND)
        raise UsageError(f"--release must be one of {known}, but is {release!r}")
    folder = Path(environment)
    if not folder.is_absolute() or not environment.isprintable() or ".." in folder.parts:
        raise UsageError(f"--environment must be an absolute folder, but is {environment!r}")
    return PrepareOptions(
        parse_target(target) if target else TARGETS["cpu"],
        parse_address("--mirror", mirror),
        parse_address("--index", index),
        models,
        release,
        str(folder),
    )


def _scene(wish: PrepareOptions, target: str, python: str, snapshot: Path | None) -> MachineScene:

    if python and snapshot is None:
        atomic_files.require_program("--python", python)
    host: Host = LocalHost() if snapshot is None else open_snapshot(snapshot)
    return scene_of(host, wish, target, python, local=snapshot is None)


def _emit(kind: str, steps: tuple[Step, ...], wish: PrepareOptions, base: str) -> None:

    typer.echo(emit(kind, steps, wish, base), nl=False)


def _check(steps: tuple[Step, ...], scene: MachineScene, *, as_json: bool) -> None:

    found = examine(steps, scene)
    if as_json:
        terminal.print_json(as_data(scene, found))
    else:
        show(scene, found, terminal.console())
    states = {step.finding.state for step in found}
    if CheckState.MISSING in states:
        raise typer.Exit(1)
    if CheckState.UNKNOWN in states:
        raise typer.Exit(3)


def _dry_run(steps: tuple[Step, ...], scene: MachineScene, *, as_json: bool) -> None:

    plan = [plan_step(step, scene) for step in steps]
    if as_json:
        terminal.print_json({"steps": [one.as_data() for one in plan]})
    else:
        show_plan(plan, terminal.console())
    if any(one.refusal for one in plan):
        raise typer.Exit(1)


def _do(steps: tuple[Step, ...], scene: MachineScene, *, as_json: bool) -> None:
    """Do the steps in their order; each sees what the ones before it have made."""
    hands = _hands()
    with hands.journal.locked():
        for step in steps:
            changes = step.changes(scene)
            if not changes:
                continue
            terminal.say(f"{step.name}: {step.summary}")
            for change in changes:
                perform(change, step.name, hands)
            scene = refresh(scene)
    _check(steps, scene, as_json=as_json)


def _undo(steps: tuple[Step, ...]) -> None:

    hands = _hands()
    with hands.journal.locked():
        done, stays = undo(hands, [step.name for step in steps])
    for sentence in done or () if stays else done or ("there is nothing to undo",):
        terminal.print_line(sentence)
    for sentence in stays:
        terminal.warn(sentence)
    if stays:
        raise typer.Exit(1)


def _hands() -> MachineWriter:

    return MachineWriter(LocalHost(), Journal(place()), terminal.say)


_WIDTH = 14


def show(scene: MachineScene, steps: Sequence[CheckedStep], console: Console) -> None:
    """Print the target, and a paragraph for each step."""
    wish = scene.wish
    console.print(
        f"{wish.target.name} on {scene.system}, {scene.system.arch or 'unknown machine'}"
    )
    console.print()
    for number, step in enumerate(steps, 1):
        first = f"{number}. {step.step.name:<{_WIDTH}} {step.finding.state.value:<15} "
        paragraph(console, step.finding.sentence, first, " " * len(first))
    console.print()
    console.print(summary(steps))


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


def summary(steps: Sequence[CheckedStep]) -> str:
    """Return how the checks went, in one line."""
    counts = {state: sum(step.finding.state is state for step in steps) for state in CheckState}
    said = [f"{number} {state.value}" for state, number in counts.items() if number]
    return ", ".join(said)


def as_data(scene: MachineScene, steps: Sequence[CheckedStep]) -> dict[str, Any]:
    """Return the same as plain JSON data."""
    return {
        "target": scene.wish.target.name,
        "distribution": scene.system.distribution or None,
        "release": scene.system.release or None,
        "arch": scene.system.arch or None,
        "python": scene.python or None,
        "steps": [
            {
                "name": step.step.name,
                "summary": step.step.summary,
                "reason": step.step.reason,
                "state": step.finding.state.value,
                "sentence": step.finding.sentence,
            }
            for step in steps
        ],
    }
