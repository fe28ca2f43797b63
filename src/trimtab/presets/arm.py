"""A preset as an arm of a study: what of it this machine reads, and what acts."""

from __future__ import annotations

from trimtab.catalog import CATALOG, Context, UntestedTuning, engine_refusal, platform_refusal
from trimtab.model import Candidate
from trimtab.model.platforms import ASCEND
from trimtab.presets.preset import Preset

NO_ARM = "none"
"""What a user names for a study without a preset."""


def local_candidate(preset: Preset, context: Context) -> Candidate:
    """Return a preset's candidate without the settings of other platforms and engines."""
    return tuple(
        pair for pair in preset(context) if platform_refusal(CATALOG[pair[0]], context) is None
    )


def left_out_steps(preset: Preset, context: Context) -> tuple[UntestedTuning, ...]:
    """Return the steps of a preset that :func:`read_here` does not have, with their reasons."""
    foreign = (
        UntestedTuning(name, f"nothing reads it here: {reason}")
        for name, _ in preset(context)
        if (reason := platform_refusal(CATALOG[name], context)) is not None
    )
    return (*preset.skipped(context), *foreign)


def acting_tunings(preset: Preset, context: Context) -> tuple[str, ...]:
    """Return the tunings of a preset that can have an effect on this machine."""
    return tuple(
        one for one, _ in preset(context) if engine_refusal(CATALOG[one], context) is None
    )


def remark(preset: Preset | None, guide: Preset, context: Context) -> str:
    """Return the sentence on a study's arm: why there is none, or which part of it acts.

    "" if all settings of the arm are read here. ``guide`` is the preset that a study on Ascend
    has by itself.
    """
    if preset is not None:
        acts = ", ".join(acting_tunings(preset, context))
        whole = local_candidate(preset, context) == preset(context)
        return "" if whole else f"of {preset.name} only {acts} acts on {context.platform}"
    acts = ", ".join(acting_tunings(guide, context))
    if not acts:
        return f"no preset is an arm, because nothing of {guide.name} acts on {context.platform}"
    return (
        f"no preset is an arm, because {guide.name} is made for {ASCEND}; of it {acts} would act "
        f"here: --arm {guide.name} measures that"
    )
