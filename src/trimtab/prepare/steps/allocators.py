"""Allocators: installed, so that they can be measured; preloaded by a profile, not from here."""

from __future__ import annotations

from typing import Final

from trimtab.prepare import system as systems
from trimtab.prepare.step import Change, CheckState, Instruction, MachineScene, StepFinding
from trimtab.prepare.steps.os_packages import install_script, missing_packages
from trimtab.prepare.system import Base
from trimtab.prepare.target import PrepareOptions

_LIBRARIES: Final = {
    "jemalloc": ("libjemalloc.so.2",),
    "tcmalloc": ("libtcmalloc_minimal.so.4", "libtcmalloc.so.4"),
}
"""By role, the libraries of which one is enough."""


class Allocators:
    """jemalloc and tcmalloc, found by the name that the loader knows."""

    name = "allocators"
    summary = "Allocators: jemalloc and tcmalloc, installed and not preloaded."
    reason = (
        "After the engine, which does not need them; two of them must not be preloaded together, "
        "so which one, if any, is for 'trimtab tune' to say."
    )

    def check(self, scene: MachineScene) -> StepFinding:
        """See `Step.check`. What the loader finds counts, not the database of packages."""
        paths = {role: _path(scene, role) for role in _LIBRARIES}
        missing = [role for role, path in paths.items() if path is None]
        if not missing:
            return StepFinding(
                CheckState.SATISFIED, f"here: {', '.join(map(str, paths.values()))}"
            )
        packages = systems.packages(scene.system, tuple(missing))
        hint = f" (packages {' '.join(packages)})" if scene.system.manager else ""
        return StepFinding(CheckState.MISSING, f"not here: {', '.join(missing)}{hint}")

    def changes(self, scene: MachineScene) -> tuple[Change, ...]:
        """See `Step.changes`."""
        missing = tuple(role for role in _LIBRARIES if _path(scene, role) is None)
        return missing_packages(scene, missing) if missing else ()

    def recipe(self, wish: PrepareOptions, base: Base) -> tuple[Instruction, ...]:
        """See `Step.recipe`."""
        names = systems.packages(base.system, tuple(_LIBRARIES))
        return (install_script(base.system.manager, names),)


def _path(scene: MachineScene, role: str) -> str | None:
    paths = (scene.facts.libraries.path(one).value for one in _LIBRARIES[role])
    return next((one for one in paths if one is not None), None)
