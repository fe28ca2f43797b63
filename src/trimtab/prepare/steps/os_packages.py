"""Packages of the operating system: those that the engine needs, and the allocators."""

from __future__ import annotations

from typing import Final

from trimtab.prepare import system
from trimtab.prepare import system as systems
from trimtab.prepare.step import (
    Change,
    CheckState,
    Instruction,
    MachineScene,
    PackageInstallation,
    RootScript,
    StepFinding,
    install_command,
)
from trimtab.prepare.system import Base
from trimtab.prepare.target import PrepareOptions


class OsPackages:
    """The packages of the roles that the target needs."""

    name = "os-packages"
    summary = "Packages of the operating system: compiler, libnuma, Python's headers."
    reason = (
        "After the mirror, from which they come; before all that needs a compiler, an interpreter "
        "or certificates."
    )

    def check(self, scene: MachineScene) -> StepFinding:
        """See `Step.check`."""
        return check_packages(scene, tuple(systems.roles_of(scene.wish.target)))

    def changes(self, scene: MachineScene) -> tuple[Change, ...]:
        """See `Step.changes`."""
        return missing_packages(scene, tuple(systems.roles_of(scene.wish.target)))

    def recipe(self, wish: PrepareOptions, base: Base) -> tuple[Instruction, ...]:
        """See `Step.recipe`."""
        names = systems.packages(base.system, tuple(systems.roles_of(wish.target)))
        return (install_script(base.system.manager, names),)


def check_packages(scene: MachineScene, roles: tuple[str, ...]) -> StepFinding:
    """Return whether the packages of these roles are installed."""
    here = scene.system
    if not here.manager:
        return StepFinding(
            CheckState.UNKNOWN, f"what packages are called on {here} is not known here"
        )
    names = systems.packages(here, roles)
    present = system.read_packages(scene.host, here.manager)
    if present is None:
        return StepFinding(CheckState.UNKNOWN, "the database of packages cannot be read")
    missing = [name for name in names if name not in present]
    if missing:
        return StepFinding(CheckState.MISSING, f"not installed: {' '.join(missing)}")
    return StepFinding(CheckState.SATISFIED, f"installed: {' '.join(names)}")


def missing_packages(scene: MachineScene, roles: tuple[str, ...]) -> tuple[Change, ...]:
    """Return the installation of the packages of these roles that are not there."""
    manager = scene.system.manager
    present = system.read_packages(scene.host, manager) if manager else None
    if present is None:
        return ()
    names = systems.packages(scene.system, roles)
    missing = tuple(name for name in names if name not in present)
    return (PackageInstallation(manager, missing),) if missing else ()


def install_script(manager: str, names: tuple[str, ...]) -> RootScript:
    """Return the commands that install packages, and leave no lists of them behind."""
    install = f"{' '.join(install_command(manager))} {' '.join(names)}"
    if manager == "apt":
        lines = ("apt-get update", f"DEBIAN_FRONTEND=noninteractive {install}")
        return RootScript((*lines, "rm -rf /var/lib/apt/lists/*"), unpinned=True)
    return RootScript((install, "dnf clean all"), unpinned=True)


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
    return next((path for path in paths if path is not None), None)
