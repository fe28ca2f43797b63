"""The Ascend emulator as an engine: genuine vLLM with vllm-ascend, over a stand-in device.

The process tree, the log and the errors are the vendors' own; what it computes is meaningless, and
its speed is that of the host's part of the work. TRIMTAB_EMULATOR in the environment describes
the machine it plays, such as "chip=910_93 devices=2"; see :class:`EmulatedMachine`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from trimtab.emulator import LABEL, build, environments, tree
from trimtab.emulator.machine import EmulatedHost, EmulatedMachine
from trimtab.engines import default_model
from trimtab.engines.vllm import engine
from trimtab.engines.vllm.engine import Vllm, VllmObserver
from trimtab.environments import managed_environment
from trimtab.errors import UsageError
from trimtab.host import Host

ENGINES: Mapping[str, str] = {
    environments.NAME: "vLLM with vllm-ascend over a stand-in device, for host overhead and checks"
}
INSTALLABLE = (environments.NAME,)
CAVEATS: Mapping[str, str] = {environments.NAME: LABEL}
FORMER_NAMES: Mapping[str, str] = {"ascend-rehearsal": environments.NAME}

MACHINE = "TRIMTAB_EMULATOR"
"""The variable that describes the machine to play."""

FORMER_MACHINE = "TRIMTAB_REHEARSAL"
"""What an earlier trimtab called that variable; it counts where ``MACHINE`` is not set."""

MODELLED = "the device's time is a model, not a measurement"
"""What is said beside the label where the device takes time."""

EAGER = "--enforce-eager"
"""A model's default argument: without graphs each operator is dispatched by the host."""


@dataclass(frozen=True, slots=True)
class AscendEmulator(Vllm):
    """The emulator's installation, and the machine it plays; the caveat follows from that.

    One that is not ``installed`` can show a design, and start nothing.
    """

    stand_in: EmulatedMachine = field(default_factory=EmulatedMachine)
    installed: bool = True
    caveat: str = field(init=False, default=LABEL)

    def __post_init__(self) -> None:
        if self.stand_in.clock:
            object.__setattr__(self, "caveat", f"{LABEL}; {MODELLED}")

    def model(self, asked: str | None) -> tuple[str, tuple[str, ...]]:
        """Return the model and its arguments: dummy weights always, for no operator reads them."""
        model, args = Vllm.model(self, asked)
        return model, (*dict.fromkeys((*args, *default_model.ARGS)), EAGER)

    def environment(self, model: str) -> Mapping[str, str]:
        """Return vLLM's own settings, and what leads the vendors' code to the stand-in.

        Beside them npu-smi and the files of CANN are laid down, as the machine has them.

        Raises:
            EngineError: the stand-in cannot be built.
            UsageError: the stand-in cannot play the machine, or its fault names an operator that
                torch_npu does not have.
        """
        libraries = self._libraries()
        return {
            **Vllm.environment(self, model),
            **self.stand_in.environment(libraries, os.environ.get("PYTHONPATH", "")),
            **tree.write_tree(self.stand_in, _folder(), os.environ.get("PATH", os.defpath)),
        }

    def _libraries(self) -> Path:
        assert self.python is not None
        self.stand_in.check()
        if not self.installed:  # nothing to build for; what is shown is where it will lie
            return build.cache("standin")
        libraries = build.libraries(environments.site_packages(self.python))
        unknown = set(self.stand_in.faulty_operators())
        if unknown and (unknown := unknown - build.operators(libraries)):
            raise UsageError(
                f"fault must name operators that torch_npu {environments.TORCH_NPU} has, such as "
                f"aclnnMatmul, but names {', '.join(sorted(unknown))}"
            )
        return libraries

    @property
    def has_idle_device(self) -> bool:
        """Whether the stand-in has no model of the device's time."""
        return not self.stand_in.clock

    def with_device_time(self, clock: str) -> AscendEmulator:
        """Return the engine with a device that takes time by the model ``clock``.

        Raises:
            UsageError: the stand-in has no such model.
        """
        played = replace(self.stand_in, clock=clock)
        played.check()
        return replace(self, stand_in=played)

    def host(self) -> Host:
        """Return this machine with the NPUs that it plays."""
        tree.write_tree(self.stand_in, _folder(), os.environ.get("PATH", os.defpath))
        return EmulatedHost(_folder())


def _folder() -> Path:
    return build.cache("standin-machine")


def observer() -> VllmObserver:
    """Return what observes a running emulator: it is a vLLM like any other."""
    return VllmObserver()


def load(name: str, python: str | None) -> AscendEmulator | None:
    """Return the installation; ``None`` if this machine has none.

    Raises:
        UsageError: the description of the machine to play does not parse.
    """
    path = managed_environment.interpreter(environments.engine())
    return None if path is None else _emulator(engine.inspect(name, path))


def of_command(
    argv: Sequence[str], environment: Mapping[str, str], measured: str
) -> AscendEmulator | None:
    """Return the emulator if a profile was measured on it: its command is a vLLM's.

    Raises:
        EngineMissingError: it is not installed.
    """
    if measured not in ENGINES:
        return None
    found = load(measured, None)
    return found if found is not None else assume(measured)


def install(name: str, python: str | None, progress: Callable[[str], None]) -> AscendEmulator:
    """Install the emulator's environment, unless it is there, and return the engine."""
    path = managed_environment.install(environments.engine(), python, progress)
    return _emulator(engine.inspect(name, path))


def assume(name: str) -> AscendEmulator:
    """Return the engine as its installation would make it."""
    python = environments.engine().python
    script = python.with_name("vllm")
    emulator = _emulator(Vllm(name, environments.VLLM, "ascend", {}, python, script))
    return replace(emulator, installed=False)


def machine(text: str) -> EmulatedMachine:
    """Read a description of the machine to play: words such as ``chip=910_93 devices=2``.

    Raises:
        UsageError: a word names no property of :class:`EmulatedMachine`, or one that was named
        before, or
            not in its form.
    """
    known = {one.name: one.default for one in fields(EmulatedMachine)}
    given: dict[str, Any] = {}
    for word in text.split():
        name, _, value = word.partition("=")
        read = _READ.get(type(known.get(name)))
        if read is None or not re.fullmatch(read[0], value):
            raise UsageError(
                f"{MACHINE} must hold words such as chip=910B3 devices=2, of "
                f"{', '.join(known)}, but holds {word!r}"
            )
        if name in given:
            raise UsageError(f"{MACHINE} must name each property once, but names {name} twice")
        given[name] = read[1](value)
    return replace(EmulatedMachine(), **given)


_READ: Mapping[type, tuple[str, Callable[[str], Any]]] = {
    str: (r".+", str),
    int: (r"\d+", int),
    bool: (r"[01]", lambda text: text == "1"),
    tuple: (r".+", lambda text: tuple(text.split(";"))),
}
"""The form of a field's text by the field's type, and how it is read."""


def _emulator(vllm: Vllm) -> AscendEmulator:
    return AscendEmulator(
        name=vllm.name,
        version=environments.VLLM,
        platform="ascend",
        packages=vllm.packages or environments.PACKAGES,
        python=vllm.python,
        script=vllm.script,
        expected_seconds=(60.0, 60.0),
        stand_in=machine(os.environ.get(MACHINE) or os.environ.get(FORMER_MACHINE, "")),
    )
