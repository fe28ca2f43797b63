"""The answer of a study, written down: profiles, exports, and the report."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from trimtab import __version__, archive, export, header, report
from trimtab.advice import advise
from trimtab.errors import StudyError
from trimtab.model import (
    BASELINE,
    Candidate,
    Comparison,
    Conclusion,
    Plan,
    Standing,
    Start,
)
from trimtab.profiles.profile import EngineId, Profile, evidence_digest, write_profile
from trimtab.redaction import redact_plan
from trimtab.report import html, pareto
from trimtab.report import study as hardware
from trimtab.session import Session, fingerprint

PROVEN, MAX = "proven", "max"
BASELINE_NAME = "baseline"


def write_answer(
    session: Session, starts: Sequence[Start], conclusion: Conclusion, folder: Path
) -> report.Study:
    """Write profiles, exports and report into the study's folder; return what the report shows.

    An artefact that cannot carry the plan is left out, with a note in the report.

    Raises:
        StudyError: a profile or the report cannot be written.
    """
    command = _command(folder)
    said = (*session.caveats, *hardware.notes(conclusion)) if session.caveats else ()
    conclusion = replace(conclusion, notes=(*said, *conclusion.notes))
    files: dict[str, str] = {}
    if session.serves:  # a comparison starts what the profiles were measured against
        stock = _profile(session, starts, conclusion, BASELINE_NAME, BASELINE, command)
        write_profile(stock, path_of(folder, BASELINE_NAME))
    for name, chosen in profiles_of(conclusion).items():
        path = path_of(folder, name)
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
    study = study_of(session, starts, conclusion, folder, files)
    html.write(study, folder / "report.html")
    archive.write(study, folder)
    return study


def profiles_of(conclusion: Conclusion) -> dict[str, Candidate]:
    """Return what is written as a profile: the two, and every other member of the Pareto set."""
    found = {PROVEN: conclusion.proven, MAX: conclusion.best}
    more = {one.arm: one.candidate for one in conclusion.pareto if one.member}
    known = (BASELINE, *found.values())
    return found | {name: chosen for name, chosen in more.items() if chosen not in known}


def path_of(folder: Path, name: str) -> Path:
    """Return the file of a profile in a study's folder."""
    return folder / f"profile.{name}.yaml"


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
        slo=session.options.slo if name in conclusion.within_slo else None,
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
        label=""
        if member is None
        else pareto.label(member, session.space.all_objectives, conclusion.answers),
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


def study_of(
    session: Session,
    starts: Sequence[Start],
    conclusion: Conclusion,
    folder: Path,
    files: Mapping[str, str],
) -> report.Study:
    """Return what the reports show of a study; ``files`` maps what a file is to its path."""
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
        command=_command(folder),
        advice=advise(session, starts, folder, _written(session, conclusion, folder)),
        margin=session.space.margin,
        caveats=session.caveats,
        measured=header.of(session),
        controls=_controls(session),
    )


def _controls(session: Session) -> tuple[str, ...]:
    """Return the inert tunings beside real ones; in an A/A study they are what is tested."""
    factors = session.space.factors
    inert = tuple(one.tuning for one in factors if one.dummy)
    return inert if len(inert) < len(factors) else ()


def _command(folder: Path) -> str:
    return f"trimtab tune --study {shlex.quote(str(folder))} --resume"


def _written(session: Session, conclusion: Conclusion, folder: Path) -> dict[str, Path]:
    """Return the profiles that say something, and the baseline's where one is written."""
    paths = {
        name: path_of(folder, name)
        for name, chosen in profiles_of(conclusion).items()
        if chosen != BASELINE
    }
    return paths | ({BASELINE_NAME: path_of(folder, BASELINE_NAME)} if session.serves else {})


def _title(session: Session) -> str:
    engine = session.engine
    caveat = f" ({engine.caveat})" if engine.caveat else ""
    return f"{Path(session.model).name} on {engine.name} {engine.version}{caveat}"


def _plans(session: Session, conclusion: Conclusion) -> dict[str, Plan]:
    plans = {
        "baseline": session.compile(()),
        **{name: session.compile(chosen) for name, chosen in profiles_of(conclusion).items()},
    }
    if session.space.guide is not None:
        plans[session.space.preset] = session.compile(session.space.guide, guide=True)
    return plans
