"""An argument of the server's command line: one with a value, or a switch.

vLLM's parser takes ``--a b`` and ``--a=b``, takes underscores for dashes in the names, and the
last occurrence wins (vLLM 0.32 utils/argparse_utils.py, FlexibleArgumentParser).

One key inside an option that holds a JSON object: ``--additional-config '{"key": value}'``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trimtab.errors import UsageError
from trimtab.facts import Facts
from trimtab.knobs.protocol import Draft, require_text
from trimtab.model import Check, CheckKind, HostWrite, Proof, Settings, Value

AUTO = "auto"

_HUMAN = re.compile(r"(\d+(?:\.\d+)?)([kKmMgGtT])")
_DECIMAL = {"k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def option_name(word: str) -> str:
    """Return the canonical name of an option word: dashes, no ``=value``."""
    return word.partition("=")[0].replace("_", "-")


def human_int(text: str) -> int | None:
    """Parse an integer as vLLM does ("4k" is 4000, "4K" is 4096); ``None`` if it is none."""
    if re.fullmatch(r"[+-]?\d+", text):
        return int(text)
    match = _HUMAN.fullmatch(text)
    if match is None:
        return None
    number, suffix = match.groups()
    if suffix in _DECIMAL:
        return int(float(number) * _DECIMAL[suffix])
    return int(number) * _BINARY[suffix] if number.isdigit() else None


def _checks(name: str, value: Value, config: str) -> list[Check]:
    """Return the checks of an option: what the parser accepted, and what is in effect.

    Engines report the parser's view under ``args.`` (engines, ``reported_config``): it proves
    that the option arrived, for a platform may still overrule it. What "auto" comes to is the
    engine's to say, so nothing is expected of it.
    """
    accepted = f"args.{name.lstrip('-').replace('-', '_')}"
    checks = [Check(CheckKind.CONFIG, accepted, value, proves=Proof.DELIVERY)]
    if config and value != AUTO:
        checks.append(Check(CheckKind.CONFIG, config, value))
    return checks


@dataclass(frozen=True, slots=True)
class Argument:
    """An option with a value. ``config`` is its key in the engine's reported configuration."""

    name: str
    kind: type[str] | type[int] = str
    config: str = ""
    aliases: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """The option."""
        return self.name

    @property
    def setting(self) -> str:
        """See `Knob.setting`."""
        return self.name

    def contribute(self, draft: Draft, value: Value, facts: Facts) -> None:
        """Replace every occurrence by one at the end."""
        spans = list(self._occurrences(draft.argv))
        for start, length in reversed(spans):
            del draft.argv[start : start + length]
        if value is None:
            return
        text = require_text(self.name, value)
        # A value that looks like an option must be joined, or the parser would take it for one.
        draft.argv += [f"{self.name}={text}"] if text.startswith("-") else [self.name, text]
        draft.checks += _checks(self.name, value, self.config)

    def parse(self, settings: Settings, writes: Sequence[HostWrite] = ()) -> Value:
        """Return the last occurrence's value."""
        found: str | None = None
        for start, length in self._occurrences(settings.argv):
            word = settings.argv[start]
            found = settings.argv[start + 1] if length == 2 else word.partition("=")[2]
        if found is None or self.kind is str:
            return found
        number = human_int(found)
        return found if number is None else number

    def _occurrences(self, argv: Sequence[str]) -> Iterator[tuple[int, int]]:
        """Yield (index, number of words) of each occurrence."""
        names = {self.name, *self.aliases}
        index = 0
        while index < len(argv):
            word = argv[index]
            length = 1
            if word.startswith("-") and option_name(word) in names:
                if "=" not in word:
                    if index + 1 >= len(argv):
                        raise UsageError(f"{word} must be followed by its value")
                    length = 2
                yield index, length
            index += length


@dataclass(frozen=True, slots=True)
class Switch:
    """An option without a value. ``negatable``: ``--no-name`` exists and means False."""

    name: str
    config: str = ""
    negatable: bool = True

    @property
    def place(self) -> str:
        """The option."""
        return self.name

    @property
    def _negative(self) -> str:
        return f"--no-{self.name.removeprefix('--')}"

    @property
    def setting(self) -> str:
        """See `Knob.setting`."""
        return self.name

    def contribute(self, draft: Draft, value: Value, facts: Facts) -> None:
        """Take away every occurrence, then add the one that says the value."""
        if value is not None and not isinstance(value, bool):
            raise UsageError(f"{self.name} must be true or false, but got {value!r}")
        if value is False and not self.negatable:
            raise UsageError(f"{self.name} cannot be negated: leave it out instead")
        names = {self.name, self._negative}
        draft.argv[:] = [word for word in draft.argv if option_name(word) not in names]
        if value is None:
            return
        draft.argv.append(self.name if value else self._negative)
        draft.checks += _checks(self.name, value, self.config)

    def parse(self, settings: Settings, writes: Sequence[HostWrite] = ()) -> Value:
        """Return what the last occurrence says."""
        found: bool | None = None
        for word in settings.argv:
            if option_name(word) == self.name:
                found = True
            elif self.negatable and option_name(word) == self._negative:
                found = False
        return found


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
        draft.checks.append(Check(CheckKind.CONFIG, name, value, proves=Proof.DELIVERY))

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
