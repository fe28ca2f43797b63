"""The space of a study: which entries are tested here, and why the others are not.

What a study of host overhead asks first: the tunings that act on the host's part of a step.

On a device that takes no time the catalogue's priors do not hold: they are about servers whose
device computes. Here is the one place that says what takes their place. Pure.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from trimtab.catalog.applicability import is_before
from trimtab.catalog.schema import Context, Tuning
from trimtab.catalog.values import Acceptance
from trimtab.errors import UnknownTuningError
from trimtab.knobs import (
    Argument,
    Interrupts,
    LoginLimit,
    ReadAhead,
    SwapAreas,
    Switch,
    Sysctl,
    Sysfs,
)
from trimtab.model import Factor, RestartCost, RiskLevel, Scope, Value, Verdict

_NEAR = 0.6
"""Similarity from which on a name is suggested (difflib's ratio): below it, a chance likeness."""

_CATALOG = "'trimtab catalog' lists all"


def require_known(
    catalog: Mapping[str, Tuning], patterns: Iterable[str], otherwise: str = _CATALOG
) -> None:
    """Make sure that every name or glob matches an entry; ``otherwise`` says where to find them.

    Raises:
        UnknownTuningError: one matches none; the message names the entries that set such a
            variable or option, else the nearest.
    """
    for pattern in patterns:
        if any(fnmatchcase(name, pattern) for name in catalog):
            continue
        near = setters(catalog, pattern) or difflib.get_close_matches(
            pattern.casefold(), catalog, n=3, cutoff=_NEAR
        )
        hint = f"did you mean {', '.join(near)}?" if near else otherwise
        raise UnknownTuningError(f"no tuning is called {pattern!r}: {hint}")


def setters(catalog: Mapping[str, Tuning], name: str) -> list[str]:
    """Return the entries that set a variable or an option, however its name is written."""
    word = _plain(name)
    return [
        tuning.name
        for tuning in catalog.values()
        if not tuning.dummy
        and word in {_plain(each) for each in (tuning.name, tuning.knob.setting, *_places(tuning))}
    ]


def _places(tuning: Tuning) -> Iterable[str]:
    return (each.strip("(),").partition("=")[0] for each in tuning.knob.place.split())


def _plain(name: str) -> str:
    return name.lstrip("-").replace("_", "-").casefold()


_ONE_NAME = "[^/]+"


def may_write(tunings: Iterable[Tuning], place: str) -> bool:
    """Whether one of the tunings may write a place, on some host."""
    return any(re.fullmatch(pattern, place) for pattern in _patterns(tunings))


def _patterns(tunings: Iterable[Tuning]) -> Iterator[str]:
    for tuning in tunings:
        match tuning.knob:
            case Sysctl() as knob:
                yield re.escape(knob.path)
            case Sysfs() | Interrupts() | ReadAhead() as knob:
                yield re.escape(knob.place).replace(r"\*", _ONE_NAME)
            case SwapAreas():
                yield "swap:.+"
            case LoginLimit() as knob:
                yield re.escape(f"limits:{knob.name}")


@dataclass(frozen=True, slots=True)
class _Expected:
    """A tuning of the set, and the expected gain (log scale) of a value; ``None``: of any."""

    entry: str
    prior: float = 0.0
    value: Value = None


_SET = (
    # two cores over the stand-in: 1.39 [1.33, 1.46] times as fast without the queue, and with the
    # guide, whose queue is at level 2, 0.97 [0.87, 1.08] (docs/emulator.md)
    _Expected("task-queue", 0.3, "0"),
    _Expected("task-queue", 0.0, "2"),
    _Expected("jemalloc", 0.02),
    _Expected("tcmalloc", 0.01),
    _Expected("omp-threads"),
    _Expected("cpu-affinity-conf"),
    _Expected("interpreter", 0.05),
    _Expected("api-server-count"),
    _Expected("distributed-executor-backend"),
)
"""The guide's host-side tunings, in the order in which a budget has room for them."""

TRIES = {
    "task-queue": ("2", "0"),
    "api-server-count": ("2",),
    "distributed-executor-backend": ("mp",),
}
"""Values to try of tunings whose recommended one is not all that such a study asks about."""


def with_tries(asked: Mapping[str, str]) -> dict[str, str]:
    """Return what to try, as ``Context.tries``: as asked, and of a tuning not asked for `TRIES`.

    A further value stands under the name of an entry of its own, ``tuning=value``.
    """
    entries = {name.partition("=")[0] for name in asked}
    found = dict(asked)
    for entry, (first, *others) in TRIES.items():
        if entry not in entries:
            found |= {entry: first, **{f"{entry}={value}": value for value in others}}
    return found


def place(tuning: Tuning, value: Value) -> int:
    """Return the rank of a tuning's value in the order of proposals, from 0; others are last."""
    known = _of(tuning, value)
    return len(_SET) if known is None else _SET.index(known)


def prior(tuning: Tuning, value: Value) -> float:
    """Return the expected gain on the log scale; 0 for a value outside the set."""
    known = _of(tuning, value)
    return 0.0 if known is None else known.prior


def _of(tuning: Tuning, value: Value) -> _Expected | None:
    same = (one for one in _SET if one.entry == tuning.entry)
    return next((one for one in same if one.value in (None, value)), None)


_NOT_STUDIED = "no study tries it: doctor and lint know it, and the baseline may set it"


@dataclass(frozen=True, slots=True)
class UntestedTuning:
    """A tuning that is not tested, and the reason for the report."""

    name: str
    reason: str
    verdict: Verdict = Verdict.NOT_APPLICABLE


def conflict(catalog: Mapping[str, Tuning], one: str, other: str) -> str | None:
    """Return the sentence of the conflict between two entries, whichever side states it."""
    for name, rival in ((one, other), (other, one)):
        for relation in catalog[name].conflicts:
            if relation.name == catalog[rival].entry:
                return relation.sentence
    return None


def exclusion(catalog: Mapping[str, Tuning], one: str, other: str) -> str | None:
    """Return why two entries cannot be on together: a conflict, or one setting for both."""
    if catalog[one].entry == catalog[other].entry:
        return "they are two values of one setting"
    return conflict(catalog, one, other)


def with_further_values(
    catalog: Mapping[str, Tuning], tries: Iterable[str]
) -> Mapping[str, Tuning]:
    """Return the catalogue with an entry for each further value, behind its own entry.

    ``tries`` has the names of ``Context.tries``; a further value is called ``tuning=value``.
    """
    further = [(name.partition("=")[0], name) for name in tries if "=" in name]
    found: dict[str, Tuning] = {}
    for name, tuning in catalog.items():
        found[name] = tuning
        found |= {own: tuning.further(own) for entry, own in further if entry == name}
    return found


def choose(
    catalog: Mapping[str, Tuning],
    context: Context,
    only: Sequence[str],
    skip: Sequence[str],
    max_risk: RiskLevel,
) -> tuple[list[Factor], list[UntestedTuning], frozenset[frozenset[str]]]:
    """Return the factors to test, what is left out with its reason, and the conflicting pairs.

    Factors are in the order in which a budget has room for them, where their priors are equal.

    Raises:
        UnknownTuningError: a pattern of ``only`` or ``skip`` matches nothing.
    """
    require_known(catalog, (*only, *skip, *context.tries))
    factors: list[Factor] = []
    left_out: list[UntestedTuning] = []
    for tuning in catalog.values():
        if tuning.advisory:
            if tuning.name in only:  # whoever names it must not be left to wonder
                left_out.append(UntestedTuning(tuning.name, _NOT_STUDIED))
            continue
        missing = _left_out(catalog, tuning, context, only, skip, max_risk)
        if missing is not None:
            left_out.append(missing)
            continue
        value = tuning.recommended_for(context)
        factors.append(
            Factor(
                tuning=tuning.name,
                value=value,
                lead=_lead(tuning, context),
                prior=_prior(tuning, context, value),
                metric=tuning.metric,
                dummy=tuning.dummy,
                scope=tuning.scope,
                levels=tuning.levels,
                restart=tuning.restart,
            )
        )
    if context.host_overhead:
        factors.sort(key=lambda factor: place(catalog[factor.tuning], factor.value))
    names = [factor.tuning for factor in factors]
    pairs = frozenset(
        frozenset((one, other))
        for index, one in enumerate(names)
        for other in names[index + 1 :]
        if exclusion(catalog, one, other) is not None
    )
    return factors, left_out, pairs


def _prior(tuning: Tuning, context: Context, value: Value) -> float:
    return prior(tuning, value) if context.host_overhead else tuning.prior


def _lead(tuning: Tuning, context: Context) -> str:
    """Return why a large effect is expected: of the recommended value, and not of a host setting.

    Host settings have a phase of their own, whatever is expected of them. What hardware decides
    says nothing about a device that takes no time.
    """
    if tuning.scope is Scope.HOST or tuning.name in context.tries or context.host_overhead:
        return ""
    return tuning.lead(context)


def _left_out(
    catalog: Mapping[str, Tuning],
    tuning: Tuning,
    context: Context,
    only: Sequence[str],
    skip: Sequence[str],
    max_risk: RiskLevel,
) -> UntestedTuning | None:
    if tuning.dummy:
        return None
    if tuning.superseded_by:
        return UntestedTuning(tuning.name, f"superseded by {tuning.superseded_by}")
    reason = (
        platform_refusal(tuning, context)
        or tuning.applies(context)
        or _out_of_reach(tuning)
        or _already(catalog, tuning, context)
        or host_refusal(tuning, context, tuning.recommended_for(context))
        or _unwanted(tuning, tuning.recommended_for(context), only, skip, max_risk)
    )
    return None if reason is None else UntestedTuning(tuning.name, reason)


def platform_refusal(tuning: Tuning, context: Context) -> str | None:
    """Return why this engine, platform or version does not read an entry, else ``None``."""
    if tuning.engines and context.family not in tuning.engines:
        return f"it is for {' and '.join(tuning.engines)}, and the engine is {context.engine_name}"
    if tuning.platforms and context.platform not in tuning.platforms:
        there = " and ".join(tuning.platforms)
        option = isinstance(tuning.knob, (Argument, Switch))  # every platform's server has it
        where = f"a study tries it on {there} only" if option else f"it acts on {there}"
        return f"{where}, and the platform is {context.platform}"
    if tuning.since and is_before(context.engine_version, tuning.since):
        return f"it exists since {tuning.since}, and the engine is {context.engine_version}"
    if tuning.removed_in and is_before(context.engine_version, tuning.removed_in) is False:
        return f"it was removed in {tuning.removed_in}; the engine is {context.engine_version}"
    return None


def engine_refusal(tuning: Tuning, context: Context) -> str | None:
    """Return why nothing reads a setting on this engine and machine, else ``None``."""
    return platform_refusal(tuning, context) or tuning.applies(context)


def _out_of_reach(tuning: Tuning) -> str | None:
    if tuning.restart is RestartCost.REBOOT:
        return "it acts after a reboot only, and trimtab reboots no machine: set it by hand"
    return None


def _already(catalog: Mapping[str, Tuning], tuning: Tuning, context: Context) -> str | None:
    wanted = tuning.recommended_for(context)
    if tuning.is_stock(wanted, context):
        return "it has no value here other than stock"
    if tuning.knob.parse(context.baseline) == wanted:
        return f"the baseline already sets it ({tuning.knob.place} is {wanted})"
    for needed in tuning.requires:
        if needed.platforms and context.platform not in needed.platforms:
            continue
        other = catalog[needed.name]
        if other.is_stock(other.knob.parse(context.baseline), context):
            return f"it needs {other.name} in the baseline: {needed.sentence}"
    for other in catalog.values():
        same = other.entry == tuning.entry
        sentence = None if same else conflict(catalog, tuning.name, other.name)
        if sentence is None:
            continue
        if not other.is_stock(other.knob.parse(context.baseline), context):
            return f"the baseline sets {other.name}: {sentence}"
    return None


def value_refusal(tuning: Tuning, context: Context, wanted: Value) -> str | None:
    """Return why a value is not worth setting here, else ``None``.

    Studies, presets and ``trimtab host`` all judge host settings by this function. It ignores who
    may write the value, and whether the machine already has it.
    """
    reading = tuning.accepts.read(str(wanted))
    refused = "" if reading.taken is Acceptance.AS_WRITTEN else reading.sentence
    return (
        refused
        or platform_refusal(tuning, context)
        or tuning.applies(context)
        or _out_of_reach(tuning)
        or _absent(tuning, context)
    )


def host_refusal(tuning: Tuning, context: Context, wanted: Value) -> str | None:
    """Return why a host setting is not set here; ``None`` if it is, or for other tunings."""
    if tuning.scope is not Scope.HOST:
        return None
    if reason := value_refusal(tuning, context, wanted) or _there(tuning, context, wanted):
        return reason
    if not context.allow_host:
        return f"it changes the whole host ({tuning.knob.place}): add --allow-host to test it"
    if context.facts.privileges.root.value is not True:
        return f"writing {tuning.knob.place} needs root"
    kind = context.facts.container.kind.value
    if kind not in ("none", None):
        return f"inside a container ({kind}) the host cannot be changed: run on the host"
    return None


def _there(tuning: Tuning, context: Context, wanted: Value) -> str | None:
    """Return why a kernel setting that can be read need not be given the value ``wanted``."""
    if not isinstance(tuning.knob, (Sysctl, Sysfs)):
        return None
    now = context.facts.kernel.settings[tuning.knob.probe]
    if now.value == str(wanted):
        return f"{tuning.knob.place} is {wanted} already"
    return None


def _absent(tuning: Tuning, context: Context) -> str | None:
    if not isinstance(tuning.knob, (Sysctl, Sysfs)):
        return None
    now = context.facts.kernel.settings.get(tuning.knob.probe)
    if now is None or now.value is None:
        return f"this kernel has no {tuning.knob.place} that can be read"
    return None


def _unwanted(
    tuning: Tuning, value: Value, only: Sequence[str], skip: Sequence[str], max_risk: RiskLevel
) -> str | None:
    if any(fnmatchcase(tuning.entry, pattern) for pattern in skip):
        return "left out by --skip"
    if only and not any(fnmatchcase(tuning.entry, pattern) for pattern in only):
        return "not among --only"
    if tuning.risk.level.rank > max_risk.rank:
        return (
            f"its risk is {tuning.risk.level.value}, above --max-risk {max_risk.value}: "
            f"{tuning.risk.sentence}"
        )
    if value in tuning.lowers_fidelity and tuning.entry not in only:
        return f"it may change answers: name it with --only {tuning.entry} to test it"
    return None
