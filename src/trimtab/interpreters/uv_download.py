"""A ready interpreter through uv: python-build-standalone's, built with PGO and LTO.

uv checks its downloads against checksums that it carries. It installs into a store of its own
below ours, in one step; the name is then a link to it, so that what uv wrote into the build's
sysconfig stays true.
"""

from __future__ import annotations

import os
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

from trimtab.environments import managed_environment
from trimtab.environments.managed_environment import Run, Say, keeper_runner
from trimtab.errors import EngineError, InterpreterError, UsageError
from trimtab.facts import python_build
from trimtab.host import LocalHost
from trimtab.interpreters import failures, store
from trimtab.interpreters.options import check_name
from trimtab.interpreters.store import Record

SECONDS = 1800.0
_VERSION = re.compile(r"3\.\d+(\.\d+)?")
_UNREACHABLE = re.compile(
    r"error sending request|dns error|Failed to (?:download|fetch)|timed out|Connect",
    re.IGNORECASE,
)


def fetch(version: str, name: str, say: Say, *, run: Run | None = None) -> Record:
    """Fetch an interpreter; return its record. One of that name is returned as it is.

    Raises:
        UsageError: the version is not written like one, or the name is taken.
        InterpreterError: uv is missing, fails, or reaches nothing.
    """
    if not _VERSION.fullmatch(version):
        raise UsageError(f"the version must be such as 3.11 or 3.11.15, but is {version!r}")
    name = check_name(name or f"{version}-standalone")
    if (record := store.read(name)) is not None:
        if record.kind == "fetched" and record.source.get("asked") == version:
            return record
        raise UsageError(f"--name {name} is taken by another Python: give another name")
    uv = shutil.which("uv")
    if uv is None:
        raise InterpreterError(
            "fetching a Python needs uv on PATH, and there is none: 'pip install uv', or build "
            "one with 'trimtab python build'"
        )
    work = store.work(name)
    work.mkdir(parents=True, exist_ok=True)
    try:
        with managed_environment.installation_lock(f"Python {name}", work, say, SECONDS):
            home = _install(uv, version, run or keeper_runner(work, say), say)
    except EngineError as error:
        raise InterpreterError(str(error)) from error
    return _publish(home, name, version, _uv_version(uv))


def _install(uv: str, version: str, run: Run, say: Say) -> Path:
    """Let uv install; return the interpreter's folder."""
    place = store.folder() / ".fetched"
    say(f"uv installs Python {version}")
    env = ["env", f"UV_PYTHON_INSTALL_DIR={place}", "UV_NO_PROGRESS=1"]
    code, output = run([*env, uv, "python", "install", version], SECONDS)
    if code != 0:
        if _UNREACHABLE.search(output):
            raise InterpreterError(
                f"uv cannot reach the builds of Python {version} (on github.com, or the mirror in "
                "UV_PYTHON_INSTALL_MIRROR): build one with 'trimtab python build'"
            )
        raise InterpreterError(f"uv could not install Python {version}: {failures.cause(output)}")
    paths = [
        path
        for path in sorted(place.glob(f"cpython-{version}*"))
        if path.is_dir() and not path.is_symlink()
    ]
    if not paths:
        raise InterpreterError(f"uv must have put Python {version} into {place}, but did not")
    return max(paths, key=_release)


def _release(folder: Path) -> tuple[int, ...]:
    match = re.match(r"cpython-([\d.]+)", folder.name)
    return tuple(int(one) for one in match[1].split(".")) if match else ()


def _publish(home: Path, name: str, asked: str, uv: str) -> Record:
    version = ".".join(map(str, _release(home)))
    build = python_build.read(LocalHost(), str(store.binary(home, version)))
    record = Record(
        name=name,
        kind="fetched",
        version=version,
        sha256=store.checksums(home, version),
        source={"asked": asked, "told": f"{home.name}, installed by {uv}"},
        options={"pgo": build.pgo is True, "lto": build.lto is True, "bolt": build.bolt is True},
        made=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    store.write(home, record)
    link = store.folder() / f".{name}.link"
    link.unlink(missing_ok=True)
    os.symlink(home, link)  # noqa: PTH211  the arguments' order is plain here
    link.replace(store.folder() / name)
    return record


def _uv_version(uv: str) -> str:
    return LocalHost().run([uv, "--version"]).strip()
