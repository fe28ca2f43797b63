"""From a view to the state of every tuning.

Observers of what no launch sets: the interpreter, limits, devices, packages.

Each looks at the view and says the state of one entry; an entry without an observer is one that
only a text can show (``trimtab lint``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from trimtab import rules
from trimtab.catalog import CATALOG, Tuning
from trimtab.diagnosis.allocator import family
from trimtab.diagnosis.records import (
    TROUBLE,
    Allocator,
    DiagnosisView,
    InspectedProcess,
    TuningDiagnosis,
    TuningState,
)
from trimtab.facts.parsing import is_same_value
from trimtab.knobs import Argument, ManualSetting, Preload, Switch, Sysctl, Sysfs
from trimtab.knobs.env import name_matches
from trimtab.knobs.server_arg import AUTO
from trimtab.model.finding import Finding, Problem, Severity
from trimtab.redaction import holds_secret, looks_secret
from trimtab.rules.entry_rules import acts, scene_value

Sight = tuple[TuningState, str, str, str]
"""State, what was observed, where, what to do."""

_ENOUGH_FILES = 4096


def _python(view: DiagnosisView) -> Sight:
    build = view.build
    if not build.path:
        what = "name the server's interpreter with --python, or its process with --pid"
        return TuningState.UNKNOWN, "no vLLM is on PATH, so no interpreter is known", "PATH", what
    where = build.source or build.path
    if build.reason:
        return TuningState.UNKNOWN, build.reason, where, ""
    told = ", ".join(
        f"{name} {'yes' if has else 'no'}"
        for name, has in (("PGO", build.pgo), ("LTO", build.lto), ("BOLT", build.bolt))
    )
    said = f"Python {build.version} {build.level}, {told}"
    if build.pgo and build.lto:
        return TuningState.ACTIVE, said, where, ""
    return TuningState.STOCK, said, where, ""


def _files(view: DiagnosisView) -> Sight:
    limits = [process.nofile for process in view.processes if process.nofile is not None]
    known = min(limits) if limits else view.facts.limits.nofile.value
    where = "/proc/PID/limits" if limits else view.facts.limits.nofile.source
    if known is None:
        return TuningState.UNKNOWN, "", where, ""
    said = "unlimited" if math.isinf(known) else f"{known:.0f} open files"
    if known < _ENOUGH_FILES:
        return (
            TuningState.WRONG_VALUE,
            said,
            where,
            f"raise it to {_ENOUGH_FILES} or more: ulimit -n",
        )
    return TuningState.ACTIVE, said, where, ""


def _swap(view: DiagnosisView) -> Sight:
    total, where = view.facts.memory.swap_total.value, view.facts.memory.swap_total.source
    used = sum(process.swapped or 0 for process in view.processes)
    if used:
        return (
            TuningState.WRONG_VALUE,
            f"{used // 2**20} MiB of the server are swapped out",
            "VmSwap of /proc/PID/status",
            "give the host more memory, or switch swap off",
        )
    if total is None:
        return TuningState.UNKNOWN, "", where, ""
    said = f"{total // 2**20} MiB of swap" if total else "no swap"
    return TuningState.STOCK, said, where, ""


def _devices(view: DiagnosisView) -> Sight:
    ascend = view.facts.ascend
    managers, devices = ascend.managers.value or (), ascend.devices.value or ()
    if not devices:
        return TuningState.NOT_APPLICABLE, "no /dev/davinciN", "/dev", ""
    said = f"{len(devices)} NPUs, {len(managers)} of 3 of the driver's nodes"
    if len(managers) < 3:
        return TuningState.WRONG_VALUE, said, "/dev", "give the container the driver's nodes too"
    return TuningState.ACTIVE, said, "/dev", ""


def _mounts(view: DiagnosisView) -> Sight:
    driver = view.facts.ascend.driver
    if view.situation.platform != "ascend":
        return TuningState.NOT_APPLICABLE, "no NPU", "/dev", ""
    if driver.value is None:
        return (
            TuningState.WRONG_VALUE,
            driver.reason,
            driver.source,
            "mount the driver's folder of the host, read-only",
        )
    return TuningState.ACTIVE, f"driver {driver.value}", driver.source, ""


def _turbo(view: DiagnosisView) -> Sight:
    version = view.packages.get("mindie-turbo")
    if version is None:
        return TuningState.STOCK, "absent", view.interpreter, ""
    return (
        TuningState.SUPERSEDED,
        f"mindie-turbo {version}",
        view.interpreter,
        "uninstall it: it pins torch 2.5.1",
    )


def _bound(view: DiagnosisView) -> Sight:
    masks = {
        process.label: process.allowed for process in view.processes if process.allowed is not None
    }
    online = view.facts.cpu.online.value
    allowed = view.facts.limits.allowed.value
    if not masks and allowed is not None:
        masks = {"this process": allowed}
    if online is None or not masks:
        return TuningState.UNKNOWN, "", "sched_getaffinity", ""
    few = {name: len(mask) for name, mask in masks.items() if len(mask) < len(online)}
    if not few:
        return TuningState.STOCK, f"all {len(online)} CPUs", "sched_getaffinity", ""
    said = ", ".join(f"{count} of {len(online)} CPUs in {name}" for name, count in few.items())
    return TuningState.ACTIVE, said, "sched_getaffinity", ""


def _interrupts(view: DiagnosisView) -> Sight:
    if view.situation.platform != "ascend":
        return TuningState.NOT_APPLICABLE, "no NPU", "/proc/interrupts", ""
    return TuningState.UNKNOWN, "only the log (plog) of vllm-ascend shows it", "/proc/irq", ""


def _privileged(view: DiagnosisView) -> Sight:
    inside = view.situation.container
    if not inside:
        return TuningState.NOT_APPLICABLE, "not in a container", "", ""
    return (
        TuningState.UNKNOWN,
        "only the launch file shows it",
        "",
        "check that file: trimtab lint FILE",
    )


OBSERVERS: Mapping[str, Callable[[DiagnosisView], Sight]] = {
    "optimized-python": _python,
    "file-limit": _files,
    "swap": _swap,
    "container-devices": _devices,
    "container-mounts": _mounts,
    "mindie-turbo": _turbo,
    "cpu-binding-wrapper": _bound,
    "irq-affinity": _interrupts,
    "container-privileged": _privileged,
}


_STATES = {
    Problem.WRONG_VALUE: TuningState.WRONG_VALUE,
    Problem.CONFLICT: TuningState.CONFLICTING,
    Problem.NO_EFFECT: TuningState.NO_EFFECT,
    Problem.SUPERSEDED: TuningState.SUPERSEDED,
    Problem.HAZARD: TuningState.WRONG_VALUE,
}


def rows(view: DiagnosisView) -> tuple[TuningDiagnosis, ...]:
    """Return one row for each entry of the catalogue, in its order."""
    return tuple(_row(tuning, view) for tuning in CATALOG.values() if not tuning.dummy)


def unowned_findings(view: DiagnosisView) -> tuple[Finding, ...]:
    """Return the findings that belong to no entry: unknown names, libraries that are missing."""
    findings = [
        finding
        for process in view.processes
        for finding in (*rules.process_findings(process.scene), *_missing(process.allocator))
        if not finding.tuning
    ]
    return tuple(dict.fromkeys(findings))


def _missing(heap: Allocator) -> Iterator[Finding]:
    """Yield a finding for each library that is missing and that no entry's row speaks of."""
    owned = [
        tuning.knob.sonames for tuning in CATALOG.values() if isinstance(tuning.knob, Preload)
    ]
    for path in heap.missing:
        if not any(name_matches(path, names) for names in owned):
            yield Finding(
                rule="preload-missing",
                severity=Severity.WARNING,
                problem=Problem.NO_EFFECT,
                setting="LD_PRELOAD",
                message=f"LD_PRELOAD names {path}, which does not exist, so every program prints "
                "an error of ld.so and runs without it",
                fix="give the right path, or take it out",
                place=None,
            )


def has_trouble(table: Sequence[TuningDiagnosis], more: Sequence[Finding]) -> bool:
    """Whether anything is wrong: what exit code 1 says."""
    findings = [*more, *(finding for row in table for finding in row.findings)]
    severe = any(finding.severity.rank >= Severity.WARNING.rank for finding in findings)
    return severe or any(row.state in TROUBLE for row in table)


def _row(tuning: Tuning, view: DiagnosisView) -> TuningDiagnosis:
    base = TuningDiagnosis(tuning.name, tuning.layer, TuningState.STOCK)
    elsewhere = tuning.platforms and view.situation.platform not in (None, *tuning.platforms)
    given = any(scene_value(tuning, process.scene) is not None for process in view.processes)
    if elsewhere:
        said = f"{'set, but ' if given else ''}only for {' or '.join(tuning.platforms)}"
        return TuningDiagnosis(tuning.name, tuning.layer, TuningState.NOT_APPLICABLE, said)
    if isinstance(tuning.knob, Sysctl | Sysfs):
        return _kernel(tuning, view)
    observer = OBSERVERS.get(tuning.name)
    if observer is not None or isinstance(tuning.knob, ManualSetting):
        if observer is None:
            return TuningDiagnosis(
                tuning.name, tuning.layer, TuningState.UNKNOWN, "only a launch file shows it", "",
                "check that file: trimtab lint FILE",
            )  # fmt: skip
        state, observed, where, todo = observer(view)
        return TuningDiagnosis(tuning.name, tuning.layer, state, observed, where, todo)
    return _setting(tuning, view, base)


def _kernel(tuning: Tuning, view: DiagnosisView) -> TuningDiagnosis:
    assert isinstance(tuning.knob, Sysctl | Sysfs)
    fact = view.facts.kernel.settings.get(tuning.knob.probe)
    name, layer = tuning.name, tuning.layer
    if fact is None or fact.value is None:
        reason = fact.reason if fact is not None else "it is not read"
        gone = "No such file" in reason or "not in the snapshot" in reason
        state = TuningState.NOT_APPLICABLE if gone else TuningState.UNKNOWN
        said = "this kernel does not have it, or hides it" if gone else reason
        return TuningDiagnosis(name, layer, state, said, tuning.knob.probe)
    findings = _findings(tuning, view.processes[:1])
    state = TuningState.ACTIVE if fact.value in _offered(tuning) else TuningState.STOCK
    return _judged(TuningDiagnosis(name, layer, state, fact.value, fact.source), findings)


def _offered(tuning: Tuning) -> tuple[str, ...]:
    """Return what a study would test first; the other values are there to compare with."""
    return () if callable(tuning.values) else tuple(map(str, tuning.values[1:2]))


def _setting(tuning: Tuning, view: DiagnosisView, base: TuningDiagnosis) -> TuningDiagnosis:
    values: dict[str, list[str]] = {}
    for process in view.processes:
        value = scene_value(tuning, process.scene)
        if value is not None:
            values.setdefault(str(value), []).append(process.label)
    if not values:
        return base
    secret = looks_secret(tuning.knob.setting)
    told = "; ".join(
        f"{'...' if secret or holds_secret(text) else text} in {', '.join(labels)}"
        for text, labels in values.items()
    )
    holders = [
        process for process in view.processes if scene_value(tuning, process.scene) is not None
    ]
    state = (
        TuningState.ACTIVE
        if any(acts(tuning, holder.scene) for holder in holders)
        else TuningState.STOCK
    )
    row = TuningDiagnosis(base.tuning, base.layer, state, told, tuning.knob.place)
    row = _judged(row, _findings(tuning, holders))
    if isinstance(tuning.knob, Preload):
        return _heap(row, tuning, view)
    return _reported(row, tuning, view)


def _reported(row: TuningDiagnosis, tuning: Tuning, view: DiagnosisView) -> TuningDiagnosis:
    """Return the row of an option with what the server itself says of it."""
    if not isinstance(tuning.knob, Argument | Switch) or tuning.knob.config not in view.config:
        return row
    said = view.config[tuning.knob.config]
    asked = {scene_value(tuning, process.scene) for process in view.processes} - {None}
    observed = f"{row.observed}; the server reports {said}"
    if asked and all(one != AUTO and not is_same_value(one, said) for one in asked):
        todo = "vLLM overrules it on this platform: its log says why"
        return replace(row, state=TuningState.NO_EFFECT, observed=observed, todo=todo)
    return replace(row, observed=observed)


def _findings(tuning: Tuning, processes: Sequence[InspectedProcess]) -> tuple[Finding, ...]:
    findings = [
        finding
        for process in processes
        for finding in rules.tuning_findings(tuning, process.scene)
    ]
    return tuple(dict.fromkeys(findings))


def _judged(row: TuningDiagnosis, findings: Sequence[Finding]) -> TuningDiagnosis:
    """Return the row with the state that the most severe finding makes."""
    state, todo = row.state, row.todo
    ordered = sorted(findings, key=lambda one: -one.severity.rank)
    for finding in ordered[:1]:
        if finding.severity.rank >= Severity.WARNING.rank:
            state = _STATES.get(finding.problem, state)
        todo = f"{finding.message}: {finding.fix}" if finding.fix else finding.message
    return TuningDiagnosis(
        row.tuning, row.layer, state, row.observed, row.where, todo, tuple(ordered)
    )


def _heap(row: TuningDiagnosis, tuning: Tuning, view: DiagnosisView) -> TuningDiagnosis:
    """Return the row of a preload as the processes and the probe show it."""
    assert isinstance(tuning.knob, Preload)
    for trouble in _heap_trouble(tuning.knob, view):
        return TuningDiagnosis(
            row.tuning,
            row.layer,
            TuningState.NO_EFFECT,
            row.observed,
            row.where,
            trouble,
            row.findings,
        )
    served = {process.allocator.serving for process in view.processes if process.allocator.serving}
    proof = f"; proven in a child process: {', '.join(sorted(served))} serves" if served else ""
    return TuningDiagnosis(
        row.tuning, row.layer, row.state, row.observed + proof, row.where, row.todo, row.findings
    )


def _heap_trouble(knob: Preload, view: DiagnosisView) -> Iterator[str]:
    for process in view.processes:
        soname, heap = knob.parse(process.scene.settings), process.allocator
        for path in heap.preloaded:
            if soname is None or not name_matches(path, (str(soname),)):
                continue
            library = path.rpartition("/")[2].partition(".so")[0]
            if path in heap.missing:
                yield f"{path} does not exist, so the loader ignores it: give the right path"
            elif heap.mapped is not None and not any(library in mapped for mapped in heap.mapped):
                yield f"{path} is preloaded, and not mapped in {process.label}"
            elif heap.reason.startswith("the probe ended"):
                yield f"with {path} a child process does not start: {heap.reason}"
            elif heap.serving and knob.family == "malloc" and heap.serving != family(path):
                yield f"{heap.serving} serves malloc, not {path}: keep one, and put it first"
