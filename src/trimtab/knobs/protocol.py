"""What a knob is: the mechanism by which a tuning acts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from trimtab.errors import UsageError
from trimtab.facts import Facts
from trimtab.knobs.draft import Draft
from trimtab.model import HostWrite, Settings, Value


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


def typed(text: str, kind: type[str] | type[int]) -> Value:
    """Return text as the kind of value the knob holds; text that is no such number stays text."""
    if kind is int:
        try:
            return int(text)
        except ValueError:
            return text
    return text
