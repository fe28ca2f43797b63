"""From a machine to the scene that steps judge, and what they find."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from typing import Any

from trimtab import facts as all_facts
from trimtab.engines.vllm import install
from trimtab.environments import managed_environment
from trimtab.errors import HostError, TrimtabError
from trimtab.facts import packages, situation
from trimtab.host import Host
from trimtab.prepare import interpreters, system, version_matrix, wheels
from trimtab.prepare.step import Change, MachineScene, Step, StepFinding
from trimtab.prepare.target import PrepareOptions, parse_target, target_of


@dataclass(frozen=True, slots=True)
class CheckedStep:
    """A step with what its check found."""

    step: Step
    finding: StepFinding


@dataclass(frozen=True, slots=True)
class StepPlan:
    """What a step would change; ``refusal`` says why it would change nothing and fail."""

    step: Step
    finding: StepFinding
    changes: tuple[Change, ...]
    refusal: str = ""

    def as_data(self) -> dict[str, Any]:
        """Return it as plain JSON data."""
        return {
            "name": self.step.name,
            "state": self.finding.state.value,
            "sentence": self.finding.sentence,
            "changes": [str(change) for change in self.changes],
            "refusal": self.refusal or None,
        }


def scene_of(
    host: Host, wish: PrepareOptions | None, target: str, python: str, *, local: bool
) -> MachineScene:
    """Return the scene of a machine.

    ``target`` is a target's name, or "" for what the devices show; ``wish`` says the rest.
    ``python`` is an interpreter by path, or "" for the one that python3 is.

    Raises:
        UsageError: there is no such target, or the devices do not tell.
    """
    facts = all_facts.inspect(host, {}, "cpu")
    known = parse_target(target) if target else target_of(facts, situation.platform(facts))
    wanted = replace(wish, target=known) if wish is not None else PrepareOptions(known)
    here = system.read(host, facts.cpu.arch.value)
    given = python or _default_python(host, local=local)
    scene = MachineScene(host, facts, here, wanted, given, {}, local, bool(python))
    return _with_environment(scene)


def _default_python(host: Host, *, local: bool) -> str:
    """Return the interpreter that ``python3`` is; a launcher script is asked which it starts."""
    if not local:
        return "/usr/bin/python3"
    found = shutil.which("python3") or "/usr/bin/python3"
    try:
        said = host.run((found, "-c", "import sys; print(sys.executable)")).strip()
    except HostError:
        return found
    return said or found


def refresh(scene: MachineScene) -> MachineScene:
    """Return the scene as the machine is after a step."""
    return _with_environment(replace(scene, facts=all_facts.inspect(scene.host, {}, "cpu")))


def _with_environment(scene: MachineScene) -> MachineScene:
    """Return the scene with its interpreter and packages: the engine's, if there are any."""
    own = environment_python(scene)
    span = version_matrix.pythons(scene.wish.target, scene.wish.release)
    made = interpreters.find_optimized(span) if scene.local and not scene.chosen else ""
    base = made or scene.python
    python = own if own and scene.host.exists(own) else base
    return replace(
        scene,
        python=base,
        packages=packages.read(scene.host, python),
        built_for=wheels.read(scene.host, python),
    )


def environment_python(scene: MachineScene) -> str:
    """Return the interpreter of the environment that the engine step makes."""
    if scene.wish.target.platform != "cpu":
        return f"{scene.wish.environment}/bin/python"
    if not scene.local:
        return ""
    recipe = install.recipe()
    path = managed_environment.interpreter(recipe)
    return str(path) if path is not None else ""


def examine(steps: tuple[Step, ...], scene: MachineScene) -> tuple[CheckedStep, ...]:
    """Return what the checks find, in the order of the steps. Reads only."""
    return tuple(CheckedStep(step, step.check(scene)) for step in steps)


def plan_step(step: Step, scene: MachineScene) -> StepPlan:
    """Return what a step would change, or why it would refuse."""
    finding = step.check(scene)
    try:
        return StepPlan(step, finding, step.changes(scene))
    except TrimtabError as error:
        return StepPlan(step, finding, (), str(error))
