"""Studies on disk, read without changing them."""

from __future__ import annotations

from pathlib import Path

from trimtab import answer, archive, search, study
from trimtab.errors import StudyMismatchError, UsageError
from trimtab.ledger import Ledger
from trimtab.question import Options
from trimtab.report import Study
from trimtab.session import Say


def folder(given: Path | None) -> Path:
    """Return the folder of a study, the newest one if none is given.

    Raises:
        UsageError: there is no such study.
        StudyError: another user than root could have written it.
    """
    found = given or study.newest()
    study.require_folder(found, shared=True)
    if not (found / study.LEDGER).is_file():
        raise UsageError(f"{found} holds no study: name the folder that trimtab tune printed")
    return found


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
    return answer.study_of(session, starts, search.conclude(session.space, starts), place, files)
