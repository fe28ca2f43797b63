"""Environments of a managed engine on other interpreters, with the very same packages.

The default environment decides. What the CPU engine holds is locked (name, version and SHA-256 of
the wheel that this interpreter's pip takes), and installed from that lock with hashes required;
one lock serves all environments of one minor version of Python. The emulator is installed from a
lock anyway: its environments come from the same one. So two environments hold the same files, and
what differs between them is the interpreter alone.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from trimtab.emulator import environments
from trimtab.engines.vllm import install as vllm_install
from trimtab.environments import distributions, managed_environment
from trimtab.environments.managed_environment import Installation, Recipe, Say, Step
from trimtab.errors import EngineInstallError, UsageError

MARK = "@"
_OURS = frozenset({"pip"})
"""What a virtual environment brings itself, and no server imports."""

_REPORT = "report.json"

_DEFAULTS: Mapping[str, Callable[[], Recipe]] = {
    vllm_install.NAME: vllm_install.recipe,
    environments.NAME: environments.engine,
}
"""Engine → how its default environment is made."""


def target(engine: str, name: str) -> Path:
    """Return the folder of the environment of ``engine`` on the interpreter ``name``."""
    return managed_environment.folder(f"{engine}{MARK}{name}")


def names(engine: str) -> list[str]:
    """Return the interpreters that an environment was begun on, finished or not."""
    found = managed_environment.folder(engine).parent.glob(f"{engine}{MARK}*/bin/python")
    return sorted(path.parents[1].name.partition(MARK)[2] for path in found)


def recipe(engine: str, name: str) -> Recipe:
    """Return how the environment of a managed engine on the interpreter ``name`` is made."""
    default = _DEFAULTS[engine]()
    return replace(
        default,
        name=f"{engine}{MARK}{name}",
        target=target(engine, name),
        described={**default.described, "interpreter": name},
        steps={
            "environment": default.steps["environment"],
            **_packages(default),
            "metadata": default.steps["metadata"],
            "equal": ("comparing the two environments", partial(compare, default.target)),
            "proof": default.steps["proof"],
        },
    )


def _packages(default: Recipe) -> dict[str, Step]:
    """Return the steps that install the default environment's packages."""
    if default.name != vllm_install.NAME:
        sentence, act = default.steps["packages"]
        return {"packages": (sentence, partial(_install_as, default.target, act))}
    return {
        "lock": ("locking the packages of the default environment", lock),
        "packages": ("installing the same packages (about 3 GB, minutes)", install_locked),
    }


def finished_environments(engine: str, where: str) -> dict[str, str]:
    """Return name → folder of the finished environments of an engine that runs from ``where``.

    Of a managed engine those count that hold the default one's packages; of one that has no
    packages, such as the scripted engine, all. An engine of the user's own has none: another
    environment would change more than the interpreter.
    """
    if engine == "scripted":
        return {name: str(target(engine, name)) for name in names(engine)}
    managed_one = next((one for one in _DEFAULTS if _runs_from(one, where)), None)
    if managed_one is None:
        return {}
    found = {name: target(managed_one, name) for name in names(managed_one)}
    held = packages(managed_environment.folder(managed_one))
    return {
        name: str(folder)
        for name, folder in found.items()
        if managed_environment.interpreter(recipe(managed_one, name)) is not None
        and packages(folder) == held
    }


def _runs_from(engine: str, where: str) -> bool:
    """Whether a program lies in an environment of the engine, the default one or another."""
    own = str(managed_environment.folder(engine))
    return where.startswith((f"{own}/", f"{own}{MARK}"))


def install(engine: str, interpreter: Path, name: str, say: Say) -> Path:
    """Make the environment on an interpreter, or finish it; return its own interpreter.

    The default environment is installed first if it is not there.

    Raises:
        UsageError: the interpreter is of a version that there is no build for.
        EngineInstallError: a step failed.
    """
    managed_environment.install(_DEFAULTS[engine](), None, say)
    return managed_environment.install(recipe(engine, name), str(interpreter), say)


def packages(folder: Path) -> dict[str, str]:
    """Return name → version of what an environment holds beyond a virtual environment's own."""
    found = distributions.installed_versions(
        [str(path) for path in folder.glob("lib/python3*/site-packages")]
    )
    return {name: version for name, version in sorted(found.items()) if name not in _OURS}


def lock(job: Installation) -> None:
    """Make the lock of the default environment for this interpreter, unless there is one.

    Raises:
        EngineInstallError: pip finds another file, or none, for a version that is installed.
    """
    path = lock_file(job)
    if path.is_file():
        return
    wanted = _wanted()
    report = _work(job) / _REPORT
    managed_environment.pip_install(
        job, "--dry-run", "--ignore-installed", "--no-deps", "--report", str(report),
        *(f"{name}=={version}" for name, version in wanted.items()),
    )  # fmt: skip
    lines = lines_of(json.loads(report.read_text(encoding="utf-8")))
    if len(lines) != len(wanted):
        raise EngineInstallError(
            f"the lock must hold {len(wanted)} packages, but pip names {len(lines)}: see {report}"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    draft.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    draft.replace(path)


def lock_file(job: Installation) -> Path:
    """Return the lock that fits the default environment and this interpreter's minor version."""
    minor = ".".join(map(str, distributions.version(job.python)))
    content = json.dumps([minor, _wanted()], sort_keys=True)
    key = hashlib.sha256(content.encode()).hexdigest()[:12]
    return managed_environment.folder(f"{vllm_install.NAME}.locks") / f"{minor}-{key}.txt"


def lines_of(report: Mapping[str, Any]) -> list[str]:
    """Return the lines of a lock from pip's installation report, sorted.

    Raises:
        EngineInstallError: a package has no checksum there, and is no file of this machine.
    """
    found = []
    for one in report["install"]:
        name, version = one["metadata"]["name"], one["metadata"]["version"]
        found.append(f"{name}=={version} --hash=sha256:{_checksum(name, one['download_info'])}")
    return sorted(found, key=str.lower)


def install_locked(job: Installation) -> None:
    """Install from the lock, each file by its checksum, and nothing else."""
    managed_environment.pip_install(
        job, "--no-deps", "--require-hashes", "--requirement", str(lock_file(job))
    )


def _install_as(default: Path, act: Callable[[Installation], None], job: Installation) -> None:
    """Install what the default environment's lock says, and its setuptools.

    That no lock holds, but each interpreter brings another version of it.
    """
    act(job)
    wanted = packages(default).get("setuptools")
    if wanted is not None and packages(job.target).get("setuptools") != wanted:
        managed_environment.pip_install(job, "--no-deps", f"setuptools=={wanted}")


def compare(default: Path, job: Installation) -> None:
    """Make sure that both environments hold the same packages.

    Raises:
        EngineInstallError: they do not.
    """
    own, other = packages(default), packages(job.target)
    if differing := sorted(dict(own.items() ^ other.items())):
        raise EngineInstallError(
            f"{job.name} must hold the packages of {default.name}, but differs in "
            f"{', '.join(differing[:5])}"
        )


def require_engine(name: str) -> None:
    """Make sure that an engine can have environments on other interpreters.

    Raises:
        UsageError: it cannot.
    """
    if name not in _DEFAULTS:
        raise UsageError(
            f"--python makes an environment of {' or '.join(_DEFAULTS)}, not of {name}: "
            "leave it out"
        )


def _wanted() -> dict[str, str]:
    """Return what to lock: all but the metadata that the recipe adds itself."""
    found = packages(managed_environment.folder(vllm_install.NAME))
    return {name: version for name, version in found.items() if name != "vllm"}


def _checksum(name: str, told: Mapping[str, Any]) -> str:
    archive = told.get("archive_info", {})
    known = archive.get("hashes", {}).get("sha256") or archive.get("hash", "")
    if match := re.fullmatch(r"(?:sha256=)?([0-9a-f]{64})", known):
        return match[1]
    parts = urlsplit(told.get("url", ""))
    if parts.scheme == "file":
        return _sha256(Path(unquote(parts.path)))
    raise EngineInstallError(f"pip's report must name the checksum of {name}, but does not")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _work(job: Installation) -> Path:
    return job.target.with_name(f"{job.target.name}.install")
