"""A session: the options resolved against this machine, and the header that says so."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from trimtab import __version__, engines, facts, formatting, presets
from trimtab.catalog import (
    CATALOG,
    Context,
    Tuning,
    UntestedTuning,
    space,
    with_further_values,
    with_tries,
)
from trimtab.catalog.entries.dummy import aa_study_tunings
from trimtab.engines import Engine, checkpoint, inspect
from trimtab.engines.default_model import folder as built_in
from trimtab.errors import UsageError
from trimtab.facts import Facts
from trimtab.host import Host
from trimtab.load.lengths import Lengths
from trimtab.load.preflight import requested_context, require_context
from trimtab.load.transport import require_files
from trimtab.load.workload import Workload, load_workload
from trimtab.metrics.table import HOST_OVERHEAD, METRICS, Slo, parse_slo
from trimtab.model import Budget, Candidate, Factor, Header, Plan, RiskLevel, Settings, Space
from trimtab.plan import compile_plan, delivery_plan
from trimtab.redaction import redact_settings
from trimtab.server.environment import reaches_engine
from trimtab.simulated import SimulatedMachine
from trimtab.study import baseline
from trimtab.study.engine_choice import choose, remarks
from trimtab.study.options import (
    Options,
    parse_arm,
    parse_budget,
    parse_objectives,
    parse_risk,
    parse_share,
    parse_tries,
    parse_windows,
    resolve_objectives,
)

DEFAULT_BUDGET = "30"
_NOISE = 0.05
"""What is assumed where nobody knows better: restarts of vLLM on a small shared CPU machine."""
_DEFAULT_WORKLOAD = {"scripted": "tiny"}

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Session:
    """The options of a study, resolved against this machine. Immutable."""

    options: Options
    model: str
    engine: Engine
    host: Host
    facts: Facts
    context: Context
    base: Settings
    space: Space
    left_out: tuple[UntestedTuning, ...]
    workload: Workload
    slo: Slo | None
    vocab: int
    gate_patience: float
    catalog: Mapping[str, Tuning] = field(default_factory=lambda: CATALOG)
    readings: tuple[Mapping[str, float], ...] = ()  # the gate's, before the study's earlier starts
    notes: tuple[str, ...] = ()  # what a reader must know of what is measured
    machine: SimulatedMachine | None = None  # what plays the starts where no server is started

    @property
    def serves(self) -> bool:
        """Whether a plan of the session can be started by hand."""
        return self.machine is None

    @property
    def start_deadline(self) -> float:
        """Seconds a server may take to become ready."""
        return self.options.start_deadline

    @property
    def noise(self) -> float:
        """Standard deviation between starts that a design assumes, log scale."""
        given = self.options.noise
        return _NOISE if given is None else parse_share("--noise", given)

    @property
    def caveats(self) -> tuple[str, ...]:
        """Warnings that accompany each number measured on the engine."""
        return (self.engine.caveat,) if self.engine.caveat else ()

    def compile(self, chosen: Candidate, *, guide: bool = False) -> Plan:
        """Compile a candidate; that of a preset (``guide``) keeps its conflicts."""
        compiled = partial(compile_plan, chosen, self.base, self.facts, catalog=self.catalog)
        return delivery_plan(compiled(allow_conflicts=True)) if guide else compiled()

    def question(self) -> dict[str, object]:
        """Return what identifies the study: two studies with equal questions may be pooled."""
        cpu, base = self.facts.cpu, redact_settings(self.base)
        more = {"objectives": list(self.space.objectives)} if self.space.objectives else {}
        arm = {} if self.space.preset == presets.GUIDE else {"arm": self.space.preset}
        played = None if self.machine is None else self.machine.landscape.model_dump(mode="json")
        return {
            "trimtab": __version__,
            "engine": self.engine.name,
            "engine_packages": dict(sorted(self.engine.packages.items())),
            "model": self.model,
            "baseline": list(base.argv),
            "baseline_env": dict(base.env),
            "workload": self.workload.model_dump(mode="json"),
            "objective": self.space.objective,
            **more,
            **arm,
            "slo": self.options.slo,
            "budget": asdict(self.space.budget),
            "seed": self.space.seed,
            "shared_host": self.options.shared_host,
            "windows": self.options.windows,
            "factors": {factor.tuning: factor.value for factor in self.space.factors},
            "machine": {
                "cpu": cpu.model.value,
                "cores": len(cpu.online.value or ()),
                "kernel": self.facts.kernel.release.value,
            },
            **({} if played is None else {"landscape": played}),
        }


def open_session(options: Options, say: Say, *, install: bool = True) -> Session:
    """Resolve ``options`` against this machine.

    ``install`` lets a missing managed engine be installed; without it (a dry run) its pinned
    versions are assumed.

    Raises:
        UsageError: an option does not parse, or does not fit the others.
        EngineError: the engine is missing or cannot be installed.
    """
    budget = parse_budget(options.budget or DEFAULT_BUDGET)
    risk = parse_risk(options.max_risk)
    slo = parse_slo(options.slo) if options.slo else None
    objectives = resolve_objectives(options.objective, slo)
    options, command = baseline.apply_baseline(options)
    notes = (*(command.notes if command else ()), *remarks(options, command))
    options = choose(options, command)
    name = options.engine or "python"
    asked_load = options.workload or _DEFAULT_WORKLOAD.get(name, "mixed-small")
    workload = load_workload(asked_load, parse_windows(options.windows))
    engine = engines.find(name, python=options.engine_python, install=install, progress=say)
    engine = _timed(engine, options)
    model, model_args = engine.model(options.model)
    base = _base(engine, model, command or baseline.ServeCommand(model, model_args))
    require_context(workload, *_context_limit(base, model))
    require_files(workload)
    host = engine.host()
    context = _context(engine, host, model, base, workload, options, objectives[0])
    asked = _asked(context, options, risk)
    return Session(
        options=options,
        model=model,
        engine=engine,
        host=host,
        facts=context.facts,
        context=context,
        base=base,
        space=_space(asked, objectives, budget, slo, options.seed, engine.expected_seconds),
        left_out=asked.left_out,
        workload=workload,
        slo=slo,
        vocab=engine.vocab(model),
        gate_patience=0.0 if options.shared_host else engine.gate_patience,
        catalog=asked.catalog,
        notes=notes,
    )


def _context_limit(base: Settings, model: str) -> tuple[int | None, str]:
    """Return how many tokens a request may have, and what says so."""
    asked = requested_context(base.argv)
    if asked is not None:
        return asked, "--max-model-len of the baseline"
    return checkpoint.context(model), f"the model {model}"


def _timed(engine: Engine, options: Options) -> Engine:
    """Return the engine with the device's time as asked.

    Raises:
        UsageError: host overhead is asked for where the device takes time, or a model of the
            device's time on an engine that has a real device.
    """
    if options.device_time is not None:
        engine = engine.with_device_time(options.device_time)
    if HOST_OVERHEAD in parse_objectives(options.objective) and not engine.has_idle_device:
        raise UsageError(
            f"--objective {HOST_OVERHEAD} needs a device that takes no time: "
            "add --engine ascend-emulator, without --device-time"
        )
    return engine


def _context(
    engine: Engine,
    host: Host,
    model: str,
    base: Settings,
    workload: Workload,
    options: Options,
    objective: str,
) -> Context:
    tries = parse_tries(options.tries)
    host_overhead = HOST_OVERHEAD in parse_objectives(options.objective)
    return Context(
        facts=inspect(engine, host),
        engine_name=engine.name,
        engine_version=engine.version,
        platform=engine.platform,
        packages=engine.packages,
        baseline=base,
        checkpoint_dtype=engine.checkpoint_dtype(model),
        concurrency=workload.concurrency,
        allow_host=options.allow_host,
        objective=objective,
        tries=with_tries(tries) if host_overhead else tries,
        host_overhead=host_overhead,
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a study asks about: its factors, and where they come from."""

    factors: tuple[Factor, ...]
    left_out: tuple[UntestedTuning, ...]
    conflicts: frozenset[frozenset[str]]
    guide: Candidate | None
    preset: str
    catalog: Mapping[str, Tuning]


def _space(
    asked: _Asked,
    objectives: tuple[str, ...],
    budget: Budget,
    slo: Slo | None,
    seed: int,
    seconds: tuple[float, float],
) -> Space:
    """Return the question of the study; ``seconds`` are those that an engine expects."""
    return Space(
        factors=asked.factors,
        conflicts=asked.conflicts,
        guide=asked.guide,
        preset=asked.preset,
        objective=objectives[0],
        higher_is_better=METRICS[objectives[0]].higher_is_better,
        budget=budget,
        seed=seed,
        seconds=seconds,
        limits=limits(objectives[0], slo),
        objectives=objectives[1:],
    )


def _asked(context: Context, options: Options, risk: RiskLevel) -> _Asked:
    """Return what the catalogue offers here, or an A/A study's inert tunings.

    Raises:
        UsageError: an A/A study with a choice of tunings.
    """
    if options.aa:
        if options.only or options.skip:
            raise UsageError("--aa tunes nothing: leave --only and --skip out")
        control = CATALOG["dummy"]
        entries = {tuning.name: tuning for tuning in (control, *aa_study_tunings(options.aa))}
        factors = (
            Factor(entry.name, entry.recommended_for(context), dummy=entry.dummy)
            for entry in entries.values()
        )
        return _Asked(tuple(factors), (), frozenset(), None, presets.GUIDE, entries)
    name = options.arm or presets.default_preset(context.platform)
    arm = None if name in (None, presets.NO_ARM) else parse_arm(name or "")
    found, left_out, conflicts = space(context, options.only, options.skip, risk)
    known = with_further_values(CATALOG, context.tries)
    guide = None if arm is None else presets.local_candidate(arm.name, context)
    return _Asked(tuple(found), tuple(left_out), conflicts, guide, name or presets.GUIDE, known)


def limits(objective: str, slo: Slo | None) -> tuple[tuple[str, float], ...]:
    """Return the SLO as limits in milliseconds; goodput has it in the objective already."""
    if slo is None or objective == "goodput":
        return ()
    return tuple((f"{term.latency}_{term.statistic}", 1000.0 * term.limit) for term in slo.terms)


def _base(engine: Engine, model: str, given: baseline.ServeCommand) -> Settings:
    """Return the baseline's settings: the engine's own, overridden by what the user runs.

    Variables of ours that an engine reads are part of what the user runs: they are taken into
    the settings, so that they are recorded, compared on resume, and exported.
    """
    ours = {name: value for name, value in os.environ.items() if reaches_engine(name, value)}
    env = {**engine.environment(model), **ours, **dict(given.env)}
    return Settings(argv=engine.command(model, given.args), env=tuple(sorted(env.items())))


def fingerprint(session: Session) -> Mapping[str, str]:
    """Return the facts that decide whether a result holds elsewhere, as text."""
    return facts.as_text(session.facts)


_OWN = {"python": "vllm"}
"""Engines by how they were named → what they are."""


def header_of(session: Session) -> Header:
    """Return engine, model, workload and machine of a session."""
    engine = session.engine
    return Header(
        engine=_OWN.get(engine.name, engine.name),
        version=engine.version,
        platform=engine.platform,
        path=engine.where if session.serves else "",
        model=session.model + (_of_model(session.model) if session.serves else ""),
        workload=workload(session.workload),
        machine=machine(session.facts) if session.serves else "a simulated machine",
    )


def header_lines(session: Session) -> tuple[str, ...]:
    """Return what is printed before a measurement: the three lines, then what goes with them."""
    environment = dict(session.base.env)
    ours = sorted(
        name
        for name, value in os.environ.items()
        if reaches_engine(name) and environment.get(name) == value
    )
    remarks = [*session.notes, *(f"{session.engine.name}: {caveat}" for caveat in session.caveats)]
    if ours and session.serves:
        remarks.append(f"the baseline includes what your environment sets: {', '.join(ours)}")
    return (*header_of(session).lines(), *remarks)


def _of_model(model: str) -> str:
    if model == str(built_in()):
        return " (built in: a toy with random weights)"
    here = "://" in model or Path(model).expanduser().exists()
    return "" if here else " (no folder here: the server looks for it on its hub)"


def workload(given: Workload) -> str:
    """Return a workload's name, arrival and lengths."""
    arrival = given.arrival
    if arrival.concurrency is not None:
        load = f"closed loop of {arrival.concurrency}"
    elif arrival.rate is not None:
        load = f"{arrival.rate:g} requests/s"
    else:
        load = f"trace {arrival.trace}"
    sizes = [
        f"{_lengths(lengths)} tokens {way}"
        for lengths, way in ((given.input_tokens, "in"), (given.output_tokens, "out"))
        if lengths is not None
    ]
    return f"{given.name}: " + ", ".join([load, *sizes])


def machine(facts: Facts) -> str:
    """Return the machine's devices if it has any, and its CPUs."""
    devices: list[str] = []
    if npus := facts.ascend.devices.value:
        chip = facts.ascend.chip.value
        devices.append(formatting.count(len(npus), f"NPU{f' {chip}' if chip else ''}"))
    if gpus := facts.cuda.gpus.value:
        devices.append(f"{len(gpus)} x {gpus[0].name}")
    cores = facts.limits.allowed.value or facts.cpu.online.value or ()
    name = facts.cpu.model.value or "a CPU of unknown model"
    return ", ".join([*devices, f"{formatting.count(len(cores), 'core')} of {name}"])


def _lengths(lengths: Lengths) -> str:
    alone = len({*lengths.values}) == 1
    return f"{lengths.longest}" if alone else f"up to {lengths.longest}"
