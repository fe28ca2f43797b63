"""One key inside a variable that holds a list: ``PYTORCH_NPU_ALLOC_CONF=key:value,key:value``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from trimtab.errors import UsageError
from trimtab.facts import Facts
from trimtab.knobs.draft import Draft
from trimtab.knobs.protocol import require_text
from trimtab.model import Check, CheckKind, HostWrite, Proves, Settings, Value


@dataclass(frozen=True, slots=True)
class EnvList:
    """A key of a list-valued variable; other keys of the base are kept, in their order."""

    name: str
    key: str
    separator: str = ","
    assign: str = ":"

    @property
    def place(self) -> str:
        """Variable and key."""
        return f"{self.name}[{self.key}]"

    @property
    def setting(self) -> str:
        """See `Knob.setting`."""
        return self.name

    def contribute(self, draft: Draft, value: Value, facts: Facts) -> None:
        """Set, replace or take away the key."""
        others = [pair for pair in self._pairs(draft.env.get(self.name)) if pair[0] != self.key]
        if value is not None:
            text = require_text(self.place, value).strip()
            if self.separator in text:
                raise UsageError(
                    f"{self.place} must not hold {self.separator!r}, but got {text!r}"
                )
            others.append((self.key, text))
        joined = self.separator.join(f"{key}{self.assign}{text}" for key, text in others)
        # An empty list is worse than none: torch_npu takes "" followed by a comma as a key.
        draft.set_env(self.name, joined or None)
        draft.checks.append(
            Check(
                CheckKind.ENVIRON,
                self.name,
                joined or None,
                roles=("api",),
                proves=Proves.DELIVERY,
            )
        )

    def parse(self, settings: Settings, writes: Sequence[HostWrite] = ()) -> Value:
        """Return the key's text; the last one wins."""
        return dict(self._pairs(dict(settings.env).get(self.name))).get(self.key)

    def _pairs(self, text: str | None) -> list[tuple[str, str]]:
        # a separator in brackets belongs to the value: roundup_power2_divisions:[256:1,>:4]
        element = rf"(?:\[[\d>:,\s]*\]|[^{re.escape(self.separator)}])+"
        parts = (part.strip() for part in re.findall(element, text or ""))
        split = (part.partition(self.assign) for part in parts if part)
        return [(key.strip(), value.strip()) for key, _, value in split]
