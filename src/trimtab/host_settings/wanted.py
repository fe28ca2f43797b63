"""Which host settings are asked for: by a profile, a preset, or one by one."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.catalog import CATALOG, require_known
from trimtab.errors import UsageError
from trimtab.model import Candidate, Scope, Value, candidate
from trimtab.presets import DOCUMENTED


def of_preset(name: str) -> Candidate:
    """Return the host settings of a preset, also those that cannot be made on this machine.

    A preset's candidate leaves these out; a plan has to show them with the reason.

    Raises:
        UsageError: there is no such preset.
    """
    if name not in DOCUMENTED:
        raise UsageError(f"--preset must be one of {', '.join(DOCUMENTED)}, but is {name!r}")
    return DOCUMENTED[name].of_host()


def of_host(chosen: Candidate) -> Candidate:
    """Return the part of a candidate that changes the host."""
    require_known(CATALOG, [name for name, _ in chosen])
    values = {name: value for name, value in chosen if CATALOG[name].scope is Scope.HOST}
    return candidate({name: value for name, value in values.items() if value is not None})


def with_words(chosen: Candidate, words: Sequence[str]) -> Candidate:
    """Return a candidate with the settings of ``NAME=VALUE`` words on top.

    Raises:
        UnknownTuningError: a name is no entry of the catalogue.
        UsageError: a word is not NAME=VALUE, or no setting of the host.
    """
    values: dict[str, Value] = dict(chosen)
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not text:
            raise UsageError(f"--set must be NAME=VALUE, but is {word!r}")
        require_known(CATALOG, [name])
        if name not in CATALOG or CATALOG[name].scope is not Scope.HOST:
            raise UsageError(
                f"--set takes settings of the host, but {name} is none: 'trimtab catalog' tells"
            )
        values[name] = int(text) if text.isascii() and text.isdigit() else text
    return candidate(values)
