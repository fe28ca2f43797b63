"""The study loop: ask the strategy, run the start, append it to the ledger, until it is answered.

State is the ledger alone: a study that was interrupted, or killed, goes on by replaying it.
"""

from __future__ import annotations

from trimtab import search
from trimtab.errors import BaselineFailedError
from trimtab.model import Conclusion, Space
from trimtab.search import Strategy
from trimtab.study.executors.executor import Executor
from trimtab.study.ledger import Ledger
from trimtab.study.progress import Display
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
    while requests := strategy.ask(space, ledger.starts()):
        stop.check()
        number = len(ledger.starts()) + 1
        display.begin_start(number, requests[0])
        start = executor.run(requests[0], number)
        ledger.append(start)
        display.end_start(start)
        display.best(search.incumbent(space, ledger.starts()))
        if news and (found := search.detectability_note(space, ledger.starts())):
            display.note(found)
            news = False
    if reason := search.blocking_reason(space, ledger.starts()):
        raise BaselineFailedError(reason)
    return search.conclude(space, ledger.starts())
