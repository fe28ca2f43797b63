"""Where the vendors' software lies: the rehearsal's environment, or one of another torch_npu."""

from __future__ import annotations

from pathlib import Path

from trimtab.engines import managed
from trimtab.errors import EngineMissingError, UsageError
from trimtab.rehearsal import environments

CHIPS = {"A2": "910B3", "A3": "910_93", "310P": "310P", "950": "950"}
"""Series, as ``--context`` of lint calls it → the chip that the stand-in plays."""


def interpreter(torch_npu: str = "") -> Path:
    """Return the interpreter to ask, of a version of torch_npu; "" is the rehearsal's own.

    Raises:
        EngineMissingError: the environment is not installed.
        UsageError: ``torch_npu`` is not written like a version.
    """
    recipe = environments.torch_npu(torch_npu) if torch_npu else environments.engine()
    found = managed.interpreter(recipe)
    if found is not None:
        return found
    if recipe.name == environments.NAME:
        raise EngineMissingError(
            "the oracle asks the vendors' software, which is not installed: "
            f"run 'trimtab engine install {environments.NAME}'"
        )
    raise EngineMissingError(
        f"torch_npu {torch_npu} is not installed beside: run 'scripts/oracle-matrix {torch_npu}'"
    )


def chip(name: str) -> str:
    """Return the chip to play, from a series or a chip's own name.

    Raises:
        UsageError: it is neither.
    """
    known = {**CHIPS, **{one: one for one in CHIPS.values()}}
    if name not in known:
        raise UsageError(f"--chip must be one of {', '.join(known)}, but is {name!r}")
    return known[name]
