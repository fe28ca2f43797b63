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
    """What decides whether an entry applies, and with which values.

    ``baseline`` is what the user runs today. ``checkpoint_dtype`` is the type the weights are
    stored in, ``concurrency`` the workload's fixed number of streams (``None`` in open loop).
    ``allow_host``: the user lets trimtab change kernel settings. ``tries`` maps an entry to the
    text of the value to test where that is not the recommended one; a further value stands under
    the name of an entry of its own (``Tuning.further``). ``host_overhead``: the study is about
    the host's share, on a device that takes no time (``_host_overhead``).
    """

    facts: Facts
    engine_name: str
    engine_version: str
    platform: str
    packages: Mapping[str, str]
    baseline: Settings
    checkpoint_dtype: str | None = None
    concurrency: int | None = None
    allow_host: bool = False
    objective: str = "output_throughput"
    tries: Mapping[str, str] = field(default_factory=dict)
    host_overhead: bool = False

    @property
    def family(self) -> str:
        """The name of the engine's family: every way to run vLLM is "vllm"."""
        known = family_of_engine(self.engine_name) or family_of_packages(self.packages)
        return self.engine_name if known is None else known.name


@dataclass(frozen=True, slots=True)
class Relation:
    """Another tuning, and the sentence that says why the two belong together or do not.

    ``fatal``: a conflict that ends the start, rather than make one of the two act otherwise.
    ``platforms``: where a requirement holds; empty for everywhere. ``values``: the other's values,
    as text, beside which a conflict holds; empty for any.
    """

    name: str
    sentence: str
    fatal: bool = False
    platforms: tuple[str, ...] = ()
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """Where a fact was published: a title, and a file, document section or address."""

    title: str
    where: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A published number or statement about the effect: a prior, never a result of ours."""

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
    """Apply everywhere."""
    return None


def no_lead(context: Context) -> str:
    """Expect no large effect from the hardware alone."""
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """One entry of the catalogue.

    ``values``: stock first; ``None`` is "not set". ``stock`` says what stock means in words.
    ``recommended`` is the value that a study tests, the second of ``values`` if not given.
    ``applies`` returns the reason why the entry does not apply, or ``None``. ``conflicts`` are
    symmetrical and need to be written at one side only; ``requires`` must be off stock too.
    ``lowers_fidelity``: values with which answers may get worse: only tested when named.
    ``lead`` returns the sentence of the rule by which the hardware decides a large effect, or "".
    ``prior`` is the expected gain on the log scale; it orders proposals and never enters a test.
    ``metric`` names the metric it is about if that is not the study's objective ("startup").
    ``checks`` replaces the knob's default checks by stronger ones, from the complete settings.
    ``levels`` are further values of an integer tuning to try once it is worth turning.
    ``engines`` and ``platforms`` are empty for any. ``package`` is the operating system's package.
    ``details`` says what it does, when it helps and what to know, in whole sentences.
    ``accepts`` is how the setting's reader takes a text. ``rules`` are its traps. ``claims`` are
    what others published about its effect. ``default`` is the text that does what happens anyway
    when it is not set, where there is one for every machine. ``inert`` says why nothing reads it
    any more. ``advisory``: known to doctor and lint, but no study tries it, for it buys no speed
    by itself or is no launch setting. ``further_of`` names the entry that this is a further value
    of, in a study that tests several (:func:`further`). ``torch_npu_reads`` of an entry of
    CANN's or HCCL's layer: "too", beside its own reader, "alone", or "" for not at all.
    """

    name: str
    layer: str
    summary: str
    knob: Knob
    values: Values
    stock: str
    risk: Risk
    sources: tuple[Source, ...]
    recommended: Callable[[Context], Value] | None = None
    applies: Callable[[Context], str | None] = applies_everywhere
    conflicts: tuple[Relation, ...] = ()
    requires: tuple[Relation, ...] = ()
    scope: Scope = Scope.PROCESS
    restart: RestartCost = RestartCost.PROCESS
    lowers_fidelity: tuple[Value, ...] = ()
    lead: Callable[[Context], str] = no_lead
    prior: float = 0.0
    metric: str = ""
    checks: Checks | None = None
    levels: tuple[int, ...] = ()
    engines: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    since: str = ""
    superseded_by: str = ""
    removed_in: str = ""
    package: str = ""
    details: str = ""
    accepts: ValueReader = ANY_TEXT
    rules: tuple[Rule, ...] = ()
    claims: tuple[Claim, ...] = ()
    default: str = ""
    inert: str = ""
    advisory: bool = False
    dummy: bool = False
    further_of: str = ""
    torch_npu_reads: str = ""

    @property
    def entry(self) -> str:
        """The name in the catalogue: what a plan and a profile say."""
        return self.further_of or self.name

    @property
    def executed(self) -> str:
        """Whether its facts were tried on the vendors' code, for entries about Ascend."""
        if self.layer in _IN_WHEELS:
            return "the installed wheels are asked (docs/oracle.md)"
        if self.layer not in _IN_CANN:
            return ""
        return _EXECUTED[self.torch_npu_reads]

    def warning(self, value: Value) -> str:
        """Return what a reader must know of a value: its risk, and whether answers may change."""
        marked = "May change answers. " if value in self.lowers_fidelity else ""
        return marked + self.risk.sentence

    def values_for(self, context: Context) -> tuple[Value, ...]:
        """Return the values on this machine, stock first."""
        return self.values(context) if callable(self.values) else self.values

    def recommended_for(self, context: Context) -> Value:
        """Return the value to test first; stock if there is no alternative here.

        Raises:
            UsageError: another value is asked for, and the entry does not have it here.
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
        """Whether a value is what the engine does anyway."""
        return value is None or value == self.values_for(context)[0]

    def further(self, name: str) -> Tuning:
        """Return the entry ``name`` for a further value, which ``Context.tries`` has under it."""

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
    """Return an advisory entry. A knob given as text is the variable of that name."""
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
