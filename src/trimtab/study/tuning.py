"""A study from its question to its result: created or reopened, its loop, and its answer."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trimtab import presets, search
from trimtab.catalog import Tuning
from trimtab.errors import BaselineFailedError, UsageError
from trimtab.model import Conclusion, Space
from trimtab.report import Study
from trimtab.search import Strategy
from trimtab.study import artifacts, folder
from trimtab.study.executors import Executor
from trimtab.study.ledger import Ledger
from trimtab.study.progress import Display, Reporter
from trimtab.study.session import Session, header_lines
from trimtab.study.signals import Stop


def run_study(
    space: Space,
    strategy: Strategy,
    ledger: Ledger,
    executor: Executor,
    display: Display,
    stop: Stop,
    *,
    noise: float,
) -> Conclusion:
    """Run the starts that ``strategy`` asks for until it is done, and return what was found.

    ``noise`` is the standard deviation between starts that the design assumes, on the log scale.

    Raises:
        KeyboardInterrupt: a stop was asked for; the ledger holds every finished start.
        BaselineFailedError: the baseline cannot be measured, so there is nothing to compare with.
    """
    display.begin_study(search.design(space, noise))
    news = True
    history = search.History.of(space, ledger.starts())
    while requests := strategy.ask(history):
        stop.check()
        number = len(ledger.starts()) + 1
        display.begin_start(number, requests[0])
        start = executor.run(requests[0], number)
        ledger.append(start)
        display.end_start(start)
        history = search.History.of(space, ledger.starts())
        display.best(search.incumbent(history))
        if news and (found := search.detectability_note(history)):
            display.note(found)
            news = False
    if reason := history.blocking_reason:
        raise BaselineFailedError(reason)
    return search.conclude(history)


@dataclass(frozen=True, slots=True)
class FinishedStudy:
    """A study that came to its end: its record, its folder, and the catalogue it was asked of."""

    study: Study
    folder: Path
    catalog: Mapping[str, Tuning]


def tune(
    asked: Mapping[str, Any], place: Path | None, reporter: Reporter, *, resume: bool = False
) -> FinishedStudy:
    """Run a study, or go on with the one in ``place``, and write its result there.

    ``asked`` are fields of `trimtab.study.options.Options`; those not given have their defaults,
    in a resumed study its own values.

    Raises:
        UsageError: an option does not fit, or the folder does not.
        EngineError: the engine is missing.
        BaselineFailedError: the baseline failed twice in a row.
        KeyboardInterrupt: somebody stopped it; ``resume`` goes on with it.
    """
    opened = folder.reopen if resume else folder.create
    session, ledger, place = opened(asked, place, reporter.say)
    for line in header_lines(session):
        reporter.say(line)
    if remark := arm_remark(session):
        reporter.say(remark)
    with ledger, _hint(place, reporter):
        with Stop().listening() as stop:
            display = reporter.display(session.space.objective)
            try:
                executor = folder.executor_of(session, ledger, place, display, stop)
                conclusion = run_study(
                    session.space,
                    search.PhasedStrategy(),
                    ledger,
                    executor,
                    display,
                    stop,
                    noise=session.noise,
                )
            finally:
                display.close()
        written = artifacts.write_result(session, ledger.starts(), conclusion, place)
    return FinishedStudy(written, place, session.catalog)


def with_options_of(
    other: Path, asked: Mapping[str, Any], *, resume: bool = False
) -> dict[str, Any]:
    """Return the options of another study, overridden by those asked for.

    Raises:
        UsageError: there is no such study, or ``resume`` would go on with another one.
        StudyError: another user could have written it.
    """
    if resume:
        raise UsageError("--like begins a new study: leave --resume out")
    saved = folder.options_from_study(other)
    if asked.keys() & {"baseline", "baseline_file"}:
        saved = {**saved, "baseline": (), "baseline_file": None}
    return {**saved, **asked}


def arm_remark(session: Session) -> str:
    """Return the remark on the study's preset; "" if there is none."""
    if session.options.aa or session.options.arm == presets.NO_ARM or not session.serves:
        return ""
    space = session.space
    return presets.remark(None if space.guide is None else space.preset, session.context)


@contextmanager
def _hint(place: Path, reporter: Reporter) -> Iterator[None]:
    """Tell where the study lies, and how to go on when it does not come to its end."""
    reporter.say(f"study: {place}")
    try:
        yield
    except BaselineFailedError:
        reporter.say(f"what it measured: trimtab show {shlex.quote(str(place))}")
        raise
    except BaseException:
        reporter.say(f"go on with: trimtab tune --study {shlex.quote(str(place))} --resume")
        raise
