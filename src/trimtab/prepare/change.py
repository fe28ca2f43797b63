"""What a step changes on a machine, as values: shown in a dry run, journalled, then done."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Replace:
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
class Packages:
    """Packages of the operating system get installed; undo removes those that were not there."""

    manager: str
    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"{' '.join(install_command(self.manager))} {' '.join(self.names)}"


@dataclass(frozen=True, slots=True)
class Commands:
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
class Managed:
    """The managed engine ``name`` gets installed at ``path``; undo removes it."""

    name: str
    path: str
    python: str
    env: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"trimtab engine install {self.name}   (into {self.path})"


Change = Replace | Packages | Commands | Managed


def install_command(manager: str) -> tuple[str, ...]:
    """Return the command that installs packages without asking."""
    if manager == "apt":
        return ("apt-get", "install", "--yes", "--no-install-recommends")
    return ("dnf", "install", "--assumeyes", "--setopt=install_weak_deps=False")
