"""Profiles for tests of what a profile is run under: composed, not measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.support.show_samples import PROFILE, answer
from trimtab import facts
from trimtab.engines import Engine
from trimtab.model import Candidate, Plan, Settings, Verdict
from trimtab.plan import compile_plan
from trimtab.profiles.profile import EngineId, ProfileRecord, write_profile


def profile_for(
    engine: Engine, model: str, args: tuple[str, ...], chosen: Candidate
) -> ProfileRecord:
    """Return the profile that a study of ``chosen`` on this machine would have written."""
    here = facts.inspect(engine.host(), engine.packages, engine.platform, engine.library_folders)
    env = tuple(sorted(engine.environment(model).items()))
    plan = compile_plan(chosen, Settings(engine.command(model, args), env), here)
    return with_plan(engine, model, plan, facts.as_text(here))


def with_plan(engine: Engine, model: str, plan: Plan, found: dict[str, str]) -> ProfileRecord:
    """Return a profile of a plan, measured on a machine of these facts."""
    answers = tuple(
        answer(name, value, Verdict.ADOPT, (1.1, 1.05, 1.15, 0.001), 6, "screen", "")
        for name, value in plan.candidate
    )
    return replace(
        PROFILE,
        engine=EngineId(engine.name, engine.version, engine.packages, engine.caveat),
        model=model,
        answers=answers,
        risks={},
        plan=plan,
        facts=found,
    )


def written(profile: ProfileRecord, folder: Path) -> Path:
    """Write a profile into a folder and return its path."""
    path = folder / "profile.yaml"
    write_profile(profile, path)
    return path
