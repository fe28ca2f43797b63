"""What ``bench`` and ``compare`` measure: a preset, a tuning's value, a profile, or a file."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from trimtab import presets
from trimtab.catalog import CATALOG, platform_refusal, require_known
from trimtab.engines import installable_engines
from trimtab.engines.default_model import folder as built_in
from trimtab.errors import UsageError
from trimtab.knobs import Argument, Switch
from trimtab.measurement.blocks import MeasurementTarget
from trimtab.model import candidate
from trimtab.profiles.profile import ProfileRecord, read_trusted_profile
from trimtab.study.baseline import apply_baseline
from trimtab.study.engine_choice import choose, require_same_engine
from trimtab.study.options import Options, parse_tries
from trimtab.study.session import Say, Session, open_session

STOCK = "stock"
_PROFILES = (".yaml", ".yml")


def open_target(
    given: str, options: Options, say: Say, *, install: bool = True
) -> tuple[Session, MeasurementTarget]:
    """Return a target, and the session to measure it in.

    ``given`` is a preset ("stock" is one), a value of a tuning (``interpreter=NAME``), a profile
    (``.yaml``), or a file that holds a ``vllm serve`` command.

    Raises:
        UsageError: the file cannot be read, it is none of these, or a preset sets nothing here.
        EngineError: the engine is missing.
    """
    if given in presets.DOCUMENTED:
        return _of_preset(given, open_session(options, say, install=install))
    _require_target(given)
    if _names_server(given):
        _require_alone((given,), options)
    path = Path(given)
    if not path.exists():
        return _one_tuning(given, options, say, install=install)
    if path.suffix in _PROFILES:
        profile = read_trusted_profile(path)
        session = open_session(_as_measured(profile, options), say, install=install)
        _require_own(path.name, profile, session, options)
        return session, MeasurementTarget(path.name, profile.plan)
    session = open_session(replace(options, baseline_file=path), say, install=install)
    return session, MeasurementTarget(path.name, session.compile(()))


def open_pair(
    names: Sequence[str], options: Options, say: Say, *, install: bool = True
) -> tuple[tuple[Session, MeasurementTarget], tuple[Session, MeasurementTarget]]:
    """Return two targets, each with its session.

    A preset or a tuning's value names no server: it is measured on the other target's.

    Raises:
        UsageError: see :func:`open_target`.
        EngineError: an engine is missing.
    """
    for name in names:
        _require_target(name)
    if all(_names_server(name) for name in names):
        _require_alone(names, options)
    shared = _shared(names, options)
    own = replace(options, baseline=(), baseline_file=None)
    first, second = (
        open_target(name, own if _names_server(name) else shared, say, install=install)
        for name in names
    )
    return first, second


def _require_alone(names: Sequence[str], options: Options) -> None:
    """Refuse a further server beside targets that name their own.

    Raises:
        UsageError: a command is given, or --demo.
    """
    beside = "--demo" if options.demo else "the command" if options.baseline else "--baseline"
    if options.demo or options.baseline or options.baseline_file:
        verb = "names a server of its own" if len(names) == 1 else "name servers of their own"
        raise UsageError(f"{' and '.join(names)} {verb}: leave {beside} out")


def _require_target(given: str) -> None:
    """Refuse a word that is nothing to measure, before an engine is looked for.

    Raises:
        UsageError: it is no preset, no file, and no value of a tuning.
    """
    if given in presets.DOCUMENTED or Path(given).exists():
        return
    if "=" not in given:
        raise UsageError(_nothing(given))
    ((name, _),) = parse_tries((given,)).items()
    require_known(CATALOG, (name,))


def _names_server(given: str) -> bool:
    return given not in presets.DOCUMENTED and Path(given).is_file()


def _shared(names: Sequence[str], options: Options) -> Options:
    """Return the options with the engine and model of the first target that names a server.

    Raises:
        UsageError: its file cannot be read.
        EngineMissingError: its program is not there.
    """
    path = next((Path(name) for name in names if _names_server(name)), None)
    if path is None or options.engine or options.baseline or options.baseline_file:
        return options
    if path.suffix in _PROFILES:
        return _as_measured(read_trusted_profile(path), options)
    asked, command = apply_baseline(replace(options, baseline_file=path))
    return replace(choose(asked, command), baseline_file=None)


def _nothing(given: str) -> str:
    """Return the sentence that a word is nothing to measure, and what would be."""
    if given in CATALOG:
        return f"{given} is a tuning: say which value of it, as {given}=VALUE"
    near = difflib.get_close_matches(given, [*presets.DOCUMENTED, *CATALOG], n=3, cutoff=0.7)
    return f"{given} is neither a file, nor a tuning's value (NAME=VALUE), nor a preset: " + (
        f"did you mean {', '.join(near)}?"
        if near
        else f"these are {', '.join(presets.DOCUMENTED)}"
    )


def _of_preset(name: str, session: Session) -> tuple[Session, MeasurementTarget]:
    """Return a preset as it stands, contradictions included; note what of it is not set here.

    Raises:
        UsageError: nothing of it can be set here, so that it would be stock under another name.
    """
    chosen = presets.local_candidate(name, session.context)
    without = presets.left_out_steps(name, session.context)
    notes = (f"{name} without {tuning.name}: {tuning.reason}" for tuning in without)
    if name != STOCK and not presets.acting_tunings(name, session.context):
        raise UsageError(
            f"{name} is not measured here, because nothing on {session.engine.platform} reads "
            f"what it sets: measure {STOCK} instead"
        )
    session = replace(session, notes=(*session.notes, *notes))
    return session, MeasurementTarget(name, session.compile(chosen, guide=True))


def _one_tuning(
    given: str, options: Options, say: Say, *, install: bool
) -> tuple[Session, MeasurementTarget]:
    """Return stock but for one tuning.

    Raises:
        UsageError: there is no such tuning, or not with this value on this machine.
    """
    ((name, _),) = parse_tries((given,)).items()
    session = open_session(replace(options, tries=(given,)), say, install=install)
    tuning = session.catalog[name]
    option = isinstance(tuning.knob, (Argument, Switch))  # the server itself says what it refuses
    if not option and (reason := platform_refusal(tuning, session.context)):
        raise UsageError(f"{given} cannot be measured here: {reason}")
    value = tuning.recommended_for(session.context)
    return session, MeasurementTarget(given, session.compile(candidate({name: value})))


def _as_measured(profile: ProfileRecord, options: Options) -> Options:
    """Return the options with the engine and the model of a profile, unless they name others."""
    options = replace(options, model=options.model or _own_model(profile.model))
    if options.engine or options.engine_python:
        return options
    if profile.engine.name in installable_engines() or profile.engine.name == "scripted":
        return replace(options, engine=profile.engine.name)
    program = profile.plan.settings.argv[0]
    if not Path(program).exists():
        raise UsageError(
            f"the profile's server {program} is not on this machine: name one with --engine"
        )
    return replace(options, engine_python=program)


def _require_own(name: str, profile: ProfileRecord, session: Session, options: Options) -> None:
    """Make sure that the options name no other server than the one that a profile starts.

    Raises:
        UsageError: they do.
    """
    program, other = profile.plan.settings.argv[0], session.base.argv[0]
    require_same_engine(program, options, f"{name} starts")
    if options.engine and program != other:
        raise UsageError(
            f"{name} starts {program}, but --engine {options.engine} means {other}: leave "
            "--engine out"
        )


def _own_model(model: str) -> str | None:
    """Return a profile's model unless it is the built-in one, which each machine has elsewhere."""
    return None if Path(model).name == built_in().name else model
