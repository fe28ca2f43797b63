"""The scripted engine: a small real HTTP server with known behaviour, for tests.

It runs wherever trimtab runs, behaves like vLLM 0.32 for CPU to everything that looks at it, and
its speed is a known function of its settings. The variable TRIMTAB_SCRIPTED names a file that
changes its behaviour; it is inherited like any other.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trimtab.engines import checkpoint, openai_api
from trimtab.engines.vllm import engine
from trimtab.engines.vllm import report as vllm_roles
from trimtab.engines.vllm.family import FAMILY
from trimtab.errors import UsageError
from trimtab.host import Host, LocalHost
from trimtab.model import Process, Value
from trimtab.model.platforms import CPU, PLATFORMS

ENGINES: Mapping[str, str] = {"scripted": "a small server with known behaviour, for tests"}

SERVER = Path(__file__).with_name("server.py")
MODEL = "scripted-model"
VERSION = "0.32.0+cpu"
"""The version it passes for, so that the catalogue judges it as that vLLM."""


@dataclass(frozen=True, slots=True)
class Scripted:
    """The scripted engine of this installation of trimtab."""

    name: str = "scripted"
    version: str = VERSION
    platform: str = "cpu"
    packages: Mapping[str, str] = field(default_factory=lambda: {"vllm": VERSION})
    expected_seconds: tuple[float, float] = (2.0, 2.0)
    gate_patience: float = 0.0
    library_folders: tuple[str, ...] = ()
    caveat: str = ""

    @property
    def where(self) -> str:
        """The server's script."""
        return str(SERVER)

    @property
    def has_idle_device(self) -> bool:
        """It has no device whose time could be told apart."""
        return False

    def with_device_time(self, clock: str) -> Scripted:
        """Refuse: it has no device."""
        raise UsageError(f"--device-time is a model for ascend-emulator, not for {self.name}")

    def host(self) -> Host:
        """Return this machine."""
        return LocalHost()

    def model(self, asked: str | None) -> tuple[str, tuple[str, ...]]:
        """Return ``asked``, or a name: it reads no model."""
        return asked or MODEL, ()

    def command(self, model: str, args: Sequence[str]) -> tuple[str, ...]:
        """Return the script's command line, run without site packages: it starts at once."""
        return (sys.executable, "-I", "-S", str(SERVER), "serve", model, *args)

    def listen(self, port: int) -> tuple[str, ...]:
        """Return host and port."""
        return ("--host", "127.0.0.1", "--port", str(port))

    def environment(self, model: str) -> Mapping[str, str]:
        """Nothing but what is inherited."""
        return {}

    def cache_environment(self, folder: Path) -> Mapping[str, str]:
        """Nothing: it compiles nothing."""
        return {}

    def ready(self, url: str, *, key: str | None = None) -> bool:
        """Whether ``/health`` answers 200."""
        return openai_api.is_healthy(url, key)

    def roles(self, tree: Sequence[Process]) -> Mapping[int, str]:
        """Return vLLM's roles; the process that runs the script serves the API."""
        found = vllm_roles.roles(tree)
        for process in tree:
            copy = found.get(process.ppid) == "api"
            if found[process.pid] == "helper" and str(SERVER) in process.cmdline and not copy:
                found[process.pid] = "api"
        return found

    def reported_config(
        self,
        url: str,
        log: str,
        *,
        pids: Collection[int] | None = None,
        key: str | None = None,
    ) -> Mapping[str, Value]:
        """Return what the server reports, by vLLM's own ways."""
        return engine.reported_config(url, log, pids=pids, key=key)

    def served_name(self, url: str, *, key: str | None = None) -> str:
        """Return the first name of ``/v1/models``."""
        return openai_api.served_name(url, key)

    def vocab(self, model: str) -> int:
        """Any token will do."""
        return checkpoint.SAFE_VOCAB

    def checkpoint_dtype(self, model: str) -> str | None:
        """It plays a checkpoint of bfloat16, like the built-in model."""
        return "bfloat16"

    def explain(self, log: str) -> str:
        """Return the likely cause of a failed start."""
        return FAMILY.explain(log)

    def cold_start(self, log: str) -> bool | None:
        """It compiles nothing."""
        return False


def observer() -> Scripted:
    """Return what observes a running scripted server: the engine itself."""
    return Scripted()


def load(name: str, python: str | None) -> Scripted:
    """Return the engine; it is always there, and plays the platform that its file names."""
    return Scripted(platform=_platform())


def of_command(
    argv: Sequence[str], environment: Mapping[str, str], measured: str
) -> Scripted | None:
    """Return the engine if a command starts its script."""
    return load("scripted", None) if str(SERVER) in argv else None


def _platform() -> str:
    """Return the platform that TRIMTAB_SCRIPTED's file names; the server judges the file."""
    try:
        given = json.loads(Path(os.environ["TRIMTAB_SCRIPTED"]).read_text(encoding="utf-8"))
    except (KeyError, OSError, ValueError):
        return CPU
    named = given.get("platform") if isinstance(given, dict) else None
    return named if named in PLATFORMS else CPU
