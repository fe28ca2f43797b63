"""What ``import trimtab`` offers: the commands as functions with typed results.

Nothing is printed: give a `Reporter` to hear what a study or a measurement tells. Errors are
those of `trimtab.errors`, each with the sentence that the command would print.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trimtab.api.lint_report import LintReport
from trimtab.api.profile import Profile, load_profile
from trimtab.api.study_result import TABLES, StudyResult
from trimtab.diagnosis import inspection
from trimtab.diagnosis.inspection import Diagnosis
from trimtab.errors import TrimtabError, UsageError
from trimtab.linter import fix_trial, launch_files
from trimtab.linter.context import parse_context
from trimtab.linter.report import FindingFilter, report_on
from trimtab.measurement import remote_server, runs
from trimtab.measurement.capacity import measure_capacity, measure_url_capacity
from trimtab.measurement.results import BenchResult, CapacityResult, CompareResult
from trimtab.model.finding import Severity
from trimtab.study import artifacts, tuning
from trimtab.study.options import Options
from trimtab.study.progress import Reporter

__all__ = [
    "TABLES",
    "BenchResult",
    "CapacityResult",
    "CompareResult",
    "Diagnosis",
    "LintReport",
    "Profile",
    "Reporter",
    "StudyResult",
    "TrimtabError",
    "bench",
    "capacity",
    "compare",
    "doctor",
    "lint",
    "load_profile",
    "load_study",
    "tune",
]

_SILENT = Reporter()
Command = str | Sequence[str]


def tune(
    command: Command | None = None,
    *,
    study: Path | str | None = None,
    resume: bool = False,
    like: Path | str | None = None,
    reporter: Reporter = _SILENT,
    **options: Any,
) -> StudyResult:
    """Find, prove and keep the tunings that make a server faster.

    ``command`` is what is run today (``"vllm serve MODEL …"``, or its words). ``study`` is the
    folder of the study; ``resume`` goes on with it, ``like`` asks the question of another one.
    ``options`` are those of ``trimtab tune`` in Python's spelling: ``model``, ``engine``,
    ``workload``, ``objective``, ``slo``, ``budget``, ``only``, ``skip``, ``tries``, ``arm``,
    ``max_risk``, ``allow_host``, ``seed``, ``landscape`` and the others of
    `trimtab.study.options.Options`.

    Raises:
        UsageError: an option is unknown or does not fit, or the folder does not.
        EngineError: the engine is missing, or cannot be installed.
        BaselineFailedError: the baseline failed twice in a row.
    """
    asked = _options(options, command)
    if like is not None:
        asked = tuning.with_options_of(Path(like), asked, resume=resume)
    found = tuning.tune(asked, _path(study), reporter, resume=resume)
    return StudyResult(found.folder, found.study, found.catalog)


def bench(
    target: str = "stock",
    *,
    command: Command | None = None,
    url: str | None = None,
    insecure: bool = False,
    starts: int = 4,
    study: Path | str | None = None,
    resume: bool = False,
    reporter: Reporter = _SILENT,
    **options: Any,
) -> BenchResult:
    """Measure one target under a workload, with an interval over its starts.

    ``target`` is a preset, a profile or a file with a command; ``url`` names a server that runs
    already instead, which is one start. The other arguments are those of ``trimtab bench``.

    Raises:
        UsageError: an option is unknown or does not fit, or the folder does not.
        EngineError: the engine is missing.
        LoadFailedError: the server cannot be measured.
    """
    chosen = Options(**_options(options, command))
    address = remote_server.server_address(url, chosen, target, insecure=insecure, resume=resume)
    if address is not None:
        return remote_server.measure_url(address, chosen, reporter.say)
    return runs.measure_starts(
        target, chosen, starts, _path(study), resume=resume, reporter=reporter
    )


def compare(
    first: str,
    second: str,
    *,
    command: Command | None = None,
    margin: str = "1%",
    pairs: int = 12,
    study: Path | str | None = None,
    resume: bool = False,
    reporter: Reporter = _SILENT,
    **options: Any,
) -> CompareResult:
    """Compare two targets in pairs of starts, until the answer is clear.

    Within ``margin`` two targets are equivalent; at most ``pairs`` pairs are made. The other
    arguments are those of ``trimtab compare``.

    Raises:
        UsageError: an option is unknown or does not fit, or the folder does not.
        EngineError: an engine is missing.
        StudyError: a target cannot be measured.
    """
    chosen = Options(**_options(options, command))
    names = (first, second)
    return runs.measure_pairs(
        names, chosen, margin, pairs, _path(study), resume=resume, reporter=reporter
    )


def capacity(
    target: str = "stock",
    *,
    slo: str,
    command: Command | None = None,
    url: str | None = None,
    insecure: bool = False,
    starts: int = 4,
    requests: int = 200,
    study: Path | str | None = None,
    resume: bool = False,
    reporter: Reporter = _SILENT,
    **options: Any,
) -> CapacityResult:
    """Find the highest rate of arrivals at which a target meets its SLO.

    A probe has ``requests`` requests. The other arguments are those of ``trimtab capacity``.

    Raises:
        UsageError: an option is unknown or does not fit, or the folder does not.
        EngineError: the engine is missing.
        LoadFailedError: the server cannot be measured.
    """
    chosen = Options(**_options({**options, "slo": slo}, command))
    address = remote_server.server_address(url, chosen, target, insecure=insecure, resume=resume)
    if address is not None:
        return measure_url_capacity(address, chosen, requests, reporter.say)
    return measure_capacity(
        target, chosen, starts, requests, _path(study), resume=resume, reporter=reporter
    )


def doctor(
    *,
    pid: int | None = None,
    log: Path | str | None = None,
    python: str | None = None,
    snapshot: Path | str | None = None,
    image: str = "",
    context: str = "",
    layer: str = "",
) -> Diagnosis:
    """Return what every tuning is on this machine, or in a running server; only read it.

    ``pid`` is a server's first process, ``snapshot`` a captured machine, ``image`` an image that
    docker has. ``context`` holds facts that the machine does not show (``"graphs=on,hosts=2"``).

    Raises:
        UsageError: there is no such process, snapshot, image or layer.
    """
    if image and (pid is not None or snapshot is not None):
        raise UsageError("image shows what an image bakes in: leave pid and snapshot out")
    if snapshot is not None and pid is not None:
        raise UsageError("snapshot shows a captured machine: leave pid out")
    situation = parse_context(context)
    if image:
        return inspection.diagnose(inspection.view_of_image(image, situation), layer)
    seen = inspection.view(situation, pid, _path(log), python, _path(snapshot))
    return inspection.diagnose(seen, layer)


def lint(
    *files: Path | str,
    presets: Sequence[str] = (),
    context: str = "",
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    min_severity: str = "info",
) -> LintReport:
    """Find the traps in launch files, before anything runs.

    ``files`` are files and folders. ``context`` holds facts that they do not
    (``"chip=A2,vllm=0.32"``). ``select`` and ``ignore`` are names or globs of rules.

    Raises:
        UsageError: nothing is named, there is no such preset, or an option does not fit.
    """
    if not files and not presets:
        raise UsageError("lint needs a file, a folder or a preset")
    if min_severity not in tuple(Severity):
        raise UsageError(f"min_severity must be info, warning or error, not {min_severity!r}")
    situation = parse_context(context)
    documents, trouble = launch_files.documents([str(file) for file in files])
    documents += launch_files.preset_documents(presets)
    chosen = FindingFilter(select, ignore, Severity(min_severity))
    report = report_on(documents, situation, chosen)
    return LintReport(fix_trial.with_fixable(report, documents, situation), tuple(trouble))


def load_study(folder: Path | str | None = None) -> StudyResult:
    """Read a study that ``tune`` made; the newest one without a folder.

    Raises:
        UsageError: there is no such study.
        StudyError: a file of it cannot be read.
    """
    place = artifacts.folder(_path(folder))
    return StudyResult(place, artifacts.read(place, _SILENT.say))


def _path(given: Path | str | None) -> Path | None:
    return None if given is None else Path(given)


def _options(given: dict[str, Any], command: Command | None) -> dict[str, Any]:
    """Return options as `Options` has them.

    Raises:
        UsageError: one is unknown.
    """
    fields = Options.__dataclass_fields__.keys()
    if unknown := sorted(given.keys() - fields):
        raise UsageError(
            f"{', '.join(unknown)}: there is no such option; known are {', '.join(sorted(fields))}"
        )
    asked = {name: _value(value) for name, value in given.items() if value is not None}
    if command is not None:
        words = shlex.split(command) if isinstance(command, str) else command
        asked["baseline"] = tuple(words)
    return asked


def _value(given: Any) -> Any:
    """Return an option's value as the command line gives it: lists as tuples."""
    return tuple(given) if isinstance(given, list | set) else given
