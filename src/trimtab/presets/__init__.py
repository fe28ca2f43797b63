"""Presets: named candidates, as data with their sources.

A preset is what a public text sets: the vllm-ascend guide in two editions, the official images.
Called with a context it gives the candidate that can be set on that machine.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from types import MappingProxyType

from trimtab.catalog import Context, UntestedTuning
from trimtab.errors import UsageError
from trimtab.model import Candidate
from trimtab.presets import preset
from trimtab.presets.guide import GUIDE_V1, GUIDE_V2
from trimtab.presets.image import IMAGES
from trimtab.presets.preset import NO_ARM, Preset, PresetSource, PresetStep, text_of

__all__ = [
    "DOCUMENTED",
    "GUIDE",
    "NO_ARM",
    "PRESETS",
    "Preset",
    "PresetSource",
    "PresetStep",
    "acting_tunings",
    "default_preset",
    "find",
    "guide",
    "left_out_steps",
    "local_candidate",
    "remark",
    "skipped_guide_steps",
    "skipped_steps",
    "stock",
    "text_of",
]

GUIDE = "guide"
"""The name of the guide's newest edition."""

stock = Preset("stock", "The baseline itself: nothing is set.")
guide = GUIDE_V2.named(GUIDE, "The newest edition of the vllm-ascend guide: guide-v2.")

DOCUMENTED: Mapping[str, Preset] = MappingProxyType(
    {preset.name: preset for preset in (stock, guide, GUIDE_V1, GUIDE_V2, *IMAGES)}
)
"""Name → preset with its steps and sources."""

PRESETS: Mapping[str, Callable[[Context], Candidate]] = DOCUMENTED
"""Name → what gives the candidate on a machine."""


def default_preset(platform: str) -> str | None:
    """Return the preset that a study measures as it stands, ``None`` if the platform has none."""
    return GUIDE if platform == "ascend" else None


def acting_tunings(name: str, context: Context) -> tuple[str, ...]:
    """Return the tunings of a preset that something reads here, as the preset sets them.

    Raises:
        UsageError: there is no such preset.
    """
    return preset.acting_tunings(find(name), context)


def local_candidate(name: str, context: Context) -> Candidate:
    """Return a preset's candidate without the settings of other platforms and engines.

    Raises:
        UsageError: there is no such preset.
    """
    return preset.local_candidate(find(name), context)


def left_out_steps(name: str, context: Context) -> tuple[UntestedTuning, ...]:
    """Return the steps of a preset that :func:`read_here` does not have, with their reasons.

    Raises:
        UsageError: there is no such preset.
    """
    return preset.left_out_steps(find(name), context)


def remark(name: str | None, context: Context) -> str:
    """Return why a study has no preset (``None``), or which part of one acts; "" if all does.

    Raises:
        UsageError: there is no such preset.
    """
    return preset.remark(None if name is None else find(name), guide, context)


def find(name: str) -> Preset:
    """Return the preset of that name.

    Raises:
        UsageError: there is none; the message names the nearest.
    """
    if (preset := DOCUMENTED.get(name)) is not None:
        return preset
    near = difflib.get_close_matches(name, DOCUMENTED, n=3, cutoff=0.6)
    hint = f"did you mean {', '.join(near)}?" if near else f"it is one of {', '.join(DOCUMENTED)}"
    raise UsageError(f"no preset is called {name!r}: {hint}")


def skipped_steps(name: str, context: Context) -> tuple[UntestedTuning, ...]:
    """Return the steps of a preset that its candidate does not have here, with their reasons.

    Raises:
        UsageError: there is no such preset.
    """
    return find(name).skipped(context)


def skipped_guide_steps(context: Context) -> tuple[UntestedTuning, ...]:
    """Return the steps of the newest guide that cannot be set here, each with its reason."""
    return guide.skipped(context)
