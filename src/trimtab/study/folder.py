"""The study folder: where a question, its ledger and its answer live together.

study.yaml            the question and the options, for people
ledger.jsonl          every start, append-only; the state of the study
starts/<n>/           plan, engine log, evidence, request records of one start
profile.proven.yaml   the answer; profile.max.yaml and profile.baseline.yaml beside it
answer.json           the answer as its report needs it (trimtab show)
export/               the proven profile as shell script and systemd unit
report.html           the evidence, to look at
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from trimtab import presets, search
from trimtab.catalog import CATALOG, engine_refusal, may_write
from trimtab.errors import UsageError
from trimtab.export.order import exportable_settings
from trimtab.host import Host, LocalHost
from trimtab.host_settings.transaction import pending_places, recover
from trimtab.processes.recovery import reap_leftovers
from trimtab.redaction import redact_words, restore_words
from trimtab.storage import atomic_files
from trimtab.study.engine_choice import EMBEDDED
from trimtab.study.executors import Executor, simulated
from trimtab.study.executors.live import COMPILED, JOURNAL, STARTS, LiveExecutor
from trimtab.study.executors.simulated import SimulatedExecutor
from trimtab.study.ledger import Ledger
from trimtab.study.options import Options, parse_tries, require_question
from trimtab.study.progress import Display
from trimtab.study.session import Say, Session, open_session
from trimtab.study.signals import Stop

LEDGER = "ledger.jsonl"
DEFAULT_ROOT = Path("trimtab-studies")


def resolve(options: Options, say: Say, *, install: bool = True) -> Session:
    """Resolve options against this machine, or against the landscape that plays one.

    Raises:
        UsageError: an option does not parse, or does not fit the others.
        EngineError: the engine is missing or cannot be installed.
    """
    if options.engine == simulated.ENGINE:
        return simulated.open_simulated_session(options)
    if options.landscape is not None:
        raise UsageError(f"--landscape is played by --engine {simulated.ENGINE} only: add it")
    return open_session(options, say, install=install)


def executor_of(
    session: Session, ledger: Ledger, folder: Path, display: Display, stop: Stop
) -> Executor:
    """Return what makes the starts of a session: its landscape's machine, or live servers."""
    if session.machine is not None:
        return SimulatedExecutor(session, session.machine)
    return LiveExecutor(session, ledger.starts, folder, display, stop)


def create(
    asked: Mapping[str, Any], folder: Path | None, say: Say
) -> tuple[Session, Ledger, Path]:
    """Resolve a new question and make its study folder.

    Raises:
        UsageError: the folder already holds a study, or is a file.
    """
    if folder is not None:
        require_folder(folder)
    if folder is not None and (folder / LEDGER).exists():
        raise UsageError(f"{folder} already holds a study: add --resume, or name another --study")
    options = Options(**asked)
    session = resolve(options, say)
    if all(factor.dummy for factor in session.space.factors):
        raise UsageError("nothing is left to tune: 'trimtab tune --dry-run' says why")
    require_testable(session)
    search.design(session.space, session.noise)  # refuses a budget that no study fits in
    if session.serves:
        exportable_settings(
            session.compile(()).settings
        )  # and a baseline that no artefact could carry
    folder = folder or DEFAULT_ROOT / time.strftime("%Y%m%d-%H%M%S")
    atomic_files.restrict_umask()
    (folder / STARTS).mkdir(parents=True, exist_ok=True)
    kept = replace(options, baseline=redact_words(options.baseline))
    header = {"question": session.question(), "options": _plain(asdict(kept))}
    ledger = Ledger.create(folder / LEDGER, header)
    atomic_files.write(folder / "study.yaml", yaml.safe_dump(header, sort_keys=False))
    return session, ledger, folder


def reopen(
    asked: Mapping[str, Any], folder: Path | None, say: Say
) -> tuple[Session, Ledger, Path]:
    """Open the study in ``folder`` (default: the newest), to go on with it.

    Options that are not given again are the study's own.

    Raises:
        UsageError: there is no such study.
        StudyMismatchError: the options given make another question of it.
    """
    folder = folder or newest_study()
    require_folder(folder)
    atomic_files.restrict_umask()
    if not (folder / LEDGER).exists():
        raise UsageError(f"{folder} holds no study to resume: start one without --resume")
    ledger = Ledger.open(folder / LEDGER)
    try:
        # First of all, because what is read of the host below must be its own state again.
        allowed = bool(ledger.question["options"].get("allow_host"))
        for sentence in clear_wreckage(folder, LocalHost(), allow_host=allowed):
            say(sentence)
        saved = options_of({**ledger.question["options"], **_engine_of_old(ledger), **asked})
        session = resolve(Options(**saved), say)
        require_same_question(session, ledger, folder)
    except BaseException:
        ledger.close()
        raise
    return session, ledger, folder


def _engine_of_old(ledger: Ledger) -> dict[str, str]:
    """Return the engine of a study that is older than the rule that its command names it.

    Such a study has no option ``demo``. It was measured on the managed engine, whatever program
    its command names.
    """
    options, engine = ledger.question["options"], ledger.question["question"]["engine"]
    managed = "demo" not in options and engine == EMBEDDED
    return {"engine": EMBEDDED} if managed else {}


def options_from_study(folder: Path) -> dict[str, Any]:
    """Return the options of another study, to ask its question again in a new one.

    Raises:
        UsageError: there is no such study.
        StudyError: another user could have written it.
    """
    require_folder(folder)
    if not (folder / LEDGER).exists():
        raise UsageError(f"{folder} holds no study: --like must name the folder of one")
    saved = Ledger.open(folder / LEDGER, readonly=True).question
    if "options" not in saved:
        raise UsageError(f"{folder} holds a measurement: --like must name a study of trimtab tune")
    return options_of(saved["options"])


def require_testable(session: Session) -> None:
    """Make sure that what the options ask for is in the study.

    Raises:
        UsageError: a tuning of --try or --only is not tested here, or nothing here reads what the
            preset of --arm sets. The message says why.
    """
    tested = {factor.tuning for factor in session.space.factors}
    reasons = {tuning.name: tuning.reason for tuning in session.left_out}
    for option, names in (
        ("--try", parse_tries(session.options.tries)),
        ("--only", session.options.only),
    ):
        for name in names:
            if not any(fnmatchcase(one, name) for one in tested):
                left_out = (why for one, why in reasons.items() if fnmatchcase(one, name))
                why = next(left_out, None) or _unstudied(session, name)
                raise UsageError(f"{option} {name} is not tested here: {why}")
    arm = session.options.arm
    if arm not in (None, presets.NO_ARM) and not presets.acting_tunings(arm, session.context):
        raise UsageError(
            f"--arm {arm} is not measured here, because nothing on {session.engine.platform} "
            "reads what it sets: leave it out"
        )


def _unstudied(session: Session, name: str) -> str:
    tuning = session.catalog.get(name)
    why = None if tuning is None else engine_refusal(tuning, session.context)
    return why or (
        "no study tries it; write it into a copy of your command, and run 'trimtab compare' with "
        "the two files"
    )


def require_same_question(session: Session, ledger: Ledger, folder: Path) -> None:
    """Make sure that a session asks what a study asks.

    Raises:
        StudyMismatchError: it does not; the message names the first difference.
    """
    require_question(_plain(session.question()), ledger.question["question"], folder)


def require_folder(folder: Path, *, shared: bool = False) -> None:
    """Make sure that a study can lie in a folder. ``shared``: root may have written it too.

    Raises:
        UsageError: it is something else, or below something else.
        StudyError: another user could have written what it holds.
    """
    atomic_files.require_folder("--study", folder)
    atomic_files.require_own(folder, linked=COMPILED, shared=shared)


def clear_wreckage(folder: Path, host: Host, *, allow_host: bool) -> list[str]:
    """End what a killed run left behind: its server's processes, and its host settings.

    A journal counts only if the study was allowed to change the host (``allow_host``), and only
    for places that a tuning writes. Returns what was done and what was not, in sentences.

    Raises:
        HostError: a journal is damaged, or another trimtab holds the host.
    """
    ended = reap_leftovers(folder / STARTS)
    said = [f"ended {len(ended)} processes that a killed run left behind"] if ended else []
    for journal in sorted((folder / STARTS).glob(f"*/{JOURNAL}")):
        said += _restored(journal, host, allow_host=allow_host)
    return said


def _restored(journal: Path, host: Host, *, allow_host: bool) -> list[str]:
    """Restore what a journal says, as far as a study may; say what was restored and what not."""
    places = pending_places(journal)
    own = {place for place in places if allow_host and may_write(CATALOG.values(), place)}
    why = "no tuning writes it" if allow_host else "this study never had --allow-host"
    said = [
        f"{journal}: {place} was left as it is, because {why}"
        for place in places
        if place not in own
    ]
    if not own:
        return said
    trouble = recover(journal, host, paths=own)
    left = {*pending_places(journal)}
    back = sorted(own - left)
    restored = [f"restored the host settings of a killed run: {', '.join(back)}"] if back else []
    return [*said, *restored, *trouble]


def newest_study() -> Path:
    """Return the folder of the newest study under the default root.

    Raises:
        UsageError: there is none.
    """
    studies = sorted(DEFAULT_ROOT.glob(f"*/{LEDGER}"))
    if not studies:
        raise UsageError(f"no study under {DEFAULT_ROOT}: name the folder of one (--study)")
    return studies[-1].parent


def _plain(record: object) -> Any:
    """Return a record as what a YAML or JSON round trip would give back."""
    if isinstance(record, Mapping):
        return {str(key): _plain(value) for key, value in record.items()}
    if isinstance(record, (list, tuple)):
        return [_plain(value) for value in record]
    return str(record) if isinstance(record, Path) else record


def options_of(saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return saved options as they were given; secrets come from the environment again."""
    known = {field.name for field in fields(Options)}
    given = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in saved.items()
        if name in known
    }
    if given.get("engine") == simulated.ENGINE:
        given.pop("arm", None)  # studies before 2026-12 name the default of their time
    return {**given, "baseline": restore_words(given.get("baseline", ()), os.environ)}
