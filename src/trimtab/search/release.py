"""Which profiles may be written: what ran in a start of this study, and keeps the SLO.

A profile is a promise that this exact combination starts and serves. Tunings that work one by one
may fail together, and latencies add up. So what the tests and the estimates suggest is written
only if a start of this study ran it and was measured, and if the starts show that it keeps the
SLO. Otherwise the best combination that did both is written, or the baseline.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from trimtab import formatting
from trimtab.model import BASELINE, Candidate, Factor, Outcome, Phase, Start
from trimtab.search.arms import MAX_ARM, PROVEN_ARM, is_preset
from trimtab.search.estimates import Analysis
from trimtab.search.failures import FAILED
from trimtab.search.final_profiles import FinalProfiles
from trimtab.search.history import History
from trimtab.search.response_surface import ResponseSurface, response_surface


@dataclass(frozen=True, slots=True)
class Release:
    """The profiles to write, those of them that are shown to keep the SLO, and the sentences."""

    proven: Candidate
    best: Candidate
    within_slo: tuple[str, ...]
    notes: tuple[str, ...]


def release(history: History, last: FinalProfiles, planned: Candidate) -> Release:
    """Return what may be written of the profiles that the study suggests.

    Args:
        history: all of the study, with the starts set aside for profiles.
        last: the profiles that tests, estimates and confirmation suggest.
        planned: what ``max`` was to be before the confirmation.
    """
    tested = history.without(Phase.ANSWERS)
    ran = _ran(history.starts)
    worth = _worth(tested.estimates)
    able = [one for one in ran if one != BASELINE and not history.limits.broken(one)]
    proven, best = last.proven, last.best
    notes: list[str] = []
    if why := objection(history, proven):
        smaller = (one for one in able if set(one) < set(last.proven))
        proven = max(smaller, key=lambda one: (worth(one), len(one)), default=BASELINE)
        notes.append(_instead(PROVEN_ARM, last.proven, proven, why))
    # One that never started says nothing against the combinations that did.
    dead = planned not in (best, BASELINE) and planned not in ran
    wish = planned if dead and best in (proven, last.proven, BASELINE) else best
    if why := objection(history, wish):
        best = _best(tested, able, worth, proven)
        notes.append(_instead(MAX_ARM, wish, best, why))
    chosen = {PROVEN_ARM: proven, MAX_ARM: best}
    kept = tuple(
        arm for arm, one in chosen.items() if history.space.limits and history.limits.are_kept(one)
    )
    notes += _unshown(history, chosen, kept)
    return Release(proven, best, kept, tuple(notes))


def objection(history: History, values: Candidate) -> str:
    """Return why a combination may not be written, "" if it may."""
    if values == BASELINE:
        return ""
    if values not in _ran(history.starts):
        tried = [start for start in history.starts if start.request.candidate == values]
        if any(start.outcome in FAILED for start in tried):
            return f"it failed when it was started (start {tried[-1].number})"
        return "no start of this study ran this combination"
    return "; ".join(history.limits.broken(values))


def _ran(starts: Iterable[Start]) -> list[Candidate]:
    """Return the combinations that a start ran as they are, each once."""
    return list(
        dict.fromkeys(
            start.request.candidate
            for start in starts
            if start.outcome is Outcome.MEASURED
            and not start.request.live
            and not is_preset(start.request.stem)
        )
    )


def _best(
    history: History,
    able: Sequence[Candidate],
    worth: Callable[[Candidate], float],
    proven: Candidate,
) -> Candidate:
    """Return the best combination that ran, at least the proven one; none with the inert one."""
    factors = {(factor.tuning, factor.value): factor for factor in history.space.factors}
    out = history.unusable

    def fit(one: Candidate) -> bool:
        parts = [factors.get(pair) for pair in one]
        return all(
            part is not None
            and not part.dummy
            and part.tuning not in out
            and not history.estimates.harms(part)
            for part in parts
        )

    larger = [one for one in able if fit(one) and set(one) > set(proven)]
    found = max(larger, key=worth, default=proven)
    return found if worth(found) > worth(proven) else proven


def _worth(analysis: Analysis) -> Callable[[Candidate], float]:
    """Return what a combination is expected to give on the objective, log scale."""
    surface = response_surface(analysis)
    alone = {
        (factor.tuning, factor.value): analysis.expected(factor, analysis.space.objective) or 0.0
        for factor in analysis.space.factors
        if not factor.dummy
    }

    def worth(values: Candidate) -> float:
        known = () if surface is None else _settings(surface.factors)
        rest = sum(alone.get(pair, 0.0) for pair in values if pair not in known)
        return rest + (0.0 if surface is None else _height(surface, values))

    return worth


def _settings(factors: Iterable[Factor]) -> set[tuple[str, object]]:
    return {(factor.tuning, factor.value) for factor in factors}


def _height(surface: ResponseSurface, values: Candidate) -> float:
    row = [(factor.tuning, factor.value) in values for factor in surface.factors]
    return float(surface.known.surface.value(np.array([row]))[0])


def _instead(arm: str, wish: Candidate, chosen: Candidate, why: str) -> str:
    other = formatting.settings(chosen) or "the baseline"
    return (
        f"the {arm} profile is not {formatting.settings(wish)}: {why}. The best combination that "
        f"ran and is allowed is written instead: {other}"
    )


def _unshown(history: History, chosen: dict[str, Candidate], kept: Sequence[str]) -> Iterator[str]:
    """Say which written profiles are not shown to keep the SLO, and therefore do not state it."""
    measured = any(start.valid for start in history.starts)
    names = [arm for arm, one in chosen.items() if arm not in kept]
    if history.space.limits and measured and names:
        verb = "are" if len(names) > 1 else "is"
        yield (
            f"{' and '.join(names)} {verb} not shown to keep the SLO: the profile does not state "
            "it"
        )
