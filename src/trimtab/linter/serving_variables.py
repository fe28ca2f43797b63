"""Which variables are ours to speak of: those of the catalogue, and of the families it knows."""

from __future__ import annotations

from trimtab.catalog import entry_variables
from trimtab.families.variables import serving_prefixes


def is_serving_variable(name: str) -> bool:
    """Whether a variable is one that a serving process, not the script itself, is to read."""
    return name in entry_variables() or name.startswith(serving_prefixes())
