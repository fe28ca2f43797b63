"""A preset: what a public text sets, step by step, as data with the place of each step.

A preset as the text that lint reads: its own lines at the line numbers of its source.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from trimtab.catalog import (
    CATALOG,
    Context,
    Tuning,
    UntestedTuning,
    engine_refusal,
    host_refusal,
    platform_refusal,
)
from trimtab.knobs import ManualSetting
from trimtab.model import Candidate, Scope, Value, candidate
from trimtab.model.platforms import ASCEND


@dataclass(frozen=True, slots=True)
class PresetSource:
    """The public file that a preset is taken from, at one commit. ``edition`` says its age."""

    repository: str
    path: str
    commit: str
    edition: str

    def at(self, step: PresetStep) -> str:
        """Return where a step stands, for people."""
        where = f"line {step.line}" if step.line else step.section
        return f"{self.repository} {self.path}, {where} at {self.commit[:12]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PresetStep:
    """One thing that a source sets, or has done.

    ``tuning`` is the catalogue's entry; where it belongs to none, ``setting`` is the name that is
    set (a variable) or what is done. ``value`` is what a launch would get,
    as the entry's knob takes it. ``line`` is the line of the source that sets it, 0 where only
    its ``section`` is cited. ``written`` are the lines that say it, for `text_of`; a step told in
    the lines of another one has none. ``prose`` lines stand outside of code. ``lost`` says why no
    server of somebody who follows the source gets the value from it; ``aside`` why we leave out
    what does arrive. ``sonames`` are the libraries that serve, the named one first.
    """

    tuning: str = ""
    setting: str = ""
    value: Value = None
    line: int = 0
    section: str = ""
    written: tuple[str, ...] = ()
    prose: bool = False
    lost: str = ""
    aside: str = ""
    sonames: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What it is called: the entry, else the setting."""
        return self.tuning or self.setting


@dataclass(frozen=True, slots=True)
class Preset:
    """A named candidate with its sources; ``form`` is the format its text is written in."""

    name: str
    summary: str
    origin: PresetSource | None = None
    form: str = "shell"
    steps: tuple[PresetStep, ...] = ()

    def __call__(self, context: Context) -> Candidate:
        """Return what of it can be set on this machine, contradictions included."""
        steps = (step for step in self.steps if _refusal(step, context) is None)
        return candidate({step.tuning: _value(step, context) for step in steps})

    def of_host(self) -> Candidate:
        """Return all that it sets of the host; whether that fits a machine is not asked."""
        steps = (step for step in self.steps if _never(step) is None)
        return candidate(
            {step.tuning: step.value for step in steps if CATALOG[step.tuning].scope is Scope.HOST}
        )

    def skipped(self, context: Context) -> tuple[UntestedTuning, ...]:
        """Return the steps that are not part of the candidate here, each with its reason."""
        reasons = ((step, _refusal(step, context)) for step in self.steps)
        return tuple(
            UntestedTuning(step.name, reason) for step, reason in reasons if reason is not None
        )

    def named(self, name: str, summary: str) -> Preset:
        """Return the same preset under another name."""
        return replace(self, name=name, summary=summary)


def manual_reason(tuning: Tuning) -> str | None:
    """Return why an entry is no part of any candidate, ``None`` if a launch can set it."""
    if not isinstance(tuning.knob, ManualSetting):
        return None
    return (
        f"{tuning.knob.place} is made before the launch, and no launch can set it: "
        "do it on the host or in the image"
    )


def _value(step: PresetStep, context: Context) -> Value:
    libraries = context.facts.libraries
    for soname in step.sonames:
        if libraries.path(soname).value is not None:
            return soname
    return step.value


def _never(step: PresetStep) -> str | None:
    """Return why no candidate has a step, on whatever machine."""
    if step.lost or step.aside:
        return step.lost or step.aside
    if not step.tuning:
        return f"{step.setting} belongs to no tuning"
    return manual_reason(CATALOG[step.tuning])


def _refusal(step: PresetStep, context: Context) -> str | None:
    if reason := _never(step):
        return reason
    tuning = CATALOG[step.tuning]
    libraries = context.facts.libraries
    if step.sonames and all(libraries.path(name).value is None for name in step.sonames):
        return f"{' or '.join(step.sonames)} is not installed: install {tuning.package}"
    return host_refusal(tuning, context, step.value)


_FENCE = "```"
_SUFFIXES = {"markdown": ".md", "dockerfile": ".dockerfile", "shell": ".sh"}
_NEAR = 3
"""Fewer lines between two commands than a fence's end and the next one's start need."""


def text_of(preset: Preset) -> tuple[str, str]:
    """Return a file name for a preset, whose suffix is its format, and its text.

    Nothing of the source's wording is in it: only what its steps set. A step stands in the line
    that it has in the source, so that a finding's line number leads there.
    """
    lines: dict[int, str] = {}
    for step in sorted(preset.steps, key=lambda step: step.line):
        first = step.line or max(lines, default=0) + 1
        lines.update((first + offset, line) for offset, line in enumerate(step.written))
    if preset.form == "markdown":
        prose = {step.line for step in preset.steps if step.prose}
        lines = {1: f"# {preset.name}", **_fenced(lines, prose)}
    last = max(lines, default=0)
    text = "".join(f"{lines.get(number, '')}\n" for number in range(1, last + 1))
    return preset.name + _SUFFIXES[preset.form], text


def _fenced(lines: dict[int, str], prose: set[int]) -> dict[int, str]:
    """Return the lines with the code among them fenced; prose ends a fence."""
    found = dict(lines)
    for first, last in _runs(sorted(set(lines) - prose), prose):
        found[first - 1] = f"{_FENCE}bash"
        found[last + 1] = _FENCE
    return found


def _runs(code: list[int], prose: set[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and the last line of each block of code."""
    first = last = 0
    for number in code:
        apart = number - last >= _NEAR or any(last < line < number for line in prose)
        if first and apart:
            yield first, last
        if not first or apart:
            first = number
        last = number
    if first:
        yield first, last


def step_source(preset: Preset, step: PresetStep) -> str:
    """Return the source of a step, for people; "" for a preset without a source."""
    return preset.origin.at(step) if preset.origin is not None else ""


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
