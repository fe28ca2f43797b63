"""Starts that failed: which tuning is to blame, and when a study cannot go on.

A tuning is blamed for failures only where the starts leave no other explanation: the live
process refuted a check of its own, it failed twice alone, or every start with it failed and one
of them failed with no other suspect on.

Tunings that fail only together: pairs of which every start failed, though each works alone.

Such a pair is learned from the study's own starts and then counts as a conflict: later rows of the
screen are repaired, and no profile holds both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from trimtab.model import (
    BASELINE,
    CheckOutcome,
    Evidence,
    Factor,
    Outcome,
    Phase,
    Start,
    Verdict,
)
from trimtab.search.arms import is_on, is_preset, starts_of_phase

FAILED = frozenset({Outcome.INEFFECTIVE, Outcome.START_FAILED, Outcome.LOAD_FAILED})

_TWICE = 2


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a tuning is out: it failed to start, or did not take effect; with the sentence."""

    verdict: Verdict
    reason: str


def blocking_reason(starts: Sequence[Start]) -> str:
    """Return why the study cannot go on, "" when it can: the baseline failed twice in a row."""
    stock = [start for start in starts if start.request.candidate == BASELINE][-_TWICE:]
    if len(stock) < _TWICE or any(start.outcome not in FAILED for start in stock):
        return ""
    last = stock[-1]
    why = _detail(last) or last.outcome.value
    return (
        f"the baseline must start and serve, but failed twice in a row (starts {stock[0].number} "
        f"and {last.number}: {why}): repair it, then ask again in a new study"
    )


@dataclass(frozen=True, slots=True)
class Blame:
    """The tunings that make starts fail, and those that may: with all that was on beside them."""

    failures: dict[str, Failure]
    suspects: dict[str, frozenset[str]]


def blame(factors: Sequence[Factor], starts: Sequence[Start]) -> Blame:
    """Return which of ``factors`` the failed starts are due to."""
    found: dict[str, Failure] = {}
    doubts: dict[str, frozenset[str]] = {}
    for phase in (Phase.LEAD, Phase.SCREEN, Phase.HOST):
        ended = [
            start
            for start in starts_of_phase(starts, phase)
            if not is_preset(start.request.stem) and start.outcome is not Outcome.VOID
        ]
        blamed, open_ = _of_rows(factors, ended, alone=phase is Phase.LEAD)
        found = blamed | found
        doubts |= open_
    return Blame(found, {name: each for name, each in doubts.items() if name not in found})


def _of_rows(
    factors: Sequence[Factor], ended: Sequence[Start], *, alone: bool
) -> tuple[dict[str, Failure], dict[str, frozenset[str]]]:
    failed = [start for start in ended if start.outcome in FAILED]
    worked = [start for start in ended if start.valid]
    never = [factor for factor in factors if _with(factor, failed) and not _with(factor, worked)]
    found = {factor.tuning: why for factor in never if (why := _refuted(factor, failed))}
    doubts: dict[str, frozenset[str]] = {}
    blamed = [factor for factor in never if factor.tuning in found]
    while failed and (worked or alone):
        failed = [start for start in failed if not _any_on(blamed, start)]
        suspects = [factor for factor in never if len(_with(factor, failed)) >= _TWICE]
        blamed = [
            factor
            for factor in suspects
            if _only(factor, suspects, failed) and _steady(factor, suspects, ended, failed)
        ]
        beside = {each.tuning: _beside(factors, each, suspects, ended, failed) for each in blamed}
        doubts |= {name: others for name, others in beside.items() if others}
        blamed = [factor for factor in blamed if not beside[factor.tuning]]
        if not blamed:
            break
        found |= {factor.tuning: _failure(_with(factor, failed)) for factor in blamed}
    return found, doubts


def _beside(
    factors: Sequence[Factor],
    factor: Factor,
    suspects: Sequence[Factor],
    ended: Sequence[Start],
    failed: Sequence[Start],
) -> frozenset[str]:
    """Return the tunings on in all failed starts of a factor, except those on in every row.

    As many of its failures as there were without any suspect may be by chance, as those were.
    """
    own, tuned = _with(factor, failed), [s for s in ended if s.request.candidate != BASELINE]
    most = max(_TWICE, len(own) - _unexplained(suspects, failed))
    return frozenset(
        other.tuning
        for other in factors
        if other is not factor
        and len(_with(other, own)) >= most
        and len(_with(other, tuned)) < len(tuned)
    )


def _unexplained(suspects: Iterable[Factor], failed: Sequence[Start]) -> int:
    return sum(not _any_on(suspects, start) for start in failed)


def _with(factor: Factor, starts: Sequence[Start]) -> list[Start]:
    return [start for start in starts if is_on(factor, start.request.candidate)]


def _any_on(factors: Iterable[Factor], start: Start) -> bool:
    return any(is_on(factor, start.request.candidate) for factor in factors)


def _only(factor: Factor, suspects: Sequence[Factor], failed: Sequence[Start]) -> bool:
    """Whether some failed start has this factor on and no other suspect."""
    others = [other for other in suspects if other is not factor]
    return any(not _any_on(others, start) for start in _with(factor, failed))


def _steady(
    factor: Factor, suspects: Sequence[Factor], ended: Sequence[Start], failed: Sequence[Start]
) -> bool:
    """Whether starts without this factor mostly work, those with another suspect aside."""
    others = [other for other in suspects if other is not factor]
    without = [start for start in ended if not is_on(factor, start.request.candidate)]
    unexplained = sum(start in failed and not _any_on(others, start) for start in without)
    return sum(start.valid for start in without) > unexplained


def _refuted(factor: Factor, failed: Sequence[Start]) -> Failure | None:
    for start in _with(factor, failed):
        for evidence in start.evidence:
            if evidence.verdict is CheckOutcome.NO and evidence.check.tuning == factor.tuning:
                return Failure(Verdict.INEFFECTIVE, _sentence(evidence))
    return None


def _sentence(evidence: Evidence) -> str:
    check = evidence.check
    return (
        f"{check.subject} must be {check.expected}, but the live server shows "
        f"{evidence.observed} ({evidence.where})"
    )


def _failure(failed: Sequence[Start]) -> Failure:
    last = failed[-1]
    ineffective = all(start.outcome is Outcome.INEFFECTIVE for start in failed)
    verdict = Verdict.INEFFECTIVE if ineffective else Verdict.START_FAILED
    ended = {
        Outcome.INEFFECTIVE: "did not take effect in",
        Outcome.LOAD_FAILED: "failed under load in",
    }.get(last.outcome, "did not start in")
    detail = f": {_detail(last)}" if last.detail else ""
    return Failure(verdict, f"{ended} any of {len(failed)} starts with it{detail}")


def _detail(start: Start) -> str:
    return " ".join(start.detail.split())[:200]


_ENOUGH: Final = 3
"""Failures that a pair must have. A pair that the design set on together 4 times and that fails by
another cause in one start of ten fails each time in one study of 10,000."""

_DOUBTED: Final = 2
"""Failures from which on a pair that never worked is kept out of profiles."""

_PHASES: Final = (Phase.LEAD, Phase.SCREEN, Phase.FOLLOW)

Pair = frozenset[str]


def failing_pairs(starts: Sequence[Start]) -> frozenset[Pair]:
    """Return the pairs of tunings that fail together.

    Every start with both on failed, three of them at least, and no other pair explains as many
    failures: where two do, neither is blamed yet. Failures with a tuning on that never worked at
    all are left to that one (:mod:`trimtab.search.failures`).
    """
    made = [s for s in starts if s.request.phase in _PHASES and not is_preset(s.request.stem)]
    worked = [_on(start) for start in made if start.valid or start.outcome is Outcome.VOID]
    able = frozenset().union(*worked)
    failed = [on for on in (_on(start) for start in made if start.outcome in FAILED) if on <= able]
    found: set[Pair] = set()
    while pair := _guilty(failed, worked):
        found.add(pair)
        failed = [on for on in failed if not pair <= on]
    return frozenset(found)


def _guilty(failed: Sequence[frozenset[str]], worked: Sequence[frozenset[str]]) -> Pair | None:
    """Return the pair that explains more failures than any other, ``None`` if none stands out."""
    counted = Counter(
        pair
        for on in failed
        for pair in map(frozenset, combinations(on, 2))
        if not any(pair <= other for other in worked)
    )
    most = max(counted.values(), default=0)
    named = [pair for pair, failures in counted.items() if failures == most]
    return named[0] if most >= _ENOUGH and len(named) == 1 else None


def suspect_pairs(starts: Sequence[Start]) -> frozenset[Pair]:
    """Return every pair of tunings that may fail together.

    That is a pair which no working start had on, though two or more that failed had. It is no
    proof, as for :func:`failing_pairs`, but a profile that holds such a pair may never start.
    """
    made = [s for s in starts if s.request.phase in _PHASES and not is_preset(s.request.stem)]
    worked = [_on(start) for start in made if start.valid or start.outcome is Outcome.VOID]
    failed = Counter(
        pair
        for start in made
        if start.outcome in FAILED
        for pair in map(frozenset, combinations(_on(start), 2))
    )
    return frozenset(
        pair
        for pair, times in failed.items()
        if times >= _DOUBTED and not any(pair <= on for on in worked)
    )


def _on(start: Start) -> frozenset[str]:
    return frozenset(name for name, _ in start.request.candidate)
