"""How many windows a start gets: what the workload says, a number, or what the noise asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from trimtab import search
from trimtab.errors import WorkloadError
from trimtab.model import Phase, Spread, Start, StartRequest
from trimtab.question import AUTO
from trimtab.session import Session, windowed

ENOUGH_DF: Final = 3
"""Degrees of freedom between starts from which on the noise decides."""


def paced(session: Session, starts: Sequence[Start], request: StartRequest) -> Session:
    """Return the session in which a start of a study is made: with `auto`, other windows.

    The number follows from the noise of the phases before, never from an effect, and is one for
    a whole phase: within it all starts stay equally precise, and a block shares its requests.
    """
    order = list(Phase)
    before = [s for s in starts if order.index(s.request.phase) < order.index(request.phase)]
    if session.options.windows != AUTO or not before:
        return session
    return with_best(session, search.conclude(session.space, before).spread)


def with_best(session: Session, found: Spread | None) -> Session:
    """Return the session with the number of windows that a noise asks for, if it is known."""
    if found is None or found.start_df < ENOUGH_DF:
        return session
    try:
        workload = windowed(session.workload, found.best)
    except WorkloadError:  # as many do not fit into the load client's memory
        return session
    return replace(session, workload=workload)
