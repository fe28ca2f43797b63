"""Readers: one file for each format, each a function from a text to a `Document`."""

from __future__ import annotations

from trimtab.errors import UsageError
from trimtab.model.script import Document


def read(name: str, text: str) -> Document:
    """Return what a text says.

    Raises:
        UsageError: the format is not known.
    """
    raise UsageError(f"{name}: no reader knows this format")
