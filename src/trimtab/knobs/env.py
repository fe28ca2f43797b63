"""An environment variable of the server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trimtab.facts import Facts
from trimtab.knobs.draft import Draft
from trimtab.knobs.protocol import require_text, typed
from trimtab.model import Check, CheckKind, HostWrite, Proves, Settings, Value


@dataclass(frozen=True, slots=True)
class Env:
    """A variable that holds one value; ``kind`` is what ``parse`` returns its text as."""

    name: str
    kind: type[str] | type[int] = str

    @property
    def place(self) -> str:
        """The variable's name."""
        return self.name

    @property
    def setting(self) -> str:
        """See `Knob.setting`."""
        return self.name

    def contribute(self, draft: Draft, value: Value, facts: Facts) -> None:
        """Set the variable. The default check proves only that it arrived."""
        text = None if value is None else require_text(self.name, value)
        draft.set_env(self.name, text)
        draft.checks.append(
            Check(CheckKind.ENVIRON, self.name, text, roles=("api",), proves=Proves.DELIVERY)
        )

    def parse(self, settings: Settings, writes: Sequence[HostWrite] = ()) -> Value:
        """Return the variable's value."""
        text = dict(settings.env).get(self.name)
        return None if text is None else typed(text, self.kind)
