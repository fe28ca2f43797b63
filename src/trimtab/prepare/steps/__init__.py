"""The steps, in their order; the reason for each place stands in the step."""

from __future__ import annotations

from trimtab.errors import UsageError
from trimtab.prepare.step import Step
from trimtab.prepare.steps.devices import Devices
from trimtab.prepare.steps.engine import EngineStep
from trimtab.prepare.steps.indexes import ModelSource, PackageIndex
from trimtab.prepare.steps.os_mirror import OsMirror
from trimtab.prepare.steps.os_packages import Allocators, OsPackages
from trimtab.prepare.steps.python import OptimizedPython

STEPS: tuple[Step, ...] = (
    Devices(),
    OsMirror(),
    OsPackages(),
    PackageIndex(),
    OptimizedPython(),
    EngineStep(),
    Allocators(),
    ModelSource(),
)


def select_steps(names: list[str] | None) -> tuple[Step, ...]:
    """Return the steps of these names in their order; all without names.

    Raises:
        UsageError: a name is no step's.
    """
    known = [step.name for step in STEPS]
    for name in names or ():
        if name not in known:
            raise UsageError(f"--only must be one of {', '.join(known)}, but is {name!r}")
    return tuple(step for step in STEPS if not names or step.name in names)
