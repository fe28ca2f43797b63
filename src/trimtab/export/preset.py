"""Presets and profiles as orders for the exporters: compiled for their target."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from trimtab import __version__, presets
from trimtab import facts as all_facts
from trimtab.catalog import CATALOG, Context
from trimtab.engines import Engine, checkpoint, default_model
from trimtab.errors import StudyError, UsageError
from trimtab.export import shell
from trimtab.export.order import Order
from trimtab.export.target import ExportOptions, ExportTarget, require_same_platform
from trimtab.facts import situation
from trimtab.families import families, family_of_packages
from trimtab.host_settings import plan as hosting
from trimtab.host_settings import plan as wanted
from trimtab.host_settings.plan import SettingAction
from trimtab.knobs import Sysfs
from trimtab.linter import read
from trimtab.linter.report import FindingFilter, report_on
from trimtab.model import Candidate, Fact, Plan, Scope, Settings
from trimtab.model.finding import Severity
from trimtab.plan import compile_plan, delivery_plan
from trimtab.profiles.profile import EngineId, ProfileRecord, platform_of, read_trusted_profile
from trimtab.server.environment import reaches_engine

_PROGRAM = "/usr/local/bin/vllm"
"""Where the server's command is assumed on a machine that is not this one."""

Say = Callable[[str], None]


def order_of(
    name: str, target: ExportTarget, model: str | None, say: Say, *, program: str, serves: bool
) -> Order:
    """Return the order of a preset.

    ``model`` is an id, a folder, or a path that only the target has; ``program`` is the server's
    command there. ``serves``: the file starts a server, and so needs a model.

    Raises:
        UsageError: there is no such preset, or the model is missing.
    """
    if name not in presets.PRESETS:
        raise UsageError(f"--preset must be one of {', '.join(presets.PRESETS)}, not {name!r}")
    served, base = _base(target, model, say, program=program, serves=serves)
    family = family_of_packages(target.packages) or families()[0]
    engine = target.engine
    version = family.version(target.packages) if engine is None else engine.version
    context = Context(
        facts=target.facts,
        engine_name=family.name if engine is None else engine.name,
        engine_version=version,
        platform=target.platform,
        packages=target.packages,
        baseline=base,
        checkpoint_dtype=checkpoint.dtype(served),
        allow_host=True,
    )
    willing = _willing(context)
    refused = _refused(wanted.preset_candidate(name), target, context)
    chosen = tuple(
        pair for pair in presets.local_candidate(name, willing) if pair[0] not in refused
    )
    plan = compile_plan(chosen, base, target.facts, allow_conflicts=True)
    skipped = [(step.name, step.reason) for step in presets.left_out_steps(name, willing)]
    order = Order(
        _profile(name, context, served, delivery_plan(plan), target.engine),
        Path(name),
        preset=name,
        skipped=(*skipped, *refused.items()),
        chip=target.chip,
        told=target.told,
    )
    return replace(order, objections=_objections(order, target))


def _objections(order: Order, target: ExportTarget) -> tuple[str, ...]:
    """Return what the rules say against the preset's launch on the target: it is verbatim."""
    try:
        text = shell.render(order)
    except StudyError:  # its own format says so, if it is asked for
        return ()
    here = situation.situation_of(target.facts, target.packages)
    if target.platform == "ascend" and target.chip:
        here = replace(here, chip=target.chip)
    findings = report_on(
        [read(shell.FILE, text)], here, FindingFilter(least=Severity.WARNING)
    ).findings
    sentences = (
        f"{finding.severity.value} [{finding.rule}] {finding.message}" for finding in findings
    )
    return tuple(dict.fromkeys(sentences))


def _base(
    target: ExportTarget, model: str | None, say: Say, *, program: str, serves: bool
) -> tuple[str, Settings]:
    """Return the model, and the settings that the preset is laid over."""
    engine = target.engine
    if engine is None:
        served = _there(model, serves=serves)
        env = {"VLLM_NO_USAGE_STATS": "1"}
        if served.startswith("/"):
            env["HF_HUB_OFFLINE"] = "1"
        there = program if program.startswith("/") else _PROGRAM
        argv = (there, "serve", *((served,) if served else ()))
        return served or "any", Settings(argv, tuple(sorted(env.items())))
    if model is not None and model.startswith("/") and not Path(model).exists():
        say(f"{model} is not on this machine: it is taken for the path on the target")
        served = model
        command = engine.command(model, ())
    else:
        if model is None and serves:
            raise UsageError(
                "--model must be the model to serve, because a deployment of trimtab's built-in "
                "one with random weights is of no use"
            )
        served, arguments = engine.model(model)
        command = engine.command(served, arguments)
    if engine.caveat:
        say(f"{engine.name}: {engine.caveat}")
    ours = {name: value for name, value in os.environ.items() if reaches_engine(name, value)}
    if ours:
        say(f"the baseline includes what your environment sets: {', '.join(sorted(ours))}")
    env = {**engine.environment(served), **ours}
    return served, Settings(command, tuple(sorted(env.items())))


def _there(model: str | None, *, serves: bool) -> str:
    """Return a model of another machine.

    Raises:
        UsageError: there is none, or it is a path that depends on where one is.
    """
    if model is None:
        if serves:
            raise UsageError("--model must be what is served there: a model id, or its path there")
        return ""
    if model.startswith(("./", "../", "~")):
        raise UsageError(f"--model must be an absolute path on the target, but is {model!r}")
    return model


def _willing(context: Context) -> Context:
    """Return the context of a machine that takes every host setting and has none of them yet.

    An export is for hosts where nothing is set: what this one has already is no reason to leave a
    value out. What it cannot take is told by `_refused`.
    """
    facts = context.facts
    unset = {path: Fact("not set yet", path) for path in facts.kernel.settings}
    willing = replace(
        facts,
        privileges=replace(facts.privileges, root=Fact(True, "assumed")),
        container=replace(facts.container, kind=Fact("none", "assumed")),
        kernel=replace(facts.kernel, settings=unset),
    )
    return replace(context, facts=willing)


def _refused(chosen: Candidate, target: ExportTarget, context: Context) -> dict[str, str]:
    """Map each host setting that the target cannot take to the reason, as ``host plan`` has it."""
    if target.host is None:
        return {
            name: "each CPU has its own file, and how many the host has is not known: --snapshot"
            for name, _ in chosen
            if isinstance(knob := CATALOG[name].knob, Sysfs) and knob.place != knob.path
        }
    rows = hosting.plan(chosen, context, target.host, "").rows
    kept = {row.tuning for row in rows if row.fate is not SettingAction.REFUSED}
    return {
        row.tuning: row.why
        for row in rows
        if row.tuning not in kept and CATALOG[row.tuning].scope is Scope.HOST
    }


def _profile(
    name: str, context: Context, model: str, plan: Plan, engine: Engine | None
) -> ProfileRecord:
    """Return a profile in which nothing is answered: what the exporters read of a preset."""
    caveat = "" if engine is None else engine.caveat
    return ProfileRecord(
        name=name,
        made=datetime.now(UTC),
        trimtab=__version__,
        engine=EngineId(
            context.engine_name, context.engine_version, dict(context.packages), caveat
        ),
        model=model,
        workload={},
        objective=context.objective,
        slo=None,
        answers=(),
        risks={},
        comparisons=(),
        plan=plan,
        evidence=None,
        facts=all_facts.as_text(context.facts),
        seed=0,
        command=f"trimtab export --preset {name}",
    )


DEPLOYMENTS: Final = ("docker", "compose", "kubernetes", "dockerfile", "systemd")
"""Formats that put a server into service."""


def profile_order(
    path: Path, options: ExportOptions, formats: Iterable[str], model: str | None
) -> Order:
    """Return the order of a profile's file.

    Raises:
        UsageError: chip or image are of another platform than the one that it was measured on, or
            a deployment would serve the built-in model, which ``model`` does not name.
        StudyError: the file is no profile, or another user could have written it.
    """
    profile = read_trusted_profile(path)
    if model not in (None, profile.model):
        raise UsageError(f"{path} was measured with {profile.model}: leave --model {model} out")
    toy = Path(profile.model).name == default_model.NAME and model is None
    if toy and (deployed := next((one for one in formats if one in DEPLOYMENTS), "")):
        raise UsageError(
            f"{path} was measured with trimtab's built-in model, whose weights are random, so "
            f"{deployed} would deploy a toy: tune your own model, or name it with --model"
        )
    measured = platform_of(profile)
    require_same_platform(options.chip, options.image, measured, f"the profile {profile.name}")
    return Order(profile, path, chip=options.chip)
