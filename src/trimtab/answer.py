"""The answer of a study, written down: profiles, exports, the report, and the JSON for scripts."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trimtab import __version__, export, report
from trimtab.catalog import CATALOG, Tuning
from trimtab.errors import StudyError
from trimtab.model import (
    BASELINE,
    Answer,
    Candidate,
    Comparison,
    Conclusion,
    Plan,
    Standing,
    Start,
)
from trimtab.profile import EngineId, Profile, evidence_digest, write_profile
from trimtab.redaction import redact_plan
from trimtab.report import hardware, html, pareto
from trimtab.session import Session, fingerprint

PROVEN, MAX = "proven", "max"


def write_answer(
    session: Session, starts: Sequence[Start], conclusion: Conclusion, folder: Path
) -> report.Study:
    """Write profiles, exports and report into the study's folder; return what the report shows.

    An artefact that cannot carry the plan is left out, with a note in the report.

    Raises:
        StudyError: a profile or the report cannot be written.
    """
    command = f"trimtab tune --study {shlex.quote(str(folder))} --resume"
    said = (*session.caveats, *hardware.notes(conclusion)) if session.caveats else ()
    conclusion = replace(conclusion, notes=(*said, *conclusion.notes))
    files: dict[str, str] = {}
    for name, chosen in _profiles(conclusion).items():
        path = _path(folder, name)
        profile = _profile(session, starts, conclusion, name, chosen, command)
        written = write_profile(profile, path)
        files[f"profile {name}"] = str(path)
        if name == PROVEN and session.serves:
            try:
                files.update(export.write_all(written, path, folder / "export"))
            except StudyError as error:
                note = f"the proven profile is not exported: {error}"
                conclusion = replace(conclusion, notes=(*conclusion.notes, note))
    files["report"] = str(folder / "report.html")
    study = _study(session, starts, conclusion, files, command)
    html.write(study, folder / "report.html")
    return study


def as_json(
    conclusion: Conclusion,
    starts: Sequence[Start],
    folder: Path,
    catalog: Mapping[str, Tuning] = CATALOG,
    further: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the object that ``trimtab tune --json`` prints.

    Effects are relative changes, better is greater: 0.10 means 10 % better. ``confirmed`` is
    ``None`` when no profile was confirmed. ``verdicts`` are those of the tunings tested.
    ``pareto`` is there in a study with ``further`` objectives.
    """
    proven = next((one for one in conclusion.confirmed if one.arm == PROVEN), None)
    return {
        "verdicts": [_verdict(answer, catalog) for answer in conclusion.answers],
        "confirmed": None if proven is None else _comparison(proven),
        "comparisons": [
            {"arm": one.arm, **_comparison(one)}
            for one in (*conclusion.confirmed, *((conclusion.guide,) if conclusion.guide else ()))
        ],
        "profiles": {name: str(_path(folder, name)) for name in _profiles(conclusion)},
        **({"pareto": [_standing(one) for one in conclusion.pareto]} if further else {}),
        "proven": dict(conclusion.proven),
        "max": dict(conclusion.best),
        "report": str(folder / "report.html"),
        "starts": len(starts),
        "minutes": sum(start.seconds for start in starts) / 60,
        "sd": conclusion.sd,
        "detectable_effect": conclusion.detectable,
        "noise": None if conclusion.spread is None else asdict(conclusion.spread),
        "fidelity": [asdict(one) for one in conclusion.fidelity],
        "notes": list(conclusion.notes),
    }


def _verdict(answer: Answer, catalog: Mapping[str, Tuning]) -> dict[str, Any]:
    effect, removal = answer.effect, answer.removal
    return {
        "name": answer.tuning,
        "value": answer.value,
        "verdict": answer.verdict.value,
        "metric": answer.metric,
        "effect": _change(effect.ratio),
        "low": _change(effect.low),
        "high": _change(effect.high),
        "p": effect.p,
        "starts": effect.starts,
        "removal": None if removal is None else _change(removal.ratio),
        "removal_low": None if removal is None else _change(removal.low),
        "removal_high": None if removal is None else _change(removal.high),
        "phase": answer.phase,
        "reason": answer.reason,
        "risk": catalog[answer.tuning].warning(answer.value),
        "may_change_answers": answer.value in catalog[answer.tuning].lowers_fidelity,
    }


def _profiles(conclusion: Conclusion) -> dict[str, Candidate]:
    """Return what is written as a profile: the two, and every other member of the Pareto set."""
    found = {PROVEN: conclusion.proven, MAX: conclusion.best}
    more = {one.arm: one.candidate for one in conclusion.pareto if one.member}
    known = (BASELINE, *found.values())
    return found | {name: chosen for name, chosen in more.items() if chosen not in known}


def _path(folder: Path, name: str) -> Path:
    return folder / f"profile.{name}.yaml"


def _standing(one: Standing) -> dict[str, Any]:
    return {**asdict(one), "candidate": dict(one.candidate), "member": one.member}


def _change(ratio: float | None) -> float | None:
    return None if ratio is None else ratio - 1.0


def _comparison(comparison: Comparison) -> dict[str, Any]:
    return {
        "metric": comparison.metric,
        "baseline": comparison.baseline,
        "proven": comparison.value,
        "ratio": comparison.effect.ratio,
        "low": comparison.effect.low,
        "high": comparison.effect.high,
        "starts": comparison.effect.starts,
    }


def _profile(
    session: Session,
    starts: Sequence[Start],
    conclusion: Conclusion,
    name: str,
    chosen: Candidate,
    command: str,
) -> Profile:
    plan = session.compile(chosen)
    digest = redact_plan(plan).digest
    values = dict(chosen)
    entry = {tuning: session.catalog[tuning].entry for tuning in values}
    member = _member(conclusion, name)
    return Profile(
        name=name,
        made=datetime.fromtimestamp(max((start.began for start in starts), default=0.0), UTC),
        trimtab=__version__,
        engine=EngineId(
            session.engine.name,
            session.engine.version,
            session.engine.packages,
            session.engine.caveat,
        ),
        model=session.model,
        workload=session.workload.model_dump(mode="json"),
        objective=session.space.objective,
        slo=session.options.slo,
        answers=tuple(
            replace(one, tuning=entry[one.tuning])
            for one in conclusion.answers
            if one.tuning in values
        ),
        risks={entry[name]: session.catalog[name].warning(value) for name, value in chosen},
        comparisons=comparisons_of(conclusion, name),
        plan=plan,
        evidence=evidence_digest(
            one for start in starts if start.plan == digest for one in start.evidence
        ),
        facts=fingerprint(session),
        seed=session.space.seed,
        command=command,
        label="" if member is None else pareto.label(member, session.space.all_objectives),
    )


def _member(conclusion: Conclusion, name: str) -> Standing | None:
    """Return the member of the Pareto set that a profile besides the two is."""
    others = (one for one in conclusion.pareto if one.arm not in (PROVEN, MAX))
    return next((one for one in others if one.arm == name), None)


def comparisons_of(conclusion: Conclusion, name: str) -> tuple[Comparison, ...]:
    """Return the comparisons of a profile; ``max`` has those of ``proven`` when it is the same."""
    member = _member(conclusion, name)
    if member is not None:
        return member.comparisons
    same = conclusion.best == conclusion.proven
    arm = PROVEN if same else name
    return tuple(replace(one, arm=name) for one in conclusion.confirmed if one.arm == arm)


def _study(
    session: Session,
    starts: Sequence[Start],
    conclusion: Conclusion,
    files: dict[str, str],
    command: str,
) -> report.Study:
    return report.Study(
        title=_title(session),
        question=session.question(),
        conclusion=conclusion,
        starts=tuple(starts),
        left_out=tuple((one.name, one.verdict, one.reason) for one in session.left_out),
        risks={
            factor.tuning: session.catalog[factor.tuning].warning(factor.value)
            for factor in session.space.factors
        },
        plans=_plans(session, conclusion),
        facts=fingerprint(session),
        files=files,
        minutes=sum(start.seconds for start in starts) / 60,
        command=command,
    )


def _title(session: Session) -> str:
    engine = session.engine
    caveat = f" ({engine.caveat})" if engine.caveat else ""
    return f"{Path(session.model).name} on {engine.name} {engine.version}{caveat}"


def _plans(session: Session, conclusion: Conclusion) -> dict[str, Plan]:
    plans = {
        "baseline": session.compile(()),
        **{name: session.compile(chosen) for name, chosen in _profiles(conclusion).items()},
    }
    if session.space.guide is not None:
        plans[session.space.preset] = session.compile(session.space.guide, guide=True)
    return plans
