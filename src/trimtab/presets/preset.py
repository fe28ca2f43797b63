"""A preset: what a public text sets, step by step, as data with the place of each step."""

from __future__ import annotations

from dataclasses import dataclass, replace

from trimtab.catalog import CATALOG, Context, LeftOut, Tuning, host_refusal
from trimtab.knobs import Manual
from trimtab.model import Candidate, Scope, Value, candidate


@dataclass(frozen=True, slots=True)
class Origin:
    """The public file that a preset is taken from, at one commit. ``edition`` says its age."""

    repository: str
    path: str
    commit: str
    edition: str

    def at(self, step: Step) -> str:
        """Return where a step stands, for people."""
        where = f"line {step.line}" if step.line else step.section
        return f"{self.repository} {self.path}, {where} at {self.commit[:12]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
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
    origin: Origin | None = None
    form: str = "shell"
    steps: tuple[Step, ...] = ()

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

    def skipped(self, context: Context) -> tuple[LeftOut, ...]:
        """Return the steps that are not part of the candidate here, each with its reason."""
        reasons = ((step, _refusal(step, context)) for step in self.steps)
        return tuple(LeftOut(step.name, reason) for step, reason in reasons if reason is not None)

    def named(self, name: str, summary: str) -> Preset:
        """Return the same preset under another name."""
        return replace(self, name=name, summary=summary)


def by_hand(tuning: Tuning) -> str | None:
    """Return why an entry is no part of any candidate, ``None`` if a launch can set it."""
    if not isinstance(tuning.knob, Manual):
        return None
    return (
        f"{tuning.knob.place} is made before the launch, and no launch can set it: "
        "do it on the host or in the image"
    )


def _value(step: Step, context: Context) -> Value:
    libraries = context.facts.libraries
    for soname in step.sonames:
        if libraries.path(soname).value is not None:
            return soname
    return step.value


def _never(step: Step) -> str | None:
    """Return why no candidate has a step, on whatever machine."""
    if step.lost or step.aside:
        return step.lost or step.aside
    if not step.tuning:
        return f"{step.setting} belongs to no tuning"
    return by_hand(CATALOG[step.tuning])


def _refusal(step: Step, context: Context) -> str | None:
    if reason := _never(step):
        return reason
    tuning = CATALOG[step.tuning]
    libraries = context.facts.libraries
    if step.sonames and all(libraries.path(name).value is None for name in step.sonames):
        return f"{' or '.join(step.sonames)} is not installed: install {tuning.package}"
    return host_refusal(tuning, context, step.value)
