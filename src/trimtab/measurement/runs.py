"""Measurements of one target and of two: their folder, their ledger, and the run."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from trimtab.errors import UsageError
from trimtab.measurement import blocks, results
from trimtab.measurement.results import BenchResult, CompareResult
from trimtab.measurement.targets import open_pair, open_target
from trimtab.metrics.wall_time import time_breakdown
from trimtab.model import Header, Start
from trimtab.search import remarks
from trimtab.storage import atomic_files
from trimtab.study.folder import LEDGER, clear_wreckage, require_folder
from trimtab.study.ledger import Ledger
from trimtab.study.options import AUTO, Options, parse_share, require_question
from trimtab.study.progress import Display, Reporter
from trimtab.study.session import Session, header_lines, header_of
from trimtab.study.signals import Stop

ROOT = Path("trimtab-bench")


def announce(session: Session, reporter: Reporter) -> Header:
    """Tell which engine, model and workload are measured; return the same as a record."""
    for line in header_lines(session):
        reporter.say(line)
    return header_of(session)


def announce_pair(first: Session, second: Session, reporter: Reporter) -> Header:
    """Tell what two targets are measured with, once where it is the same; return the first's."""
    measured = announce(first, reporter)
    if header_of(second) != measured:
        announce(second, reporter)
    else:
        for note in second.notes:
            if note not in first.notes:
                reporter.say(note)
    return measured


def measure_starts(
    target: str,
    options: Options,
    count: int,
    folder: Path | None,
    *,
    resume: bool,
    reporter: Reporter,
) -> BenchResult:
    """Measure one target over some starts.

    Raises:
        UsageError: an option or the folder does not fit.
        EngineError: the engine is missing, or its server cannot be measured.
    """
    require_place(folder, resume=resume)
    session, one = open_target(target, options, reporter.say)
    measured = announce(session, reporter)
    asked = blocks.question(session, (one,), kind="bench")
    windows = None if options.windows == AUTO else session.workload.windows
    with open_measurement(
        asked,
        folder,
        options.objective,
        reporter,
        resume=resume,
        allow_host=options.allow_host,
    ) as place:
        reporter.say(blocks.interval_forecast(session.noise, count, windows))
        starts = blocks.Measurement(session, (one,), *place).until(
            lambda made: len(blocks.starts_of_target(made, 0)) >= count, count
        )
    summaries = blocks.summary(starts)
    names = [summary.metric for summary in summaries]
    return BenchResult(
        measures=measured,
        target=target,
        starts=len(blocks.starts_of_target(starts, 0)),
        attempts=len(starts),
        metrics=tuple(summaries),
        noise=blocks.variance_components(starts, options.objective),
        time=time_breakdown(starts).as_data(),
        notes=(
            *session.caveats,
            *blocks.repeat_notes(starts),
            *remarks(starts, options.objective, names),
        ),
    )


def measure_pairs(
    names: tuple[str, str],
    options: Options,
    margin: str,
    pairs: int,
    folder: Path | None,
    *,
    resume: bool,
    reporter: Reporter,
) -> CompareResult:
    """Compare two targets.

    Raises:
        UsageError: an option or the folder does not fit.
        EngineError: an engine is missing, or its server cannot be measured.
    """
    within = parse_share("--margin", margin)
    metric = options.objective
    if "," in metric:
        raise UsageError(f"--objective must be one metric here, but is {metric!r}")
    require_place(folder, resume=resume)
    (session, first), (other, second) = open_pair(names, options, reporter.say)
    measured = announce_pair(session, other, reporter)
    asked = blocks.question(session, (first, second), kind="compare", margin=within, pairs=pairs)
    with open_measurement(
        asked, folder, metric, reporter, resume=resume, allow_host=options.allow_host
    ) as place:
        reporter.say(blocks.comparison_forecast(session.noise, pairs))
        starts = blocks.Measurement(session, (first, second), *place).until(
            lambda made: blocks.is_decided(made, metric, within, pairs), 2 * pairs, at_most=True
        )
    result = _compared(names, measured, starts, metric, within, pairs)
    return replace(result, notes=(*session.caveats, *result.notes))


def _compared(
    names: tuple[str, str],
    measured: Header,
    starts: Sequence[Start],
    metric: str,
    margin: float,
    pairs: int,
) -> CompareResult:
    """Return what the starts of two targets say of the second against the first."""
    look = blocks.interim_look(starts, metric, margin, pairs)
    tables = (tuple(blocks.summary(starts, 0)), tuple(blocks.summary(starts, 1)))
    shown = {summary.metric for table in tables for summary in table}
    return CompareResult(
        measures=measured,
        a=names[0],
        b=names[1],
        metric=metric,
        answer=look.word.value,
        ratio=math.exp(look.value),
        low=None if look.low is None else math.exp(look.low),
        high=None if look.high is None else math.exp(look.high),
        pairs=look.pairs,
        most_pairs=pairs,
        margin=margin,
        detectable_effect=blocks.detectable_effect(blocks.differences(starts, metric), pairs),
        noise=blocks.variance_components(starts, metric),
        starts=len(starts),
        metrics=tables,
        table=tuple(results.table(starts)),
        notes=(
            *blocks.repeat_notes(starts),
            *_absent(starts, metric),
            *remarks(starts, metric, shown),
        ),
    )


def _absent(starts: Sequence[Start], metric: str) -> list[str]:
    """Return the sentence how many pairs count for nothing, if any does."""
    first, second = (blocks.starts_of_target(starts, index) for index in range(2))
    pairs = len(first.keys() & second.keys())
    without = pairs - len(blocks.differences(starts, metric))
    return [f"{metric} is missing in {without} of {pairs} pairs, which do not count"] * bool(
        without
    )


@contextmanager
def open_measurement(
    asked: Mapping[str, object],
    folder: Path | None,
    objective: str,
    reporter: Reporter,
    *,
    resume: bool,
    allow_host: bool = False,
) -> Iterator[tuple[Ledger, Path, Display, Stop]]:
    """Open what a measurement runs in: its ledger and folder, a display, a way to stop.

    Raises:
        UsageError: the folder holds a measurement already, or none to resume.
    """
    folder = folder or ROOT / time.strftime("%Y%m%d-%H%M%S")
    with _ledger(folder, asked, reporter, resume=resume, allow_host=allow_host) as ledger:
        reporter.say(f"folder: {folder}")
        with Stop().listening() as stop:
            display = reporter.display(objective)
            try:
                yield ledger, folder, display, stop
            except KeyboardInterrupt:
                reporter.say(f"go on with the same command and: --study {folder} --resume")
                raise
            finally:
                display.close()


def require_place(folder: Path | None, *, resume: bool) -> None:
    """Make sure that a measurement can lie in a folder, or lies in it already (``resume``).

    Raises:
        UsageError: it cannot, or does not.
    """
    if folder is None:
        return
    require_folder(folder)
    if resume != (folder / LEDGER).exists():
        there = "holds no measurement to resume" if resume else "already holds a measurement"
        raise UsageError(f"{folder} {there}: {'leave out' if resume else 'add'} --resume")


@contextmanager
def _ledger(
    folder: Path,
    asked: Mapping[str, object],
    reporter: Reporter,
    *,
    resume: bool,
    allow_host: bool,
) -> Iterator[Ledger]:
    """Open or make the ledger of a measurement.

    Raises:
        UsageError: the folder holds a measurement already, or none to resume.
    """
    from trimtab.host import LocalHost

    require_place(folder, resume=resume)
    atomic_files.restrict_umask()
    path = folder / LEDGER
    if not resume:
        folder.mkdir(parents=True, exist_ok=True)
        with Ledger.create(path, {"question": asked}) as made:
            yield made
        return
    with Ledger.open(path) as ledger:
        for sentence in clear_wreckage(folder, LocalHost(), allow_host=allow_host):
            reporter.say(sentence)
        require_question(json.loads(json.dumps(asked)), ledger.question["question"], folder)
        yield ledger
