"""One key inside an option that holds a JSON object: ``--additional-config '{"key": value}'``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trimtab.errors import UsageError
from trimtab.facts import Facts
from trimtab.knobs.draft import Draft
from trimtab.knobs.server_arg import Argument
from trimtab.model import Check, CheckKind, HostWrite, Proves, Settings, Value


@dataclass(frozen=True, slots=True)
class JsonKey:
    """A key at the top of the object, or below with dots in ``key``; other keys are kept."""

    option: str
    key: str

    @property
    def place(self) -> str:
        """Option and key."""
        return f"{self.option}[{self.key}]"

    @property
    def setting(self) -> str:
        """See `Knob.setting`."""
        return self.option

    def contribute(self, draft: Draft, value: Value, facts: Facts) -> None:
        """Set, replace or take away the key.

        Raises:
            UsageError: the option of the base is no JSON object.
        """
        argument = Argument(self.option)
        text = argument.parse(draft.settings())
        whole = load_object(str(text)) if text is not None else {}
        if whole is None:
            raise UsageError(f"{self.option} must be a JSON object, but is {text!r}")
        *above, last = self.key.split(".")
        inner = whole
        for name in above:
            below = inner.setdefault(name, {})
            if not isinstance(below, dict):
                raise UsageError(f"{self.option} must hold an object at {name!r}")
            inner = below
        inner.pop(last, None)
        if value is not None:
            inner[last] = value
        argument.contribute(draft, json.dumps(whole) if whole else None, facts)
        name = f"args.{self.option.lstrip('-').replace('-', '_')}.{self.key}"
        draft.checks.append(Check(CheckKind.CONFIG, name, value, proves=Proves.DELIVERY))

    def parse(self, settings: Settings, writes: Sequence[HostWrite] = ()) -> Value:
        """Return the key's value; an object or a list as JSON text."""
        try:
            text = Argument(self.option).parse(settings)
        except UsageError:  # the option is the last word, and has no value
            return None
        found: Any = load_object(str(text)) if text is not None else None
        for name in self.key.split("."):
            if not isinstance(found, Mapping) or name not in found:
                return None
            found = found[name]
        if found is None or isinstance(found, str | int | float | bool):
            return found
        return json.dumps(found)


def load_object(text: str) -> dict[str, Any] | None:
    """Return a JSON object, ``None`` if the text is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
