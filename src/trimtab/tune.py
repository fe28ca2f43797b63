"""The main job: ask the strategy, run the start, append it to the ledger, until it is answered.

State is the ledger alone: a study that was interrupted, or killed, goes on by replaying it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from trimtab import search
from trimtab.errors import BaselineFailedError
from trimtab.ledger import Ledger
from trimtab.model import Conclusion, Start, StartRequest
from trimtab.pacing import paced, remembering
from trimtab.progress import Display
from trimtab.search import Strategy
from trimtab.session import Session
from trimtab.stop import Stop
from trimtab.trial import run_trial

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
        own = remembering(paced(session, made, requests[0]), made)
        start = trial(own, requests[0], number, folder / "starts" / f"{number:03d}", display, stop)
        ledger.append(start)
        display.end_start(start)
        display.best(search.leading(session.space, ledger.starts()))
        if news and (found := search.measured(session.space, ledger.starts())):
            display.note(found)
            news = False
    if reason := search.blocked(session.space, ledger.starts()):
        raise BaselineFailedError(reason)
    return search.conclude(session.space, ledger.starts())
