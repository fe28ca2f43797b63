"""A study of the simulated engine: all of ``tune`` over a landscape, without server or sleep.

Everything but the start is the real thing: space, strategy, ledger, verdicts, profiles, report.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import Final

from trimtab import __version__, facts
from trimtab.catalog import (
    CATALOG,
    Context,
    Relation,
    Source,
    Tuning,
    UntestedTuning,
    require_known,
)
from trimtab.engines.scripted.engine import Scripted
from trimtab.errors import UsageError
from trimtab.host import SnapshotHost
from trimtab.knobs import Env
from trimtab.load.workload import load_workload
from trimtab.metrics.table import Slo, parse_slo
from trimtab.model import Factor, Risk, RiskLevel, Settings, Start, StartRequest
from trimtab.simulated import Landscape, SimulatedMachine, load_landscape, space_of
from trimtab.simulated.machine import FURTHER, LATENCY, OBJECTIVE
from trimtab.study.options import Options, parse_budget, parse_objectives
from trimtab.study.session import DEFAULT_BUDGET, Session, limits

ENGINE: Final = "simulated"
"""The name it is asked for by."""

_NO_PART: Final = (
    *("model", "engine_python", "baseline", "baseline_file"),
    *("workload", "allow_host", "aa", "windows", "tries", "device_time", "arm"),
)
"""Options that say how a server is started or loaded, and mean nothing here."""


_NOWHERE: Final = Path(__file__).parents[2] / "simulated" / "nowhere"
"""A machine of which nothing is known: a simulated study is the same on every machine."""


def open_simulated_session(options: Options) -> Session:
    """Resolve options against the landscape they name.

    Raises:
        UsageError: no landscape is named, it cannot be read, or an option belongs to a server.
    """
    _require_no_server_options(options)
    if options.landscape is None:
        raise UsageError(f"--engine {ENGINE} needs --landscape, such as --landscape L1")
    further = _further(options.objective)
    landscape = load_landscape(options.landscape)
    entries = catalogue(landscape)
    tunings = [entry.name for entry in entries.values() if not entry.dummy]
    those = f"{landscape.name} has {', '.join(tunings)}"
    require_known(entries, (*options.only, *options.skip), those)
    budget = parse_budget(options.budget or DEFAULT_BUDGET)
    machine = SimulatedMachine(landscape, options.seed)
    space = space_of(landscape, budget, options.seed)
    slo = _slo(options)
    factors, left_out = _chosen(space.factors, options)
    engine = Scripted(
        name=ENGINE, version=__version__, packages={}, expected_seconds=space.seconds
    )
    nowhere = SnapshotHost(_NOWHERE)
    found = facts.inspect(nowhere, {}, engine.platform)
    base = Settings(argv=(ENGINE, landscape.name))
    return Session(
        options=options,
        model=landscape.name,
        engine=engine,
        host=nowhere,
        facts=found,
        context=Context(found, ENGINE, __version__, engine.platform, {}, base),
        base=base,
        space=replace(space, factors=factors, limits=limits(OBJECTIVE, slo), objectives=further),
        left_out=left_out,
        workload=load_workload("tiny"),
        slo=slo,
        vocab=0,
        gate_patience=0.0,
        catalog=entries,
        machine=machine,
    )


def _require_no_server_options(options: Options) -> None:
    """Make sure that no option is given that belongs to a server.

    Raises:
        UsageError: one is.
    """
    default = Options()
    for name in _NO_PART:
        if getattr(options, name) != getattr(default, name):
            flag = "try" if name == "tries" else name.replace("_", "-")
            raise UsageError(f"--engine {ENGINE} starts no server: leave --{flag} out")


def _further(text: str) -> tuple[str, ...]:
    objective, *further = parse_objectives(text)
    if objective != OBJECTIVE or not {*further} <= {*FURTHER}:
        raise UsageError(
            f"a landscape tells {OBJECTIVE}, and after it {' and '.join(FURTHER)} only: name "
            "these, or leave --objective out"
        )
    return tuple(further)


def _slo(options: Options) -> Slo | None:
    """Return the SLO; a limit on what no start will have must not seem to be kept."""
    if not options.slo:
        return None
    slo = parse_slo(options.slo)
    for metric, _ in limits(OBJECTIVE, slo):
        if metric != LATENCY:
            raise UsageError(f"a landscape tells {LATENCY} only: --slo cannot limit {metric} here")
    return slo


def _chosen(
    factors: tuple[Factor, ...], options: Options
) -> tuple[tuple[Factor, ...], tuple[UntestedTuning, ...]]:
    kept, out = [], []
    for factor in factors:
        if not factor.dummy and _matches(factor.tuning, options.skip):
            out.append(UntestedTuning(factor.tuning, "left out by --skip"))
        elif not factor.dummy and options.only and not _matches(factor.tuning, options.only):
            out.append(UntestedTuning(factor.tuning, "not among --only"))
        else:
            kept.append(factor)
    return tuple(kept), tuple(out)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def catalogue(landscape: Landscape) -> Mapping[str, Tuning]:
    """Return the landscape's tunings as a catalogue: variables that nothing reads."""
    found = {}
    if not any(tuning.dummy for tuning in landscape.tunings.values()):
        found["dummy"] = CATALOG["dummy"]
    pairs = landscape.conflicts
    for name, tuning in landscape.tunings.items():
        rivals = [other for pair in pairs for other in pair if name in pair and other != name]
        level = (
            "optimum inside a range"
            if tuning.numeric
            else f"true effect {tuning.effect:+.3f} (log)"
        )
        found[name] = Tuning(
            name=name,
            layer=ENGINE,
            summary=f"Simulated: {level}.",
            knob=Env("TRIMTAB_SIMULATED_" + name.upper().replace("-", "_")),
            values=(None, str(SimulatedMachine(landscape).on(name))),
            stock="off",
            risk=Risk(RiskLevel.NONE, "It is simulated."),
            sources=(Source(f"landscape {landscape.name}", "trimtab.simulated"),),
            conflicts=tuple(Relation(other, "the landscape says so") for other in rivals),
            dummy=tuning.dummy,
            scope=tuning.scope,
            restart=tuning.restart,
        )
    return MappingProxyType(found)


@dataclass(frozen=True, slots=True)
class SimulatedExecutor:
    """Makes the starts of a session on the machine of its landscape: without server or sleep."""

    session: Session
    machine: SimulatedMachine

    def run(self, request: StartRequest, number: int) -> Start:
        """Make one start; see `trimtab.study.executors.Executor`."""
        plan = self.session.compile(request.candidate)
        start = self.machine.start(request, number)
        return replace(start, plan=plan.digest, began=time.time())
