"""Where the vendors' software lies: the rehearsal's environment, or one of another torch_npu."""

from __future__ import annotations

from pathlib import Path

from trimtab.catalog.torch_npu_versions import torch_npu as asked_versions
from trimtab.emulator import chips, environments
from trimtab.environments import managed
from trimtab.errors import EngineMissingError, UsageError

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
        f"torch_npu {torch_npu} is not installed beside: "
        f"run 'trimtab engine install {environments.NAME} --torch-npu {torch_npu}'"
    )


def nearest(torch_npu: str) -> Path:
    """Return the interpreter of a version of torch_npu, or the rehearsal's own where it has none.

    The end of a version may be left out (2.9 for 2.9.0.post9); "" is the rehearsal's own.

    Raises:
        EngineMissingError: the rehearsal's own is wanted, and not installed.
    """
    wanted = plain(torch_npu)
    if wanted:
        known = (environments.TORCH_NPU, *asked_versions().versions)
        for version in (wanted, *(one for one in known if one.startswith(f"{wanted}."))):
            try:
                return interpreter(version)
            except (EngineMissingError, UsageError):
                continue  # not installed beside, or not written like a whole version
    return interpreter()


def plain(version: str) -> str:
    """Return a version without a "v" before it and a local part ("+cpu") behind it."""
    return version.partition("+")[0].removeprefix("v")


def chip(name: str) -> str:
    """Return the chip to play, from a series or a chip's own name.

    Raises:
        UsageError: it is neither.
    """
    known = {**{one: one for one in chips.CHIPS}, **CHIPS}
    if name not in known:
        names = ", ".join(dict.fromkeys((*CHIPS, *chips.CHIPS)))
        raise UsageError(f"--chip must be one of {names}, but is {name!r}")
    return known[name]
