"""A resource limit that sessions begin with (pam_limits), or that one process is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trimtab.errors import UsageError
from trimtab.facts import Facts
from trimtab.knobs.draft import Draft
from trimtab.knobs.protocol import typed
from trimtab.model import HostWrite, Settings, Value

UNLIMITED = "unlimited"


@dataclass(frozen=True, slots=True)
class LoginLimit:
    """``nofile`` (a number) or ``memlock`` (bytes, or "unlimited"), as prlimit(1) calls them."""

    name: str
    command: str

    @property
    def place(self) -> str:
        """The command that people type."""
        return self.command

    @property
    def setting(self) -> str:
        """See `Knob.setting`."""
        return self.name

    def contribute(self, draft: Draft, value: Value, facts: Facts) -> None:
        """Draft the write."""
        if value is None:
            return
        text = str(value)
        if text != UNLIMITED and not (text.isascii() and text.isdigit()):
            raise UsageError(f"{self.name} must be a number or {UNLIMITED}, but is {value!r}")
        draft.writes[f"limits:{self.name}"] = text

    def parse(self, settings: Settings, writes: Sequence[HostWrite] = ()) -> Value:
        """Return what the writes set."""
        for one in writes:
            if one.path == f"limits:{self.name}":
                return typed(one.text, int)
        return None
