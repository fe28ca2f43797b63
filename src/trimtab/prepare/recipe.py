"""A recipe: instructions that a Dockerfile and a shell script can both be written from.

Scripts are of POSIX sh, a tuple of lines each, and run with ``set -eu``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Argument:
    """A value of the build: never part of the image. Without a default it may stay unset."""

    name: str
    comment: str
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """A variable that whatever runs afterwards has; ``value`` may refer to others as ``${X}``."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Script:
    """Commands that run as root. ``unpinned``: it installs what the distribution has now.

    ``once`` is a test (of sh) that is true where nothing is to do any more; an image is built
    from nothing, and does without.
    """

    lines: tuple[str, ...]
    unpinned: bool = False
    once: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """A comment: what the reader has to do or to know."""

    text: str


Instruction = Argument | Setting | Script | Note
