"""The engine, in the order and the versions that belong together."""

from __future__ import annotations

from trimtab.engines.vllm import install
from trimtab.environments import managed_environment
from trimtab.errors import EngineInstallError
from trimtab.prepare import install_commands, version_matrix, wheels
from trimtab.prepare.step import (
    BuildArgument,
    Change,
    CheckState,
    CommandRun,
    EngineInstallation,
    EnvVariable,
    Instruction,
    MachineScene,
    RootScript,
    StepFinding,
)
from trimtab.prepare.steps.devices import host_versions
from trimtab.prepare.steps.indexes import environment as index_environment
from trimtab.prepare.steps.python import build_of
from trimtab.prepare.system import Base
from trimtab.prepare.target import PrepareOptions, PrepareTarget


class EngineStep:
    """vLLM, and on Ascend its plugin with torch_npu, in an environment of its own."""

    name = "engine"
    summary = "The engine in an environment of its own: vLLM, then vllm-ascend with torch_npu."
    reason = (
        "After the interpreter, for which its native parts are built. vLLM comes before "
        "vllm-ascend, which brings the torch that it is made for; triton goes last, since both "
        "pull one that does not work on NPUs."
    )

    def check(self, scene: MachineScene) -> StepFinding:
        """See `Step.check`."""
        target, packages = scene.wish.target, scene.packages
        release = release_of(scene)
        wrong = version_matrix.refusals(target, _versions(scene, release, mended=False), release)
        if wrong:
            return StepFinding(CheckState.MISSING, "; ".join(wrong))
        wanted = pins(target, release)
        lacking = [name for name in wanted if name not in packages]
        if lacking:
            which = ", ".join(f"{name} {wanted[name]}" for name in lacking)
            return StepFinding(CheckState.MISSING, f"not installed beside {scene.python}: {which}")
        here = ", ".join(f"{name} {packages[name]}" for name in wanted)
        plugin = packages["vllm-ascend"] if target.platform == "ascend" else ""
        if plugin and wheels.says_kind(plugin) and not scene.built_for:
            return StepFinding(
                CheckState.UNKNOWN, f"{here}; which chip vllm-ascend is built for cannot be read"
            )
        differs = any(
            packages[name].partition("+")[0] != wanted[name].partition("+")[0] for name in wanted
        )
        said = "; these versions do not exclude one another" if differs else ""
        chip = f", built for {target.chip}" if scene.built_for else ""
        return StepFinding(CheckState.SATISFIED, f"{here}{chip}{said}")

    def changes(self, scene: MachineScene) -> tuple[Change, ...]:
        """See `Step.changes`. What cannot work on this machine is refused before a download."""
        target = scene.wish.target
        release = release_of(scene)
        wrong = version_matrix.refusals(target, _versions(scene, release, mended=True), release)
        if wrong:
            raise EngineInstallError(wrong[0])
        if unprepared := wheels.preparation_refusal(target.chip, release):
            raise EngineInstallError(unprepared)
        if self.check(scene).state is not CheckState.MISSING:
            return ()
        env = index_environment(scene.wish)
        if target.platform == "cpu":
            folder = str(managed_environment.folder(install.NAME))
            return (EngineInstallation(install.NAME, folder, scene.python, env),)
        folder = scene.wish.environment
        words = install_commands.commands(target, release, scene.python, folder)
        return (CommandRun(folder, words, env),)

    def recipe(self, wish: PrepareOptions, base: Base) -> tuple[Instruction, ...]:
        """See `Step.recipe`."""
        target, folder = wish.target, wish.environment
        arguments = [
            BuildArgument(name, comment, default)
            for name, comment, default in install_commands.arguments(target)
        ]
        release = wish.release or version_matrix.NEWEST
        lines = install_commands.lines(target, release, folder)
        return (
            *arguments,
            RootScript(lines, once=install_commands.proof(target, release, folder)),
            EnvVariable("VIRTUAL_ENV", folder),
            EnvVariable("PATH", f"{folder}/bin:${{PATH}}"),
        )


def release_of(scene: MachineScene) -> str:
    """Return the release of vllm-ascend to prepare: the asked one, or what the machine fits."""
    asked = scene.wish.release
    return asked or version_matrix.release_for(
        scene.facts.ascend.cann.value, build_of(scene).version
    )


def pins(target: PrepareTarget, release: str) -> dict[str, str]:
    """Return the distributions that tell whether the engine is there, with the versions."""
    if target.platform != "ascend":
        return dict(version_matrix.WITHOUT_NPU[target.platform])
    row = version_matrix.ASCEND[release]
    return {"vllm": row.vllm, "vllm-ascend": release, "torch-npu": row.torch_npu}


def _versions(scene: MachineScene, release: str, *, mended: bool) -> dict[str, str]:
    """Return what is on the machine; with ``mended``, with the engine as it would be installed.

    What is installed by hand in another environment is not in the way of a new one.
    """
    target = scene.wish.target
    found = {} if mended else dict(scene.packages)
    if scene.built_for and not mended:
        found[wheels.KEY] = scene.built_for
    found.update(host_versions(scene))
    if mended and target.platform == "ascend":
        found |= {**pins(target, release), "torch": version_matrix.ASCEND[release].torch}
    if version := build_of(scene).version:
        found["python"] = version
    return found
