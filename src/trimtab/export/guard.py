"""What can be exported at all: settings that a script or unit can carry without a change."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from trimtab.errors import StudyError
from trimtab.model import Settings
from trimtab.redaction import redact_settings

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SHELL_OWN = frozenset(
    {
        "TRIMTAB_HOST",
        "TRIMTAB_PORT",
        "_",
        "BASHOPTS",
        "EUID",
        "GROUPS",
        "LINENO",
        "OPTIND",
        "PPID",
        "PWD",
        "SHELLOPTS",
        "UID",
    }
)
"""Variables that the artefacts use, or that a shell keeps for itself (setting them fails)."""


def exportable_settings(settings: Settings) -> Settings:
    """Return ``settings`` less secrets, after making sure that artefacts can carry the rest.

    The affinity comes sorted: it is a set of CPUs.

    Raises:
        StudyError: something in them has no form in a script; the message names it.
    """
    if not settings.argv or not settings.argv[0].startswith("/"):
        raise StudyError(
            "an exported command must begin with the absolute path of the server's program, but "
            f"begins with {settings.argv[:1]}"
        )
    names = [name for name, _ in settings.env]
    _check_names([*names, *settings.unset])
    _check_once(names, settings.unset)
    _check_text([*settings.argv, *settings.preload, *(value for _, value in settings.env)])
    for path in settings.preload:
        if not path.startswith("/") or re.search(r"[:\s]", path):
            raise StudyError(
                "a preloaded library must have an absolute path without colon or space (ld.so "
                f"separates by them), but has {path!r}"
            )
    if settings.affinity is not None and not settings.affinity:
        raise StudyError("an affinity must name at least one CPU, but names none")
    return redact_settings(_sorted_affinity(settings))


def _sorted_affinity(settings: Settings) -> Settings:
    """Return the same set of CPUs in the order in which every artefact writes it."""
    if settings.affinity is None:
        return settings
    return replace(settings, affinity=tuple(sorted(set(settings.affinity))))


def _check_names(names: Iterable[str]) -> None:
    for name in names:
        if not _NAME.fullmatch(name) or name in _SHELL_OWN:
            raise StudyError(f"a variable must have a name a shell can export, but has {name!r}")


def _check_once(names: list[str], unset: tuple[str, ...]) -> None:
    if "LD_PRELOAD" in names:
        raise StudyError("LD_PRELOAD must be exported as the plan's preload, not as a variable")
    for name in [*names, *unset]:
        if names.count(name) + unset.count(name) > 1:
            raise StudyError(f"the variable {name} must be set or unset once, but is so twice")


def _check_text(words: Iterable[str]) -> None:
    for word in words:
        if "\0" in word:
            raise StudyError(f"an argument must not hold a NUL character, but {word!r} does")
        try:
            word.encode("utf-8")
        except UnicodeEncodeError as error:
            raise StudyError(f"an argument must be valid Unicode, but {word!r} is not") from error
