"""The draft: a plan while knobs write into it. Mutable, short-lived, never shown."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from trimtab.model import Check, HostWrite, Settings

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
            preload=list(preloaded(settings)),
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


def preloaded(settings: Settings) -> tuple[str, ...]:
    """Return the libraries of ``LD_PRELOAD`` first to last; ld.so splits it at colon and space."""
    inherited = re.split(r"[:\s]+", dict(settings.env).get(PRELOAD, ""))
    return (*settings.preload, *(path for path in inherited if path))
