"""The answer of a study, written down: profiles, exports, and the report.

What a reader can do with an answer: commands that work when pasted, and what they cost.

Studies on disk, read without changing them.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from trimtab import __version__, export, formatting, presets, report, search
from trimtab.errors import StudyError, StudyMismatchError, UsageError
from trimtab.model import (
    BASELINE,
    Advice,
    Budget,
    Candidate,
    Comparison,
    Conclusion,
    ParetoArm,
    Plan,
    Start,
)
from trimtab.profiles.profile import EngineId, ProfileRecord, evidence_digest, write_profile
from trimtab.redaction import redact_plan, redact_settings
from trimtab.report import Study, html, pareto
from trimtab.report import study as hardware
from trimtab.stats.sequential import LOOKS
from trimtab.study import archive
from trimtab.study import folder as study
from trimtab.study.ledger import Ledger
from trimtab.study.options import Options
from trimtab.study.session import Say, Session, fingerprint, header_of

_MARKER = re.compile(r"\$\{(\w+)\}")
"""What stands in place of a secret (`trimtab.redaction`)."""

_FACTORS: Final = (1.5, 2.0, 3.0, 4.0)
"""By how much a larger budget may be larger: the first that leaves room for what is open."""


def advise(
    session: Session, starts: Sequence[Start], folder: Path, profiles: Mapping[str, Path]
) -> Advice:
    """Return the commands for the reader of a study.

    ``profiles`` are the files of the profiles by name, that of the baseline among them where a
    server can be started by hand.
    """
    show = _words("trimtab", "show", str(folder))
    larger = _larger(session)
    each = _seconds(session, starts)
    secrets = _secrets(session)
    return Advice(
        show=show,
        use=_use(session, profiles),
        confirm=tuple(_confirmations(session, profiles)),
        confirm_cost=_cost(2 * LOOKS[0], 2 * LOOKS[-1], each) + secrets,
        larger=_words("trimtab", "tune", "--like", str(folder), "--budget", _text(larger)),
        larger_cost=_larger_cost(larger, each) + secrets,
    )


def _secrets(session: Session) -> str:
    """Say which secrets of the baseline a later command takes from the environment."""
    if not session.serves:
        return ""
    settings = redact_settings(session.base)
    words = [*settings.argv, *(value for _, value in settings.env)]
    names = dict.fromkeys(name for word in words for name in _MARKER.findall(word))
    return f"; {' and '.join(names)} in the environment" if names else ""


def _use(session: Session, profiles: Mapping[str, Path]) -> str:
    if not session.serves or "proven" not in profiles:
        return ""
    return _words("trimtab", "run", "--profile", str(profiles["proven"]))


def _confirmations(session: Session, profiles: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
    """Yield each profile with the command that compares it with the baseline."""
    baseline = profiles.get("baseline")
    if not session.serves or baseline is None or session.options.aa:
        return
    for name, path in profiles.items():
        if name != "baseline":
            words = ("trimtab", "compare", str(baseline), str(path), *_options(session))
            yield name, _words(*words)


def _options(session: Session) -> Iterator[str]:
    """Yield the options that make a comparison ask what the study asked."""
    given = session.options
    named = {
        "--engine-python": given.engine_python,
        "--objective": None
        if session.space.objective == "output_throughput"
        else session.space.objective,
        "--workload": given.workload,
        "--slo": given.slo,
        "--windows": given.windows,
        "--noise": given.noise,
        "--device-time": given.device_time,
    }
    for option, value in named.items():
        if value is not None:
            yield from (option, value)
    if given.allow_host:
        yield "--allow-host"
    if given.shared_host:
        yield "--shared-host"


def _larger(session: Session) -> Budget:
    """Return the smallest larger budget that tests everything and confirms, else twice as much."""
    tried = [_times(session.space.budget, factor) for factor in _FACTORS]
    return next((budget for budget in tried if _whole(session, budget)), tried[1])


def _whole(session: Session, budget: Budget) -> bool:
    """Whether a study of this budget screens every tuning and has room for a confirmation."""
    design = search.design(replace(session.space, budget=budget), session.noise)
    return bool(design.confirm_starts) and not design.not_screened


def _times(budget: Budget, factor: float) -> Budget:
    if budget.seconds is not None:
        return Budget(seconds=60.0 * math.ceil(budget.seconds * factor / 60.0))
    return Budget(starts=math.ceil((budget.starts or 0) * factor))


def _text(budget: Budget) -> str:
    return str(budget.starts) if budget.seconds is None else f"{budget.seconds / 60:.0f}m"


def _larger_cost(budget: Budget, each: float) -> str:
    if budget.seconds is not None:
        return f"about {formatting.duration(budget.seconds)}"
    return _cost(budget.starts or 0, budget.starts or 0, each)


def _cost(least: int, most: int, each: float) -> str:
    """Return starts and time in words."""
    if least == most:
        return f"{formatting.count(most, 'start')}, about {formatting.duration(most * each)}"
    ends = formatting.duration(least * each), formatting.duration(most * each)
    return f"{least} to {most} starts, {ends[0]} to {ends[1]}"


def _seconds(session: Session, starts: Sequence[Start]) -> float:
    """Return what a start of this study cost, or what one is expected to."""
    made = [start.seconds for start in starts if start.valid]
    return sum(made) / len(made) if made else session.space.seconds[0]


def _words(*words: str) -> str:
    return shlex.join(words)


PROVEN, MAX = "proven", "max"
BASELINE_NAME = "baseline"


def write_result(
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
    """Return the profiles to write: the two, and each other member of the Pareto set."""
    found = {PROVEN: conclusion.proven, MAX: conclusion.best}
    more = {arm.arm: arm.candidate for arm in conclusion.pareto if arm.member}
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
) -> ProfileRecord:
    plan = session.compile(chosen)
    digest = redact_plan(plan).digest
    _require_measured(name, chosen, digest, starts)
    values = dict(chosen)
    entry = {tuning: session.catalog[tuning].entry for tuning in values}
    member = _member(conclusion, name)
    return ProfileRecord(
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
            replace(answer, tuning=entry[answer.tuning])
            for answer in conclusion.answers
            if answer.tuning in values
        ),
        risks={entry[name]: session.catalog[name].warning(value) for name, value in chosen},
        comparisons=comparisons_of(conclusion, name),
        plan=plan,
        evidence=evidence_digest(
            evidence for start in starts if start.plan == digest for evidence in start.evidence
        ),
        facts=fingerprint(session),
        seed=session.space.seed,
        command=command,
        label=""
        if member is None
        else pareto.label(member, session.space.all_objectives, conclusion.answers),
    )


def _require_measured(name: str, chosen: Candidate, digest: str, starts: Sequence[Start]) -> None:
    """Make sure that a profile's plan is the one that its starts measured.

    The arm of a preset sets the same things as it stands, so its plan is another one.

    Raises:
        StudyError: something that decides the plan changed while the study ran.
    """
    own = {
        start.plan
        for start in starts
        if start.valid
        and start.request.candidate == chosen
        and start.request.stem not in presets.DOCUMENTED
    }
    if own and own != {digest}:
        raise StudyError(
            f"the profile {name} would have the plan {digest}, but its starts measured "
            f"{', '.join(sorted(own))}: the machine or the engine changed while the study ran; "
            "run trimtab tune again in a new folder"
        )


def _member(conclusion: Conclusion, name: str) -> ParetoArm | None:
    """Return the member of the Pareto set that a profile besides the two is."""
    others = (arm for arm in conclusion.pareto if arm.arm not in (PROVEN, MAX))
    return next((arm for arm in others if arm.arm == name), None)


def comparisons_of(conclusion: Conclusion, name: str) -> tuple[Comparison, ...]:
    """Return the comparisons of a profile; ``max`` has those of ``proven`` when it is the same."""
    member = _member(conclusion, name)
    if member is not None:
        return member.comparisons
    same = conclusion.best == conclusion.proven
    arm = PROVEN if same else name
    return tuple(
        replace(comparison, arm=name)
        for comparison in conclusion.confirmed
        if comparison.arm == arm
    )


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
        left_out=tuple(
            (tuning.name, tuning.verdict, tuning.reason) for tuning in session.left_out
        ),
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
        measured=header_of(session),
        controls=_controls(session),
    )


def _controls(session: Session) -> tuple[str, ...]:
    """Return the inert tunings beside real ones; in an A/A study they are what is tested."""
    factors = session.space.factors
    inert = tuple(factor.tuning for factor in factors if factor.dummy)
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


def folder(given: Path | None) -> Path:
    """Return the folder of a study, the newest one if none is given.

    Raises:
        UsageError: there is no such study.
        StudyError: another user than root could have written it.
    """
    path = given or study.newest_study()
    study.require_folder(path, shared=True)
    if not (path / study.LEDGER).is_file():
        raise UsageError(f"{path} holds no study: name the folder that trimtab tune printed")
    return path


def read(place: Path, say: Say) -> Study:
    """Return what the reports of a study show.

    The stored answer is used if there is one for all starts. Otherwise the answer follows from
    the ledger again, on the machine of the study.

    Raises:
        UsageError: the folder holds no study that ``trimtab tune`` made, or one without a
            stored answer whose question is another one on this machine.
        StudyError: a file of it cannot be read.
        EngineError: the engine of the study is not installed here.
    """
    ledger = Ledger.open(place / study.LEDGER, readonly=True)
    if "options" not in ledger.question:
        raise UsageError(
            f"{place} holds a measurement, not a study: name a folder that trimtab tune made"
        )
    if (found := archive.read(place, ledger)) is not None:
        return found
    options = study.options_of(ledger.question["options"])
    session = study.resolve(Options(**options), say, install=False)
    try:
        study.require_same_question(session, ledger, place)
    except StudyMismatchError as error:
        raise UsageError(
            f"{place} has no stored answer, and its question is another one here: open its "
            "report.html, or run trimtab show where the study ran"
        ) from error
    starts = ledger.starts()
    files = {
        f"profile {path.name.split('.')[1]}": str(path)
        for path in sorted(place.glob("profile.*.yaml"))
    }
    report = place / "report.html"
    if report.exists():
        files["report"] = str(report)
    return study_of(
        session, starts, search.conclude(search.History.of(session.space, starts)), place, files
    )
