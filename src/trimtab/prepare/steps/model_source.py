"""Where models come from: Hugging Face, or ModelScope."""

from __future__ import annotations

from typing import Final

from trimtab.engines.vllm import install as vllm_install
from trimtab.environments import managed_environment
from trimtab.prepare.step import (
    Change,
    CheckState,
    CommandRun,
    EnvVariable,
    Instruction,
    MachineScene,
    RootScript,
    StepFinding,
)
from trimtab.prepare.steps.package_index import environment as index_environment
from trimtab.prepare.system import Base
from trimtab.prepare.target import PrepareOptions

VARIABLE: Final = "VLLM_USE_MODELSCOPE"
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
            f"modelscope {here}; the server must be given {VARIABLE}=True (exported, or ENV)",
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
        return (CommandRun(folder, (words,), index_environment(scene.wish)),)

    def recipe(self, wish: PrepareOptions, base: Base) -> tuple[Instruction, ...]:
        """See `Step.recipe`."""
        if wish.models == "huggingface":
            return ()
        install = "-m pip --disable-pip-version-check install --no-cache-dir"
        line = f"{wish.environment}/bin/python {install} modelscope=={VERSION}"
        return (RootScript((line,)), EnvVariable(VARIABLE, "True"))
