"""What a knob is: the mechanism by which a tuning acts.

The draft: a plan while knobs write into it. Mutable, short-lived, never shown.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from trimtab.errors import UsageError
from trimtab.facts import Facts
from trimtab.model import Check, HostWrite, Settings, Value

PRELOAD = "LD_PRELOAD"


@dataclass(slots=True)
class Draft:
    """Settings, host writes and checks under construction.

    ``LD_PRELOAD`` of the base becomes ``preload``, so there is one place for it.
    """

    argv: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    unset: set[str] = field(default_factory=set)
    preload: list[str] = field(default_factory=list)
    affinity: tuple[int, ...] | None = None
    writes: dict[str, str] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)

    @classmethod
    def of(cls, settings: Settings) -> Draft:
        """Return a draft that starts from these settings."""
        env = dict(settings.env)
        return cls(
            argv=list(settings.argv),
            env={name: value for name, value in env.items() if name != PRELOAD},
            unset=set(settings.unset),
            preload=list(preload_libraries(settings)),
            affinity=settings.affinity,
        )

    def set_env(self, name: str, value: str | None) -> None:
        """Set a variable, or with ``None`` make sure that the server does not get it."""
        if value is None:
            self.env.pop(name, None)
            self.unset.add(name)
        else:
            self.unset.discard(name)
            self.env[name] = value

    def settings(self) -> Settings:
        """Return what was drafted as settings, in canonical order."""
        return Settings(
            argv=tuple(self.argv),
            env=tuple(sorted(self.env.items())),
            unset=tuple(sorted(self.unset)),
            preload=tuple(self.preload),
            affinity=self.affinity,
        )

    def host_writes(self) -> tuple[HostWrite, ...]:
        """Return the host writes in the order in which they were drafted."""
        return tuple(HostWrite(path, text) for path, text in self.writes.items())


def preload_libraries(settings: Settings) -> tuple[str, ...]:
    """Return the libraries of ``LD_PRELOAD`` first to last; ld.so splits it at colon and space."""
    inherited = re.split(r"[:\s]+", dict(settings.env).get(PRELOAD, ""))
    return (*settings.preload, *(path for path in inherited if path))


class Knob(Protocol):
    """One mechanism, bound to one place (a variable, a flag, a file).

    A value of ``None`` means "not set at all": contributing it takes away what the base has.
    """

    @property
    def place(self) -> str:
        """Return where the knob acts, as people write it: ``--dtype``, ``vm.swappiness``."""
        ...

    @property
    def setting(self) -> str:
        """Return the name under which a scene holds it: variable, option, or kernel path."""
        ...

    def contribute(self, draft: Draft, value: Value, facts: Facts) -> None:
        """Add the value to the draft, and the check that shows it in the live server.

        Raises:
            UsageError: the value cannot be expressed by this knob.
            LibraryMissingError: a library to preload is not installed.
        """
        ...

    def parse(self, settings: Settings, writes: Sequence[HostWrite] = ()) -> Value:
        """Return the value that settings (and host writes) hold here, ``None`` if not set."""
        ...


def require_text(place: str, value: Value) -> str:
    """Return a value as the text that is written; booleans as 1 and 0.

    Raises:
        UsageError: it holds a character that no environment or kernel file can carry.
    """
    if isinstance(value, bool):
        return "1" if value else "0"
    text = str(value)
    if "\0" in text or "\n" in text:
        raise UsageError(f"{place} must be one line of text, but got {text!r}")
    return text


def parse_value(text: str, kind: type[str] | type[int]) -> Value:
    """Return text as the kind of value the knob holds; text that is no such number stays text."""
    if kind is int:
        try:
            return int(text)
        except ValueError:
            return text
    return text
