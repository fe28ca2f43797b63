"""What is to be run: a profile or preset, compiled for this host on top of a command.

Where a running server has its libraries: in a container not where this process has them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from trimtab import facts
from trimtab.catalog import Context
from trimtab.engines import Engine, Observer
from trimtab.engines import command as program
from trimtab.errors import UsageError
from trimtab.facts import Facts
from trimtab.facts.libraries import SONAMES, LibraryFacts, folders
from trimtab.families import families, family_started, invocation_of
from trimtab.host import Host, LocalHost
from trimtab.knobs.protocol import PRELOAD, preload_libraries
from trimtab.model import Fact, Plan, Settings
from trimtab.model.finding import Severity
from trimtab.plan import compile_plan, delivery_plan
from trimtab.presets import PRESETS, find
from trimtab.processes import procfs
from trimtab.profiles.profile import ProfileRecord
from trimtab.redaction import is_marker, redact_plan, restore_words
from trimtab.run.comparability import Difference, differences, parse_facts
from trimtab.server.environment import reaches_engine
from trimtab.server.launcher import child_environment

_LINKS = 8
"""How many links of a library's name are followed at most; two are usual."""


def facts_of(pid: int, facts: Facts) -> Facts:
    """Return this machine's facts, with the libraries of the process's own root directory."""
    if not _elsewhere(pid):
        return facts
    places = folders(facts.cpu.arch.value)
    paths = {name: _find(pid, name, places) for name in SONAMES}
    return replace(facts, libraries=LibraryFacts(MappingProxyType(paths)))


def _elsewhere(pid: int) -> bool:
    """Whether a process has another root directory than this one; no, where it cannot be seen."""
    try:
        theirs, ours = Path(f"/proc/{pid}/root").stat(), Path("/").stat()
    except OSError:
        return False
    return (theirs.st_dev, theirs.st_ino) != (ours.st_dev, ours.st_ino)


def _find(pid: int, soname: str, places: tuple[str, ...]) -> Fact[str]:
    root = f"/proc/{pid}/root"
    for place in places:
        if os.path.lexists(f"{root}{place}/{soname}"):
            return Fact(_followed(root, f"{place}/{soname}"), root)
    return Fact.unknown(root, f"{soname} is not installed (looked in {', '.join(places)})")


def _followed(root: str, path: str) -> str:
    """Return the file behind a link inside ``root``: the name that the process's maps show."""
    for _ in range(_LINKS):
        try:
            target = Path(root + path).readlink()
        except OSError:
            break
        path = os.path.normpath(Path(path).parent / target)
    return path


_DROPPED = ("PYTHONDONTWRITEBYTECODE",)
"""What a study keeps from its servers, but a user's image may need (a read-only file system)."""

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", "8000"
"""Where a profile's own command listens, unless TRIMTAB_HOST and TRIMTAB_PORT say otherwise."""


@dataclass(frozen=True, slots=True)
class RunTarget:
    """A plan with what is needed to run and judge it."""

    name: str
    """Name of the profile or preset, for people."""
    plan: Plan
    """Compiled plan."""
    observer: Observer
    """Observes the running server."""
    engine: Engine | None
    """Engine that starts the command; ``None`` if trimtab knows none."""
    host: Host
    """Host of the run."""
    environment: Mapping[str, str]
    """Complete environment of the server."""
    differences: tuple[Difference, ...] = ()
    """Differences from the machine of the study."""
    notes: tuple[str, ...] = ()
    """Remarks for the user."""
    listen: tuple[str, ...] = ()
    """Words of the endpoint. They follow the plan's command, and are no part of the plan."""

    @property
    def argv(self) -> tuple[str, ...]:
        """The complete command."""
        return (*self.plan.settings.argv, *self.listen)


def profile_target(
    profile: ProfileRecord,
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    allow_host: bool,
) -> RunTarget:
    """Compile a profile's candidate over ``command``, or over its own where there is none.

    Raises:
        UsageError: a secret of its command is not in the environment, or the candidate and the
            command exclude each other.
        LibraryMissingError: a library to preload is not installed here.
        EngineMissingError: the engine that it was measured on is needed, and not installed.
    """
    base = _base(command, environment) if command else _own(profile, environment)
    engine = program.engine_of(base.argv, environment, profile.engine.name)
    host = LocalHost() if engine is None else engine.host()
    here = _facts(engine, host)
    plan = compile_plan(profile.candidate, base, here)
    found = (
        *_identity(profile, engine, base.argv),
        *differences(parse_facts(profile.facts), parse_facts(facts.as_text(here))),
        *_of_plan(plan, here, allow_host=allow_host),
        *(() if command else _strays(profile, environment)),
    )
    return RunTarget(
        name=f"profile {profile.name}",
        plan=plan,
        observer=program.observer_of(engine, profile.engine.name),
        engine=engine,
        host=host,
        environment=_environment(plan, environment, own=not command),
        differences=tuple(sorted(found, key=lambda one: -one.severity.rank)),
        notes=_notes(profile, plan, own=not command),
        listen=() if command else _listen(environment),
    )


def running_profile_target(profile: ProfileRecord) -> RunTarget:
    """Compile a profile for a server that runs already; its secrets need not be known."""
    base = profile.plan.settings
    engine = program.engine_of(base.argv, {}, profile.engine.name)
    host = LocalHost() if engine is None else engine.host()
    return RunTarget(
        name=f"profile {profile.name}",
        plan=compile_plan(profile.candidate, base, _facts(engine, host)),
        observer=program.observer_of(engine, profile.engine.name),
        engine=engine,
        host=host,
        environment={},
    )


def preset_target(
    name: str, command: Sequence[str], environment: Mapping[str, str], *, allow_host: bool
) -> RunTarget:
    """Compile a preset, contradictions included, over ``command``.

    Raises:
        UsageError: there is no such preset, or no command.
    """
    if name not in PRESETS:
        raise UsageError(f"--preset must be one of {', '.join(sorted(PRESETS))}, not {name!r}")
    if not command:
        raise UsageError("--preset needs the command to run, after '--'")
    base = _base(command, environment)
    engine = program.engine_of(base.argv, environment, "")
    host = LocalHost() if engine is None else engine.host()
    here = _facts(engine, host)
    chosen = PRESETS[name](_context(engine, here, base, allow_host=allow_host))
    plan = compile_plan(chosen, base, here, allow_conflicts=True)
    return RunTarget(
        name=f"preset {name}",
        plan=plan,
        observer=program.observer_of(engine, "", base.argv),
        engine=engine,
        host=host,
        environment=_environment(plan, environment, own=False),
        differences=_of_plan(plan, here, allow_host=allow_host),
        notes=("nothing is measured about a preset: trimtab tune does",),
    )


def running_preset_target(name: str, pid: int, *, allow_host: bool) -> RunTarget:
    """Compile a preset over what the server under ``pid`` was started with.

    Libraries are looked for where that server has them: in a container, in its own root.

    Raises:
        UsageError: there is no such preset or process, or its command cannot be read.
    """
    preset = find(name)
    argv, environment = procfs.cmdline(pid), procfs.environment(pid)
    if not argv:
        raise UsageError(f"--pid must name a running server, but there is none with id {pid}")
    base = _base(argv, environment)
    engine = program.engine_of(argv, environment, "")
    host = LocalHost() if engine is None else engine.host()
    here = facts_of(pid, _facts(engine, host))
    context = _context(engine, here, base, allow_host=allow_host)
    plan = compile_plan(preset(context), base, here, allow_conflicts=True)
    skipped = preset.skipped(context)
    return RunTarget(
        name=f"preset {name}",
        plan=delivery_plan(plan),
        observer=program.observer_of(engine, "", base.argv),
        engine=engine,
        host=host,
        environment={},
        notes=tuple(f"not looked at: {tuning.name}: {tuning.reason}" for tuning in skipped),
    )


def _base(command: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Return the user's own command with what of the environment reaches an engine."""
    given = {name: value for name, value in environment.items() if reaches_engine(name, value)}
    return Settings(argv=tuple(command), env=tuple(sorted(given.items())))


def _own(profile: ProfileRecord, environment: Mapping[str, str]) -> Settings:
    """Return the settings that were measured, with their secrets from the environment."""
    settings = profile.plan.settings
    env = []
    for name, value in settings.env:
        if is_marker(value):
            (value,) = restore_words([value], environment)
        env.append((name, value))
    return replace(settings, argv=restore_words(settings.argv, environment), env=tuple(env))


def _environment(plan: Plan, given: Mapping[str, str], *, own: bool) -> dict[str, str]:
    """Return the server's environment: ``given``, changed by the plan alone.

    A plan over the user's command already holds the variables that reach an engine, and may have
    removed some. A profile's ``own`` command does not hold them, so other preloads of this
    environment stay, behind the plan's.
    """
    left = {name: value for name, value in given.items() if own or not reaches_engine(name)}
    found = child_environment(plan.settings, left)
    if own and (more := _stray_preloads(plan.settings, given)):
        found[PRELOAD] = ":".join((*preload_libraries(plan.settings), *more))
    return {**{name: given[name] for name in _DROPPED if name in given}, **found}


def _listen(environment: Mapping[str, str]) -> tuple[str, ...]:
    host = environment.get("TRIMTAB_HOST") or DEFAULT_HOST
    return ("--host", host, "--port", environment.get("TRIMTAB_PORT") or DEFAULT_PORT)


def _facts(engine: Engine | None, host: Host) -> Facts:
    if engine is None:
        return facts.inspect(host, {}, "")
    return facts.inspect(host, engine.packages, engine.platform, engine.library_folders)


def _context(engine: Engine | None, here: Facts, base: Settings, *, allow_host: bool) -> Context:
    return Context(
        facts=here,
        engine_name=_engine_name(engine, base.argv),
        engine_version="" if engine is None else engine.version,
        platform=here.platform,
        packages=here.packages,
        baseline=base,
        allow_host=allow_host,
    )


def _engine_name(engine: Engine | None, argv: Sequence[str]) -> str:
    """Return the name of the engine, or of one of the family that the command starts."""
    if engine is not None:
        return engine.name
    return (family_started(argv) or families()[0]).name


def _identity(
    profile: ProfileRecord, engine: Engine | None, argv: Sequence[str]
) -> list[Difference]:
    """Judge whether it is the same engine and model at all."""
    found = []
    measured = program.kind(profile.engine.name)
    if engine is not None and program.kind(engine.name) != measured:
        sentence = f"the study measured {profile.engine.name}, the command starts {engine.name}"
        found.append(Difference("engine", Severity.ERROR, f"{sentence}: nothing carries over"))
    invocation = invocation_of(argv)
    model = None if invocation is None else invocation.model
    if model is None:
        sentence = f"the study served {profile.model}: the command does not tell what it serves"
        found.append(Difference("model", Severity.WARNING, sentence))
    elif _last(model) != _last(profile.model):
        sentence = f"the study served {profile.model}, but the command serves {model}"
        found.append(Difference("model", Severity.ERROR, f"{sentence}: nothing carries over"))
    return found


def _last(model: str) -> str:
    """Return a model's last part: a folder of one machine may be an id on another."""
    return model.rstrip("/").rpartition("/")[2]


def _of_plan(plan: Plan, here: Facts, *, allow_host: bool) -> tuple[Difference, ...]:
    """Judge what the plan needs of this host."""
    found = []
    allowed, bound = here.limits.allowed.value, plan.settings.affinity
    if bound is not None and allowed is not None and not set(bound) <= set(allowed):
        missing = ", ".join(str(cpu) for cpu in sorted(set(bound) - set(allowed)))
        sentence = f"the plan binds to CPUs that it may not use here: {missing}"
        found.append(Difference("affinity", Severity.ERROR, sentence))
    if plan.writes and not allow_host:
        told = ", ".join(f"{write.path} = {write.text}" for write in plan.writes)
        sentence = f"host settings of the plan are not made without --allow-host: {told}"
        found.append(Difference("host-settings", Severity.WARNING, sentence))
    return tuple(found)


def _strays(profile: ProfileRecord, environment: Mapping[str, str]) -> list[Difference]:
    """Judge what the environment adds to the measured one."""
    settings = profile.plan.settings
    known = {name for name, _ in settings.env} | set(settings.unset)
    if not _stray_preloads(settings, environment):
        known.add(PRELOAD)
    names = sorted(name for name in environment if reaches_engine(name) and name not in known)
    if not names:
        return []
    sentence = f"the environment sets what the study did not have: {', '.join(names)}"
    return [Difference("environment", Severity.WARNING, sentence)]


def _stray_preloads(settings: Settings, environment: Mapping[str, str]) -> list[str]:
    """Return what the environment preloads and the settings do not."""
    given = Settings(argv=(), env=((PRELOAD, environment.get(PRELOAD, "")),))
    return [path for path in preload_libraries(given) if path not in preload_libraries(settings)]


def _notes(profile: ProfileRecord, plan: Plan, *, own: bool) -> tuple[str, ...]:
    said = [profile.engine.caveat] if profile.engine.caveat else []
    if own and redact_plan(plan).digest != profile.plan.digest:
        said.append("this host compiles the candidate to another plan than the measured one")
    return tuple(said)
