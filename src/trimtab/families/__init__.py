"""Families of engines: what trimtab must know of one without its installation, as data.

A family is all that serves by the same program: its names, its variables, its metrics. Each
folder of an engine says it in ``family.py``, and what starts and watches it in ``engine.py``.
"""

from trimtab.families.family import ChipImage, Family, MetricSeries, VariablePrefix
from trimtab.families.registry import (
    ENGINE_PATH,
    EnginePackage,
    engine_packages,
    families,
    family_named,
    family_of_command,
    family_of_engine,
    family_of_packages,
    family_started,
    invocation_of,
    launch_pattern,
    platform_of_packages,
    program_names,
    read_command,
    serving_command,
)

__all__ = [
    "ENGINE_PATH",
    "ChipImage",
    "EnginePackage",
    "Family",
    "MetricSeries",
    "VariablePrefix",
    "engine_packages",
    "families",
    "family_named",
    "family_of_command",
    "family_of_engine",
    "family_of_packages",
    "family_started",
    "invocation_of",
    "launch_pattern",
    "platform_of_packages",
    "program_names",
    "read_command",
    "serving_command",
]
