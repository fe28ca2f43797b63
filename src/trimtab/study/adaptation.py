"""What earlier starts tell the next one: how many windows are best, how fast the machine was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from trimtab import search
from trimtab.errors import WorkloadError
from trimtab.load.workload import with_windows
from trimtab.model import Phase, Start, StartRequest, VarianceComponents
from trimtab.study.options import AUTO
from trimtab.study.session import Session

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
