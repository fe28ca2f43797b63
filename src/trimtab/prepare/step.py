"""What a step of the preparation is: a check, what it would change, and the same as a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from trimtab.facts import Facts
from trimtab.host import Host
from trimtab.prepare.change import Change
from trimtab.prepare.recipe import Instruction
from trimtab.prepare.system import Base, System
from trimtab.prepare.target import Wish


class State(StrEnum):
    """What a check finds. Unknown is not yes: it says what could not be read."""

    SATISFIED = "satisfied"
    MISSING = "missing"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found, and one sentence that says it."""

    state: State
    sentence: str


@dataclass(frozen=True, slots=True)
class Scene:
    """A machine as it is, and what is wanted of it.

    ``python`` is the interpreter that the engine's environment is made with, or has; ``packages``
    are the distributions of that environment (name → version). ``local``: it is this machine, not
    a captured one. ``chosen``: the user named the interpreter. ``built_for`` is what the installed
    vllm-ascend says its chip is (`trimtab.prepare.wheels`), "" where that cannot be read.
    """

    host: Host
    facts: Facts
    system: System
    wish: Wish
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

    def check(self, scene: Scene) -> Finding:
        """Say whether the machine has what the step is for. Reads only."""
        ...

    def changes(self, scene: Scene) -> tuple[Change, ...]:
        """Return what would make it so on this machine; nothing where only a person can.

        Raises:
            TrimtabError: what is wanted cannot work; the message says why.
        """
        ...

    def recipe(self, wish: Wish, base: Base) -> tuple[Instruction, ...]:
        """Return the same as instructions for an image or a script on ``base``."""
        ...
