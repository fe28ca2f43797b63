"""What a step of the preparation is: a check, what it would change, and the same as a recipe.

A recipe: instructions that a Dockerfile and a shell script can both be written from.

Scripts are of POSIX sh, a tuple of lines each, and run with ``set -eu``.

What a step changes on a machine, as values: shown in a dry run, journalled, then done.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from trimtab.facts import Facts
from trimtab.host import Host
from trimtab.prepare.system import Base, System
from trimtab.prepare.target import PrepareOptions


@dataclass(frozen=True, slots=True)
class BuildArgument:
    """A value of the build: never part of the image. Without a default it may stay unset."""

    name: str
    comment: str
    default: str | None = None


@dataclass(frozen=True, slots=True)
class EnvVariable:
    """A variable that whatever runs afterwards has; ``value`` may refer to others as ``${X}``."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class RootScript:
    """Commands that run as root. ``unpinned``: it installs what the distribution has now.

    ``once`` is a test (of sh) that is true where nothing is to do any more; an image is built
    from nothing, and does without.
    """

    lines: tuple[str, ...]
    unpinned: bool = False
    once: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """A comment: what the reader has to do or to know."""

    text: str


Instruction = BuildArgument | EnvVariable | RootScript | Note


@dataclass(frozen=True, slots=True)
class FileReplacement:
    """A file gets another text; the old one is kept, and comes back with undo."""

    path: str
    before: str
    after: str

    def __str__(self) -> str:
        old, new = self.before.splitlines(), self.after.splitlines()
        lines = [f"- {line}" for line in old if line not in new]
        lines += [f"+ {line}" for line in new if line not in old]
        return "\n".join([f"replace {self.path} (the old one is kept):", *lines])


@dataclass(frozen=True, slots=True)
class PackageInstallation:
    """Packages of the operating system get installed; undo removes those that were not there."""

    manager: str
    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"{' '.join(install_command(self.manager))} {' '.join(self.names)}"


@dataclass(frozen=True, slots=True)
class CommandRun:
    """Commands fill a folder. Where it is new, undo removes it with all that is in it.

    ``env`` is added to the environment of the commands. ``makes``: they make the folder anew, so
    that the mark of ours goes in when they have ended.
    """

    folder: str
    commands: tuple[tuple[str, ...], ...]
    env: Mapping[str, str] = field(default_factory=dict)
    makes: bool = False

    def __str__(self) -> str:
        given = "".join(f"{name}={shlex.quote(value)} " for name, value in self.env.items())
        return "\n".join(f"{given}{shlex.join(words)}" for words in self.commands)


@dataclass(frozen=True, slots=True)
class EngineInstallation:
    """The managed engine ``name`` gets installed at ``path``; undo removes it."""

    name: str
    path: str
    python: str
    env: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"trimtab engine install {self.name}   (into {self.path})"


Change = FileReplacement | PackageInstallation | CommandRun | EngineInstallation


def install_command(manager: str) -> tuple[str, ...]:
    """Return the command that installs packages without asking."""
    if manager == "apt":
        return ("apt-get", "install", "--yes", "--no-install-recommends")
    return ("dnf", "install", "--assumeyes", "--setopt=install_weak_deps=False")


class CheckState(StrEnum):
    """What a check finds. Unknown is not yes: it says what could not be read."""

    SATISFIED = "satisfied"
    MISSING = "missing"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True, slots=True)
class StepFinding:
    """What a check found, and one sentence that says it."""

    state: CheckState
    sentence: str


@dataclass(frozen=True, slots=True)
class MachineScene:
    """A machine as it is, and what is wanted of it.

    ``python`` is the interpreter that the engine's environment is made with, or has; ``packages``
    are the distributions of that environment (name → version). ``local``: it is this machine, not
    a captured one. ``chosen``: the user named the interpreter. ``built_for`` is what the installed
    vllm-ascend says its chip is (`trimtab.prepare.wheels`), "" where that cannot be read.
    """

    host: Host
    facts: Facts
    system: System
    wish: PrepareOptions
    python: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)
    local: bool = True
    chosen: bool = False
    built_for: str = ""


class Step(Protocol):
    """One step. It is idempotent: where its check is satisfied there is nothing to change."""

    @property
    def name(self) -> str:
        """The name, as ``--only`` takes it."""
        ...

    @property
    def summary(self) -> str:
        """What the step does, in one sentence."""
        ...

    @property
    def reason(self) -> str:
        """Why it stands where it stands in the order."""
        ...

    def check(self, scene: MachineScene) -> StepFinding:
        """Say whether the machine has what the step is for. Reads only."""
        ...

    def changes(self, scene: MachineScene) -> tuple[Change, ...]:
        """Return what would make it so on this machine; nothing where only a person can.

        Raises:
            TrimtabError: what is wanted cannot work; the message says why.
        """
        ...

    def recipe(self, wish: PrepareOptions, base: Base) -> tuple[Instruction, ...]:
        """Return the same as instructions for an image or a script on ``base``."""
        ...
