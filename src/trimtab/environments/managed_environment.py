"""Managed environments: made in steps, each on record, by one installer at a time.

Idempotent (a stamp names what was installed; a finished one answers without running anything),
resumable (each finished step is on record) and locked. What to install is a :class:`Recipe`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

from trimtab.environments import distributions
from trimtab.errors import EngineError, EngineInstallError, UsageError
from trimtab.processes.recovery import reap_leftovers
from trimtab.processes.supervised_process import SupervisedProcess

Say = Callable[[str], None]
Run = Callable[[Sequence[str], float], tuple[int, str]]
"""Runs a command for at most so many seconds; returns its exit code and output."""

_HEARTBEAT = 15.0
"""Seconds between lines that tell a waiting user what the command says."""


@contextmanager
def installation_lock(name: str, work: Path, say: Say, patience: float) -> Iterator[None]:
    """Hold the installation's lock in ``work``; wait ``patience`` seconds for another holder.

    Raises:
        EngineInstallError: the other installer, named by its process id, still holds it.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(work / "lock")
    owner = work / "owner"
    try:
        lock.acquire(timeout=0)
    except Timeout:
        holder = owner.read_text(encoding="ascii") if owner.exists() else "unknown"
        say(f"{name} is being installed by process {holder}: waiting for it")
        try:
            lock.acquire(timeout=patience)
        except Timeout:
            raise EngineInstallError(
                f"{name} must be installed by one process at a time, but process {holder} still "
                f"holds the lock after {patience:.0f} s: wait for it, or end it"
            ) from None
    try:
        owner.write_text(str(os.getpid()), encoding="ascii")
        yield
    finally:
        lock.release()


def keeper_runner(work: Path, say: Say) -> Run:
    """Return the real runner: below a keeper, so that nothing outlives the installer."""

    def run(argv: Sequence[str], seconds: float) -> tuple[int, str]:
        log = work / "install.log"
        begin = log.stat().st_size if log.exists() else 0
        drop = {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONHOME"}
        env = {name: value for name, value in os.environ.items() if name not in drop}
        try:
            kept = SupervisedProcess(argv, env, log, work)
        except EngineError as error:
            return 127, str(error)
        until = time.monotonic() + seconds
        try:
            while not kept.wait(_HEARTBEAT) and time.monotonic() < until:
                say(f"  … {last_line(_output(log, begin))}")
        finally:
            kept.stop()
        code = kept.exit_code
        return (124 if code is None else code), _output(log, begin)

    return run


def _output(log: Path, begin: int) -> str:
    with log.open("rb") as lines:
        lines.seek(begin)
        return lines.read().decode(errors="replace")


def last_line(output: str) -> str:
    """Return the last line of an output that says something."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1][:160] if lines else "no output yet"


FORMAT = 1
"""Format of the stamp. History: 1, first."""

PIP_SECONDS = 3600.0
LOCK_SECONDS = 3600.0
_TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
_NO_TORCH = re.compile(
    r"(?:No matching distribution found for|satisfies the requirement) torch=="
    r"|Cannot install torch==\S+ because"  # the same, where a constraints file names torch
)


@dataclass(frozen=True, slots=True)
class Installation:
    """One installation: where it goes, with which interpreter, how commands are run."""

    name: str
    target: Path
    base: Path
    run: Run
    say: Say

    @property
    def python(self) -> Path:
        """The environment's interpreter."""
        return self.target / "bin" / "python"

    @property
    def site_packages(self) -> Path:
        """Where the environment's packages lie."""
        (place,) = self.target.glob("lib/python3*/site-packages")
        return place

    def installed(self) -> dict[str, str]:
        """Return canonical name → version of the distributions in the environment."""
        places = sorted(self.target.glob("lib/python3*/site-packages"))
        return distributions.installed_versions([str(path) for path in places])

    def failed(self, what: str, output: str) -> EngineInstallError:
        """Return the error of a step: ``what`` it was, and the last error in its output."""
        errors = [
            line.strip() for line in output.splitlines() if re.match(r"ERROR|\w*Error\b", line)
        ]
        said = errors[-1][:300] if errors else last_line(output)
        log = _work(self.target) / "install.log"
        return EngineInstallError(f"{what}: {said}; log: {log}")


Step = tuple[str, Callable[[Installation], None]]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How an environment is made.

    ``described`` is all that decides what gets installed: another value makes it anew. ``steps``
    are name → sentence and act, in order. ``needs`` are the bytes that must be free. ``pythons``
    are the oldest and newest version that ``what`` has builds for. ``programs`` must exist in the
    finished environment.
    """

    name: str
    what: str
    target: Path
    described: Mapping[str, object]
    steps: Mapping[str, Step]
    needs: int
    pythons: tuple[tuple[int, int], tuple[int, int]]
    programs: tuple[str, ...] = field(default=())

    @property
    def python(self) -> Path:
        """The environment's interpreter."""
        return self.target / "bin" / "python"


def folder(name: str) -> Path:
    """Return where the environment of the managed engine ``name`` lies."""
    return platformdirs.user_data_path("trimtab") / "engines" / name


def interpreter(recipe: Recipe) -> Path | None:
    """Return the interpreter of a finished installation; ``None`` if there is none."""
    needed = ("python", *recipe.programs)
    whole = all(os.access(recipe.python.with_name(one), os.X_OK) for one in needed)
    return recipe.python if whole and _done(recipe) == list(recipe.steps) else None


def install(
    recipe: Recipe,
    python: str | None = None,
    progress: Say = lambda _: None,
    *,
    run: Run | None = None,
    free: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
    patience: float = LOCK_SECONDS,
) -> Path:
    """Install what ``recipe`` says, or finish an interrupted installation; return its interpreter.

    ``python`` builds the environment (ours by default). ``run``, ``free`` (bytes at a path) and
    ``patience`` (seconds to wait for another installer) are there for tests.

    Raises:
        UsageError: the interpreter is of a version that there is no build for.
        EngineInstallError: a step failed; the message holds pip's last error and the log's path.
    """
    if (found := interpreter(recipe)) is not None:
        return found
    try:
        work = _work(recipe.target)
        with installation_lock(recipe.name, work, progress, patience):
            if (found := interpreter(recipe)) is not None:
                return found
            base = _base(recipe, python)
            reap_leftovers(work)
            runner = run or keeper_runner(work, progress)
            _run_steps(
                recipe, Installation(recipe.name, recipe.target, base, runner, progress), free
            )
    except OSError as error:
        raise EngineInstallError(
            f"the engine {recipe.name} could not be installed: {error.strerror}: {error.filename}"
        ) from error
    return recipe.python


def make_environment(job: Installation) -> None:
    """Make an empty virtual environment: the first step of every recipe.

    Raises:
        EngineInstallError: the interpreter cannot make one.
    """
    code, output = job.run([str(job.base), "-m", "venv", "--clear", str(job.target)], 300.0)
    if code != 0:
        hint = " (install the system's python3-venv)" if "ensurepip" in output else ""
        raise job.failed(f"{job.base} could not make a virtual environment{hint}", output)


def pip_install(job: Installation, *what: str) -> None:
    """Install with the environment's own pip; add PyTorch's index if torch is not found.

    A build of torch with a local version ("+cpu") lies on that index, or in a local folder.

    Raises:
        EngineInstallError: pip failed.
    """
    command = [str(job.python), "-m", "pip", "install", "--no-input", "--progress-bar", "off"]
    command += ["--disable-pip-version-check", *what]
    code, output = job.run(command, PIP_SECONDS)
    if code != 0 and _NO_TORCH.search(output):
        job.say(f"{job.name} torch is not where pip looks: adding {_TORCH_INDEX}")
        code, output = job.run([*command, "--extra-index-url", _TORCH_INDEX], PIP_SECONDS)
    if code != 0:
        raise job.failed("pip could not install the engine", output)


def add_metadata(job: Installation, name: str, version: str) -> None:
    """Add a distribution of metadata alone: for code that came under another name."""
    folder = f"{name}-{version}.dist-info"
    files = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        "INSTALLER": "trimtab\n",
    }
    files["RECORD"] = "".join(f"{folder}/{one},,\n" for one in (*files, "RECORD"))
    draft = job.site_packages / f".{folder}"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    for one, text in files.items():
        (draft / one).write_text(text, encoding="utf-8")
    draft.replace(job.site_packages / folder)


def _run_steps(recipe: Recipe, job: Installation, free: Callable[[Path], int]) -> None:
    done = _done(recipe)
    if len(done) < 2 and (room := free(recipe.target.parent)) < recipe.needs:
        raise EngineInstallError(
            f"{recipe.target.parent} must have {recipe.needs / 1e9:.0f} GB free, but has "
            f"{room / 1e9:.1f} GB: free some space, or set XDG_DATA_HOME to another disk"
        )
    for number, (step, (sentence, act)) in enumerate(recipe.steps.items(), 1):
        if step in done:
            continue
        job.say(f"{recipe.name} [{number}/{len(recipe.steps)}] {sentence}")
        act(job)
        done.append(step)
        _record(recipe, done)


def _work(target: Path) -> Path:
    """Return the folder of an installation's log, stamp and records."""
    path = target.with_name(f"{target.name}.install")
    path.mkdir(parents=True, exist_ok=True)
    return path


def _fingerprint(recipe: Recipe) -> str:
    described = json.dumps([FORMAT, recipe.described, list(recipe.steps)], sort_keys=True)
    return hashlib.sha256(described.encode()).hexdigest()


def _stamp(recipe: Recipe) -> Path:
    return recipe.target.with_name(f"{recipe.target.name}.install") / "stamp.json"


def _done(recipe: Recipe) -> list[str]:
    """Return the steps that are done; none when the stamp is of another recipe."""
    try:
        stamp = json.loads(_stamp(recipe).read_text(encoding="utf-8"))
        same = stamp["fingerprint"] == _fingerprint(recipe)
        steps = [step for step in recipe.steps if step in stamp["steps"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return steps if same and recipe.target.is_dir() else []


def _record(recipe: Recipe, steps: Sequence[str]) -> None:
    stamp = {"format": FORMAT, "fingerprint": _fingerprint(recipe), "steps": [*steps]}
    path = _stamp(recipe)
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps({**stamp, **recipe.described}, indent=1), encoding="utf-8")
    draft.replace(path)


def _base(recipe: Recipe, python: str | None) -> Path:
    """Return the interpreter to build with.

    Raises:
        UsageError: it is none, or of a version that there is no build for.
    """
    given = shutil.which(python) if python is not None else sys.executable
    if given is None:
        raise UsageError(f"--engine-python must be an interpreter, but {python} is none")
    version = distributions.version(Path(given)) if python is not None else sys.version_info[:2]
    (oldest, newest) = recipe.pythons
    if not oldest <= version <= newest:
        span = _dotted(oldest) if oldest == newest else f"{_dotted(oldest)} to {_dotted(newest)}"
        raise UsageError(
            f"{recipe.what} needs Python {span}, but {given} is {_dotted(version)}: "
            "name another with --engine-python"
        )
    return Path(given)


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
