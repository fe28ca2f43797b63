"""The names of the landscapes that trimtab ships: the files of one folder, read without any."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

FOLDER: Final = files("trimtab").joinpath("simulated", "landscapes")

NAMES: Final = tuple(
    sorted(
        one.name.removesuffix(".yaml") for one in FOLDER.iterdir() if one.name.endswith(".yaml")
    )
)
"""Each file says what it is for."""
