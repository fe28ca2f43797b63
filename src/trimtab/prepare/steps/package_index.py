"""The Python package index: given to each call, never written into a configuration."""

from __future__ import annotations

import configparser
from typing import Final

from trimtab.errors import HostError
from trimtab.host import Host
from trimtab.prepare.step import (
    BuildArgument,
    Change,
    CheckState,
    Instruction,
    MachineScene,
    StepFinding,
)
from trimtab.prepare.system import Base
from trimtab.prepare.target import PrepareOptions

VARIABLE: Final = "PIP_INDEX_URL"
"""pip reads it in each call; an ARG of a build, which is not part of the image."""

_FILES: Final = (
    "/etc/xdg/pip/pip.conf",
    "/etc/pip.conf",
    "/root/.pip/pip.conf",
    "/root/.config/pip/pip.conf",
)
"""pip's configuration of the machine and of root; a later one wins."""


class PackageIndex:
    """Where packages come from in the calls of the later steps."""

    name = "package-index"
    summary = "Python package index: given to each call of pip, no configuration is written."
    reason = "Before the first package from it; it holds for the calls of these steps alone."

    def check(self, scene: MachineScene) -> StepFinding:
        """See `Step.check`. There is nothing to be done ahead: the answer is which index holds."""
        configured = index_of(scene.host)
        if scene.wish.index:
            beside = f"; {configured[1]} names {configured[0]}, and stays" if configured else ""
            return StepFinding(
                CheckState.SATISFIED,
                f"each call of pip gets {scene.wish.index}, nothing else{beside}",
            )
        if configured:
            return StepFinding(CheckState.SATISFIED, f"{configured[1]} names {configured[0]}")
        return StepFinding(
            CheckState.SATISFIED, "pip's own default, pypi.org, or what it is given"
        )

    def changes(self, scene: MachineScene) -> tuple[Change, ...]:
        """Return nothing: the index is in the environment of the later steps' commands."""
        return ()

    def recipe(self, wish: PrepareOptions, base: Base) -> tuple[Instruction, ...]:
        """See `Step.recipe`."""
        comment = "pip's index in these steps; unset: pypi.org. It is not kept in the image."
        return (BuildArgument(VARIABLE, comment, wish.index or None),)


def environment(wish: PrepareOptions) -> dict[str, str]:
    """Return what a call of pip is given."""
    return {VARIABLE: wish.index} if wish.index else {}


def index_of(host: Host) -> tuple[str, str] | None:
    """Return the index that pip's configuration files name, and the file; the last file wins."""
    found: tuple[str, str] | None = None
    for path in _FILES:
        try:
            text = host.read(path)
        except HostError:
            continue
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read_string(text)
        except configparser.Error:
            continue
        for section in ("global", "install"):
            address = parser.get(section, "index-url", fallback="").strip()
            found = (address, path) if address else found
    return found
