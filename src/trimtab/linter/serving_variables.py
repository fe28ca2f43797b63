"""Which variables are ours to speak of: those of the catalogue, and of the families it knows."""

from __future__ import annotations

from functools import cache

from trimtab.catalog import CATALOG
from trimtab.families.variables import serving_prefixes
from trimtab.knobs import Env, EnvList


@cache
def known_variables() -> frozenset[str]:
    """Return the variables that catalogue entries are about."""
    knobs = (tuning.knob for tuning in CATALOG.values())
    names = {knob.name for knob in knobs if isinstance(knob, Env | EnvList)}
    return frozenset({*names, "LD_PRELOAD"})


def is_serving_variable(name: str) -> bool:
    """Whether a variable is one that a serving process, not the script itself, is to read."""
    return name in known_variables() or name.startswith(serving_prefixes())
