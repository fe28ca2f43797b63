"""Where packages and models come from: the package index, and Hugging Face or ModelScope."""

from __future__ import annotations

import configparser
from typing import Final

from trimtab.engines.vllm import install as vllm_install
from trimtab.environments import managed_environment
from trimtab.errors import HostError
from trimtab.host import Host
from trimtab.prepare.step import (
    BuildArgument,
    Change,
    CheckState,
    CommandRun,
    EnvVariable,
    Instruction,
    MachineScene,
    RootScript,
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


MODELSCOPE: Final = "VLLM_USE_MODELSCOPE"
"""vLLM takes true or 1; older releases take true alone, in any case."""

VERSION: Final = "1.40.2"


class ModelSource:
    """The package that fetches models, and the variable that makes vLLM use it."""

    name = "model-source"
    summary = "Model source: Hugging Face (vLLM's own), or ModelScope with its package."
    reason = "Last: it goes into the engine's environment, and nothing needs it before a server."

    def check(self, scene: MachineScene) -> StepFinding:
        """See `Step.check`."""
        if scene.wish.models == "huggingface":
            return StepFinding(
                CheckState.NOT_APPLICABLE,
                "models come from Hugging Face by what vLLM brings (HF_ENDPOINT names a mirror)",
            )
        here = scene.packages.get("modelscope")
        if here is None:
            return StepFinding(CheckState.MISSING, "modelscope is not in the engine's environment")
        return StepFinding(
            CheckState.SATISFIED,
            f"modelscope {here}; the server must be given {MODELSCOPE}=True (exported, or ENV)",
        )

    def changes(self, scene: MachineScene) -> tuple[Change, ...]:
        """See `Step.changes`. The variable is the server's, and no shell's file is written."""
        if self.check(scene).state is not CheckState.MISSING:
            return ()
        cpu = scene.wish.target.platform == "cpu"
        folder = (
            str(managed_environment.folder(vllm_install.NAME)) if cpu else scene.wish.environment
        )
        words = (f"{folder}/bin/python", "-m", "pip", "install", f"modelscope=={VERSION}")
        return (CommandRun(folder, (words,), environment(scene.wish)),)

    def recipe(self, wish: PrepareOptions, base: Base) -> tuple[Instruction, ...]:
        """See `Step.recipe`."""
        if wish.models == "huggingface":
            return ()
        install = "-m pip --disable-pip-version-check install --no-cache-dir"
        line = f"{wish.environment}/bin/python {install} modelscope=={VERSION}"
        return (RootScript((line,)), EnvVariable(MODELSCOPE, "True"))
