"""Quill as an engine: its server is the script ``quill`` beside this file."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trimtab.engines import checkpoint, openai_api
from trimtab.errors import UsageError
from trimtab.families import family_named
from trimtab.host import Host, LocalHost
from trimtab.model import Process, Value

ENGINES: Mapping[str, str] = {"quill": "Quill, a server that does not exist"}

SERVER = Path(__file__).with_name("quill")
VERSION = "1.4.0"


@dataclass(frozen=True, slots=True)
class Quill:
    """The only installation of Quill: the script beside this file."""

    name: str = "quill"
    version: str = VERSION
    platform: str = "cpu"
    packages: Mapping[str, str] = field(default_factory=lambda: {"quill-server": VERSION})
    expected_seconds: tuple[float, float] = (1.0, 1.0)
    gate_patience: float = 0.0
    library_folders: tuple[str, ...] = ()
    caveat: str = ""
    where: str = str(SERVER)
    has_idle_device: bool = False

    def with_device_time(self, clock: str) -> Quill:
        """Refuse: it has no device."""
        raise UsageError("--device-time is not for quill")

    def host(self) -> Host:
        """Return this machine."""
        return LocalHost()

    def model(self, asked: str | None) -> tuple[str, tuple[str, ...]]:
        """Return the model that is asked for, or a name."""
        return asked or "quill-model", ()

    def command(self, model: str, args: Sequence[str]) -> tuple[str, ...]:
        """Return ``quill launch MODEL args``."""
        return (str(SERVER), "launch", model, *args)

    def listen(self, port: int) -> tuple[str, ...]:
        """Return host and port."""
        return ("--host", "127.0.0.1", "--port", str(port))

    def environment(self, model: str) -> Mapping[str, str]:
        """Return what every start gets."""
        return {"QUILL_LOG_LEVEL": "info"}

    def cache_environment(self, folder: Path) -> Mapping[str, str]:
        """Return nothing: it compiles nothing."""
        return {}

    def ready(self, url: str, *, key: str | None = None) -> bool:
        """Whether it serves."""
        return openai_api.is_healthy(url, key)

    def roles(self, tree: Sequence[Process]) -> Mapping[int, str]:
        """Return "api" for what runs ``quill launch``, and "helper" for all else."""
        grammar = family_named("quill").grammar
        commands = {process.pid: grammar.command_of(process.cmdline) for process in tree}
        return {
            pid: "api" if grammar.serves(command) else "helper"
            for pid, command in commands.items()
        }

    def reported_config(
        self,
        url: str,
        log: str,
        *,
        pids: Collection[int] | None = None,
        key: str | None = None,
    ) -> Mapping[str, Value]:
        """Return nothing: it does not say."""
        return {}

    def served_name(self, url: str, *, key: str | None = None) -> str:
        """Return the first name of ``/v1/models``."""
        return openai_api.served_name(url, key)

    def vocab(self, model: str) -> int:
        """Return a number of tokens that any model has."""
        return checkpoint.SAFE_VOCAB

    def checkpoint_dtype(self, model: str) -> str | None:
        """Return nothing: it reads no weights."""
        return None

    def explain(self, log: str) -> str:
        """Return the likely cause of a failed start."""
        return family_named("quill").explain(log)

    def cold_start(self, log: str) -> bool | None:
        """Whether it compiled: never."""
        return False


def observer() -> Quill:
    """Return what observes a running Quill."""
    return Quill()


def load(name: str, python: str | None) -> Quill:
    """Return the engine; it is always there."""
    return Quill()
