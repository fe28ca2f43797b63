"""The view of a machine: its facts, and what a server started from this environment would get."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trimtab import facts as all_facts
from trimtab.catalog import Scene
from trimtab.diagnosis import allocator
from trimtab.diagnosis.records import DiagnosisView, InspectedProcess
from trimtab.environments import distributions
from trimtab.errors import UsageError
from trimtab.facts import Facts, packages, python_build, situation
from trimtab.families import program_names
from trimtab.host import Host
from trimtab.model.document import Origin, Setting
from trimtab.model.situation import Situation


@dataclass(frozen=True, slots=True)
class PythonEnvironment:
    """A Python environment that serves: its interpreter, and packages by canonical name."""

    python: str
    packages: Mapping[str, str]


def find_environment(host: Host, python: str | None, *, local: bool) -> PythonEnvironment:
    """Return the environment a server would run in.

    It is ``python``'s, else that of ``vllm`` on PATH, else none ("" as its interpreter). In a
    snapshot nothing but its files can be asked.

    Raises:
        UsageError: ``python`` is no program of this machine.
    """
    if python and local:
        python = _program(python)
    chosen = python or (_default_python() if local else "/usr/bin/python3")
    return PythonEnvironment(chosen, packages.read(host, chosen) if chosen else {})


def _program(named: str) -> str:
    """Return the program that a name or a path means, as a shell finds it."""
    found = shutil.which(named)
    if found is None:
        raise UsageError(
            f"--python must be the program of an interpreter, such as /venv/bin/python: {named} "
            f"{'is a folder' if Path(named).is_dir() else 'is none'}"
        )
    return os.path.abspath(found)  # noqa: PTH100  links lead out of a virtual environment


def _default_python() -> str:
    script = next(filter(None, map(shutil.which, program_names())), None)
    path = distributions.script_interpreter(Path(script)) if script else None
    return str(path) if path is not None else ""


def settings_of(env: Mapping[str, str], origin: Origin) -> dict[str, Setting]:
    """Return variables as settings without a place."""
    return {name: Setting(name, text, origin=origin) for name, text in env.items()}


def kernel_settings(facts: Facts) -> dict[str, Setting]:
    """Return the machine's kernel settings, by path."""
    return {
        _pattern(path): Setting(_pattern(path), fact.value, origin=Origin.HOST)
        for path, fact in facts.kernel.settings.items()
        if fact.value is not None
    }


def _pattern(path: str) -> str:
    return path.replace("/cpu0/", "/cpu*/")


def view(
    host: Host,
    env: Mapping[str, str],
    environment: PythonEnvironment,
    *,
    local: bool,
    told: Situation | None = None,
) -> DiagnosisView:
    """Return the view of a machine; ``env`` is what a server started here would inherit.

    ``local``: it is this machine, so a child process may be asked. ``told`` is what the user says
    of the situation, and outranks what is read.
    """
    from trimtab.linter.scenes import merge_situations

    found = all_facts.inspect(host, environment.packages, "cpu")
    here = situation.situation_of(found, environment.packages)
    known = merge_situations(told, here) if told is not None else here
    scene = Scene(
        situation=known,
        env=settings_of(env, Origin.SHELL),
        host=kernel_settings(found),
        affinity=_narrowed(found),
        complete=True,
        implied=True,
    )
    own = allocator.shell_allocator(host, env, (environment.python or None) if local else None)
    return DiagnosisView(
        facts=found,
        situation=known,
        processes=(InspectedProcess(scene, "this environment", allocator=own),),
        build=python_build.read(host, environment.python, known.distribution or ""),
        interpreter=environment.python,
        packages=environment.packages,
        unread=read_failures(found),
    )


def _narrowed(facts: Facts) -> tuple[int, ...] | None:
    """Return the CPUs of this process if they are fewer than the machine has."""
    allowed, online = facts.limits.allowed.value, facts.cpu.online.value
    return allowed if allowed and online and set(allowed) < set(online) else None


def read_failures(facts: Facts) -> tuple[str, ...]:
    """Return what could not be read for another reason than that it is not there."""
    said: list[str] = []
    groups: Sequence[object] = (facts.cpu, facts.memory, facts.kernel, facts.limits)
    for group in groups:
        for name in group.__slots__:  # type: ignore[attr-defined]
            fact = getattr(group, name)
            if getattr(fact, "reason", "") not in ("", "does not say"):
                said.append(f"{name.replace('_', ' ')}: {fact.reason}")
    return tuple(said)
