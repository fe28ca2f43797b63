"""The main job: ask the strategy, run the start, append it to the ledger, until it is answered.

State is the ledger alone: a study that was interrupted, or killed, goes on by replaying it.

What earlier starts tell the next one: how many windows are best, how fast the machine was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from trimtab import search
from trimtab.errors import BaselineFailedError, WorkloadError
from trimtab.load.workload import with_windows
from trimtab.model import Conclusion, Phase, Start, StartRequest, VarianceComponents
from trimtab.search import Strategy
from trimtab.study.executors.live import run_trial
from trimtab.study.ledger import Ledger
from trimtab.study.options import AUTO
from trimtab.study.progress import Display
from trimtab.study.session import Session
from trimtab.study.signals import Stop

ENOUGH_DF: Final = 3
"""Degrees of freedom between starts from which on the noise decides."""


def with_auto_windows(session: Session, starts: Sequence[Start], request: StartRequest) -> Session:
    """Return the session in which a start of a study is made: with `auto`, other windows.

    The number follows from the noise of the phases before, never from an effect, and is one for
    a whole phase: within it all starts stay equally precise, and a block shares its requests.
    """
    order = list(Phase)
    before = [s for s in starts if order.index(s.request.phase) < order.index(request.phase)]
    if session.options.windows != AUTO or not before:
        return session
    return with_best_windows(session, search.conclude(session.space, before).spread)


def with_gate_history(session: Session, starts: Sequence[Start]) -> Session:
    """Return the session whose gate knows what it read before the earlier starts."""
    return replace(session, readings=tuple(one.gate for one in starts))


def with_best_windows(session: Session, found: VarianceComponents | None) -> Session:
    """Return the session with the number of windows that a noise asks for, if it is known."""
    if found is None or found.start_df < ENOUGH_DF:
        return session
    try:
        workload = with_windows(session.workload, found.best)
    except WorkloadError:  # its memory, or a trace, does not hold as many
        return session
    return replace(session, workload=workload)


Trial = Callable[[Session, StartRequest, int, Path, Display, Stop], Start]


def run_study(
    session: Session,
    strategy: Strategy,
    ledger: Ledger,
    folder: Path,
    display: Display,
    stop: Stop,
    trial: Trial = run_trial,
) -> Conclusion:
    """Run the starts that ``strategy`` asks for until it is done, and return what was found.

    Raises:
        KeyboardInterrupt: a stop was asked for; the ledger holds every finished start.
        BaselineFailedError: the baseline cannot be measured, so there is nothing to compare with.
    """
    display.begin_study(search.design(session.space, session.noise))
    news = True
    while requests := strategy.ask(session.space, ledger.starts()):
        stop.check()
        number = len(ledger.starts()) + 1
        display.begin_start(number, requests[0])
        made = ledger.starts()
        own = with_gate_history(with_auto_windows(session, made, requests[0]), made)
        start = trial(own, requests[0], number, folder / "starts" / f"{number:03d}", display, stop)
        ledger.append(start)
        display.end_start(start)
        display.best(search.incumbent(session.space, ledger.starts()))
        if news and (found := search.detectability_note(session.space, ledger.starts())):
            display.note(found)
            news = False
    if reason := search.blocking_reason(session.space, ledger.starts()):
        raise BaselineFailedError(reason)
    return search.conclude(session.space, ledger.starts())
