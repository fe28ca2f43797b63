"""The catalogue: KNOWLEDGE, as data. One file a layer; adding a tuning is one entry in one file.

A module here that holds ``TUNINGS`` is a layer. The order of the catalogue is the order of the
modules' names and, within one, of its entries; knobs write into a plan in that order.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from functools import cache
from types import MappingProxyType

from trimtab.catalog import entries, factors
from trimtab.catalog.factors import (
    UntestedTuning,
    conflict,
    engine_refusal,
    exclusion,
    host_refusal,
    may_write,
    platform_refusal,
    require_known,
    setters,
    value_refusal,
    with_further_values,
    with_tries,
)
from trimtab.catalog.rules.scene import Rule, Scene
from trimtab.catalog.schema import Claim, Context, Relation, Source, Tuning
from trimtab.knobs import Env, EnvList
from trimtab.model import Factor, RiskLevel

__all__ = [
    "CATALOG",
    "Claim",
    "Context",
    "Relation",
    "Rule",
    "Scene",
    "Source",
    "Tuning",
    "UntestedTuning",
    "conflict",
    "engine_refusal",
    "entry_variables",
    "exclusion",
    "host_refusal",
    "may_write",
    "platform_refusal",
    "require_known",
    "setters",
    "space",
    "value_refusal",
    "with_further_values",
    "with_tries",
]


def _discover() -> Mapping[str, Tuning]:
    found: dict[str, Tuning] = {}
    for module in sorted(pkgutil.iter_modules(entries.__path__), key=lambda info: info.name):
        layer = importlib.import_module(f"{entries.__name__}.{module.name}")
        for tuning in layer.TUNINGS:
            if tuning.name in found:
                raise ValueError(f"two entries are called {tuning.name}: one is in {module.name}")
            found[tuning.name] = tuning
    return MappingProxyType(found)


CATALOG: Mapping[str, Tuning] = _discover()


@cache
def entry_variables() -> frozenset[str]:
    """Return the environment variables that entries are about."""
    knobs = (tuning.knob for tuning in CATALOG.values())
    names = {knob.name for knob in knobs if isinstance(knob, Env | EnvList)}
    return frozenset({*names, "LD_PRELOAD"})


def space(
    context: Context,
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
    max_risk: RiskLevel = RiskLevel.HIGH,
) -> tuple[list[Factor], list[UntestedTuning], frozenset[frozenset[str]]]:
    """Return the factors to test here, what is left out and why, and the conflicting pairs.

    ``only`` and ``skip`` hold names or globs. The dummy is always a factor. Names of the result
    are those of the catalogue with the further values of the context's tries.

    Raises:
        UnknownTuningError: a pattern matches nothing; the message names the nearest entries.
    """
    catalog = with_further_values(CATALOG, context.tries)
    return factors.choose(catalog, context, only, skip, max_risk)
