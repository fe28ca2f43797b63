"""The steps as a Dockerfile or a shell script, for machines that trimtab is not on."""

from __future__ import annotations

from trimtab.errors import UsageError
from trimtab.prepare import version_matrix, wheels
from trimtab.prepare.emit import dockerfile, shell
from trimtab.prepare.step import Step
from trimtab.prepare.system import BASES, base_of
from trimtab.prepare.target import PrepareOptions

FORMATS = {"dockerfile": dockerfile.render, "shell": shell.render}


def emit(kind: str, steps: tuple[Step, ...], wish: PrepareOptions, base: str) -> str:
    """Return the steps as text of the format ``kind``, for images on the distribution ``base``.

    Raises:
        UsageError: there is no such format or base, or no image of it for the target.
    """
    if kind not in FORMATS:
        raise UsageError(f"--emit must be {' or '.join(FORMATS)}, but is {kind!r}")
    if base not in BASES:
        raise UsageError(f"--base must be one of {', '.join(BASES)}, but is {base!r}")
    release = wish.release or version_matrix.NEWEST
    if unprepared := wheels.preparation_refusal(wish.target.chip, release):
        raise UsageError(f"--release: {unprepared}")
    _, (major, minor) = version_matrix.ASCEND[release].pythons
    found = base_of(
        wish.target, base, version_matrix.cann(wish.target, release), f"{major}.{minor - 1}"
    )
    if found is None:
        raise UsageError(
            f"--base must be ubuntu or openeuler for {wish.target.name}, of which CANN's images "
            f"are made, but is {base}"
        )
    return FORMATS[kind](steps, wish, found)
