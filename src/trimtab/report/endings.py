"""How the starts of a study ended, in words, where that leaves it without an answer. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from trimtab import formatting
from trimtab.model import BASELINE, Outcome, Start, Verdict
from trimtab.report.study import Study

_SILENT = frozenset({Outcome.MEASURED, Outcome.VOID})


@dataclass(frozen=True, slots=True)
class Endings:
    """What happened to the starts that measured nothing.

    ``text`` counts them, "" where there is none worth a word. ``detail`` has what the first of
    them said. ``why`` is what follows ``trimtab show STUDY`` to see the evidence. ``hopeless``: a
    larger budget would end alike, because no start of the baseline, or none of another arm,
    measured anything.
    """

    text: str = ""
    detail: str = ""
    why: str = ""
    hopeless: bool = False


def endings(study: Study) -> Endings:
    """Return how the starts of a study ended: the baseline's first, then those of all arms."""
    starts = study.starts
    stock = [one for one in starts if one.request.candidate == BASELINE]
    failed, of_stock = _failed(starts), _failed(stock)
    if of_stock and not any(one.valid for one in stock):
        text = f"the baseline failed in {_of(of_stock, stock)}"
        return Endings(text, _said(of_stock), hopeless=True)
    nothing = not any(one.valid for one in starts if one.request.candidate != BASELINE)
    if failed:
        return Endings(f"{_of(failed, starts)} failed", _said(failed), _why(study), nothing)
    void = [one for one in starts if one.outcome is Outcome.VOID]
    if void and nothing:
        text = f"{_of(void, starts)} measured nothing, because all their windows were void"
        return Endings(text, _said(void), hopeless=True)
    return Endings()


def _failed(starts: Sequence[Start]) -> list[Start]:
    return [one for one in starts if one.outcome not in _SILENT]


def _of(some: Sequence[Start], starts: Sequence[Start]) -> str:
    return f"{len(some)} of {formatting.count(len(starts), 'start')}"


def _said(starts: Sequence[Start]) -> str:
    """Return what the first of some starts said."""
    first = min(starts, key=lambda one: one.number)
    said = formatting.line(first.detail) or first.outcome.value
    return f"start {first.number}: {said[:200]}"


def _why(study: Study) -> str:
    """Return the option that shows the evidence for a tuning with which starts failed."""
    blamed = [
        one.tuning for one in study.conclusion.answers if one.verdict is Verdict.START_FAILED
    ]
    failed = [name for one in _failed(study.starts) for name, _ in one.request.candidate]
    names = {one.tuning for one in study.conclusion.answers}
    known = [name for name in (*blamed, *failed) if name in names]
    return f" --why {shlex.quote(known[0])}" if known else ""
