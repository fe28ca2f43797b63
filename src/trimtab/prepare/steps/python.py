"""The interpreter: of a version that the engine has builds for, and an optimized build."""

from __future__ import annotations

from typing import Final

from trimtab.facts import python_build
from trimtab.facts.python_build import PythonBuild
from trimtab.prepare import interpreters, version_matrix
from trimtab.prepare.step import (
    BuildArgument,
    Change,
    CheckState,
    CommandRun,
    Instruction,
    MachineScene,
    RootScript,
    StepFinding,
)
from trimtab.prepare.system import APT, Base
from trimtab.prepare.target import PrepareOptions


class OptimizedPython:
    """An interpreter with PGO and LTO, of a version that fits."""

    name = "python"
    summary = "Optimized Python (PGO and LTO), beside the system's, which is never replaced."
    reason = (
        "After the compiler, which builds it; before the engine and all that compiles, since "
        "native parts are built for the Python that installs them."
    )

    def check(self, scene: MachineScene) -> StepFinding:
        """See `Step.check`."""
        build = build_of(scene)
        if not build.executable:
            return StepFinding(
                CheckState.UNKNOWN, f"no interpreter at {scene.python}: {build.reason}"
            )
        wrong = _refused(scene, build)
        if wrong:
            return StepFinding(CheckState.MISSING, f"{wrong[0]} ({build.executable})")
        if build.pgo and build.lto:
            return StepFinding(
                CheckState.SATISFIED,
                f"{build.executable} is built with PGO and LTO ({build.source})",
            )
        if scene.system.distribution in APT and build.executable.startswith("/usr/bin/"):
            return StepFinding(
                CheckState.SATISFIED,
                f"{build.executable} is {scene.system.distribution}'s own, built with PGO and LTO "
                "(its sysconfig describes another build)",
            )
        if build.pgo is None or build.lto is None:
            return StepFinding(
                CheckState.UNKNOWN, f"how {build.executable} was built: {build.reason}"
            )
        lacks = " and ".join(
            name for name, there in (("PGO", build.pgo), ("LTO", build.lto)) if not there
        )
        return StepFinding(
            CheckState.MISSING, f"{build.executable} is built without {lacks} ({build.source})"
        )

    def changes(self, scene: MachineScene) -> tuple[Change, ...]:
        """See `Step.changes`."""
        finding = self.check(scene)
        if finding.state is not CheckState.MISSING:
            return ()
        version = wanted_version(scene)
        own = python_build.read(scene.host, _SYSTEM, scene.system.distribution)
        distribution = scene.system.manager == "apt" and own.version == version
        command = interpreters.command(version, distribution=distribution)
        return (CommandRun(interpreters.folder(version), (command,), makes=True),)

    def recipe(self, wish: PrepareOptions, base: Base) -> tuple[Instruction, ...]:
        """See `Step.recipe`: the interpreter is a value of the build, or fetched, and checked."""
        low, high = version_matrix.pythons(wish.target, wish.release)
        test = f"({low[0]}, {low[1]}) <= sys.version_info[:2] < ({high[0]}, {high[1]})"
        note = "The interpreter that the engine is installed for."
        fetch = (
            "fetch: uv fetches a build with PGO and LTO, and the engine is installed for that "
            "(an environment of another one is made anew); unset: PYTHON as it is."
        )
        mirror = "Where uv fetches it from; unset: GitHub's releases of python-build-standalone."
        what = f"Python must be {low[0]}.{low[1]} to {high[0]}.{high[1] - 1}, but is "
        lines = (
            *interpreters.fetch_lines((low, high)),
            f'"${{PYTHON}}" -c \'import sys; {test} or sys.exit("{what}" + sys.version)\'',
            f'"${{PYTHON}}" -c \'{judge(base)}\' "${{OPTIMIZED_PYTHON:-}}"',
        )
        return (
            BuildArgument("PYTHON", note, "python3"),
            BuildArgument("OPTIMIZED_PYTHON", fetch),
            BuildArgument("UV_PYTHON_INSTALL_MIRROR", mirror),
            RootScript(lines),
        )


_SYSTEM: Final = "/usr/bin/python3"


def judge(base: Base) -> str:
    """Return a program that says how the interpreter that runs it was built, and warns.

    The signs are those of `trimtab.facts.python_build`. A build without PGO or LTO is only slower:
    the program fails for it where its argument says that an optimized one was asked for. Debian's
    and Ubuntu's sysconfig describes another build than theirs, which has both.
    """
    own = 'os.path.realpath(sys.executable).startswith("/usr/bin/")'
    return (
        "import os, re, sys, sysconfig; "
        'g = lambda n: str(sysconfig.get_config_var(n) or ""); '
        'a, c = g("CONFIG_ARGS"), g("PY_CFLAGS_NODIST"); '
        f"o = {own if base.system.distribution in APT else False}; "
        'h = re.findall("--with-lto(?:=([a-z]+))?", a); '
        'p = o or "--enable-optimizations" in a '
        'or bool(re.search("-(fprofile-use|fprofile-instr-use|prof-use)", c)); '
        'l = o or "-flto" in c + g("PY_LDFLAGS_NODIST") or bool(h and h[-1] != "no"); '
        'w = " and ".join(n for n, y in (("PGO", p), ("LTO", l)) if not y); '
        'print(sys.executable, "PGO:", p, "LTO:", l); '
        's = f"WARNING: {sys.executable} is built without {w}, and slower for it: '
        'give OPTIMIZED_PYTHON=fetch, or name an optimized one in PYTHON"; '
        "w and print(s, file=sys.stderr); sys.exit(bool(w and sys.argv[1]))"
    )


def build_of(scene: MachineScene) -> PythonBuild:
    """Return how the interpreter of a scene was built."""
    return python_build.read(scene.host, scene.python, scene.system.distribution)


def _release(scene: MachineScene, build: PythonBuild) -> str:
    asked = scene.wish.release
    return asked or version_matrix.release_for(scene.facts.ascend.cann.value, build.version)


def _refused(scene: MachineScene, build: PythonBuild) -> tuple[str, ...]:
    versions = {"python": build.version} if build.version else {}
    return version_matrix.refusals(scene.wish.target, versions, _release(scene, build))


def wanted_version(scene: MachineScene) -> str:
    """Return the interpreter's own version where it fits, else the newest that does."""
    build = build_of(scene)
    if build.version and not _refused(scene, build):
        return build.version
    _, (major, minor) = version_matrix.pythons(scene.wish.target, _release(scene, build))
    return f"{major}.{minor - 1}"
