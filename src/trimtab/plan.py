"""From a candidate to the plan: everything that is launched, written and verified. Pure.

The same candidate, base, facts and catalogue give the same plan, byte for byte: knobs write in
the catalogue's order, whatever the order of the mapping was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations

from trimtab.catalog import CATALOG, Tuning, conflict, exclusion, require_known
from trimtab.errors import UsageError
from trimtab.facts import Facts
from trimtab.knobs import Draft
from trimtab.model import Candidate, Check, CheckKind, Plan, Settings, Value, candidate


def compile_plan(
    chosen: Candidate,
    base: Settings,
    facts: Facts,
    *,
    catalog: Mapping[str, Tuning] = CATALOG,
    allow_conflicts: bool = False,
) -> Plan:
    """Compile a candidate on top of the baseline's settings.

    A value of ``None`` takes away what the base sets. The plan names entries of the catalogue,
    also for a study's entry of a further value. ``allow_conflicts`` is for a candidate that
    is measured as it stands, contradictions included (the guide); its checks still say what is
    true: a second allocator, for example, is expected to be mapped, not to serve.

    Raises:
        UnknownTuningError: the candidate names no entry of the catalogue.
        UsageError: two of its values, or one and the base, exclude each other.
        LibraryMissingError: a library to preload is not installed.
    """
    values = dict(chosen)
    require_known(catalog, values)
    if not allow_conflicts:
        _require_harmony(values, base, catalog)
    draft = Draft.of(base)
    own: dict[str, list[Check]] = {}
    for name, tuning in catalog.items():
        if name not in values:
            continue
        draft.checks = []
        tuning.knob.contribute(draft, values[name], facts)
        own[name] = draft.checks
    settings = draft.settings()
    return Plan(
        candidate=candidate({catalog[name].entry: value for name, value in values.items()}),
        settings=settings,
        writes=draft.host_writes(),
        checks=tuple(
            replace(check, tuning=catalog[name].entry)
            for name, default in own.items()
            for check in _checks(catalog[name], values[name], default, facts, settings)
        ),
    )


def delivery_plan(plan: Plan) -> Plan:
    """Return a plan that proves what the server was given, not what it made of it.

    For a preset: a setting of it that vLLM overrules (OMP_NUM_THREADS beside a worker process) is
    part of what it gives, and no reason not to measure it.
    """
    made = (CheckKind.CONFIG, CheckKind.ROLES)
    return replace(plan, checks=tuple(check for check in plan.checks if check.kind not in made))


def _checks(
    tuning: Tuning, value: Value, default: list[Check], facts: Facts, settings: Settings
) -> tuple[Check, ...]:
    """Return an entry's stronger checks if it has some, else its knob's.

    They are made last, because what can be seen of one setting depends on the others.
    """
    if tuning.checks is None or value is None:
        return tuple(default)
    return tuning.checks(value, facts, settings)


def _require_harmony(
    values: Mapping[str, Value], base: Settings, catalog: Mapping[str, Tuning]
) -> None:
    """Raise the sentence of the first conflict among the values, or between one and the base."""
    active = {name: value for name, value in values.items() if _moves(catalog[name], value)}
    for one, other in combinations(sorted(active), 2):
        if sentence := exclusion(catalog, one, other):
            raise UsageError(f"{one} and {other} exclude each other: {sentence}")
    entries = {catalog[name].entry for name in values}
    for name in sorted(active):
        for other, tuning in catalog.items():
            if tuning.entry in entries or not _moves(tuning, tuning.knob.parse(base)):
                continue
            if sentence := conflict(catalog, name, other):
                raise UsageError(f"{name} excludes {other}, which the baseline sets: {sentence}")


def _moves(tuning: Tuning, value: Value) -> bool:
    """Whether a value is off stock, as far as that can be told without a machine."""
    if value is None:
        return False
    return callable(tuning.values) or value != tuning.values[0]
