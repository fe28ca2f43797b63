"""Which factors are kept: the centre of the screen, and the two profiles to confirm."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trimtab.model import Factor, Outcome, Phase, Space, Start
from trimtab.search.arms import of_phase, without_conflicts
from trimtab.search.crashes import learned
from trimtab.search.failures import failures
from trimtab.search.looks import ENOUGH_DF, SETTLING, Analysis, analyse, metric_of
from trimtab.search.within import within
from trimtab.stats.multiplicity import benjamini_hochberg, holm

ALPHA = 0.05
"""Family-wise error of the verdicts, in each direction."""

RATE = 0.10
"""False discovery rate of what is called probable."""

_LEAD_GAIN = 1.05


@dataclass(frozen=True, slots=True)
class Profiles:
    """The factors of the two profiles; ``best`` holds all of ``proven`` and more.

    ``costly`` are those that were left out because the SLO has no room for what they cost.
    """

    proven: tuple[Factor, ...]
    best: tuple[Factor, ...]
    costly: tuple[Factor, ...] = ()


def centre(space: Space, starts: Sequence[Start]) -> tuple[Factor, ...]:
    """Return the leads around which the rest is screened, largest effect first.

    These are the leads with a gain above 5 % at one-sided p <= 0.05 in the lead phase. When all
    starts of a screen's block failed, the leads do not work together, and only the largest stays.
    """
    kept = without_conflicts(space, winning_leads(space, starts))
    return kept[:1] if _fails_together(starts) else kept


def winning_leads(space: Space, starts: Sequence[Start]) -> list[Factor]:
    """Return the leads that won the lead phase, largest effect first."""
    analysis = analyse(space, of_phase(starts, Phase.LEAD))
    gains = []
    for factor in space.factors:
        for look in analysis.looks(factor) if factor.lead else ():
            p = look.estimate.p_greater
            if p is not None and p <= ALPHA and look.estimate.value > math.log(_LEAD_GAIN):
                gains.append((look.estimate.value, factor))
    return [factor for _, factor in sorted(gains, key=lambda pair: -pair[0])]


def dropped(space: Space, starts: Sequence[Start]) -> tuple[Factor, ...]:
    """Return the winning leads that were left out because they fail together with the centre."""
    if not _fails_together(starts):
        return ()
    return without_conflicts(space, winning_leads(space, starts))[1:]


def _fails_together(starts: Sequence[Start]) -> bool:
    rows: dict[int, list[Outcome]] = {}
    for start in of_phase(starts, Phase.SCREEN):
        rows.setdefault(start.request.block, []).append(start.outcome)
    return any(
        len(ended) >= 4 and not {Outcome.MEASURED, Outcome.VOID} & set(ended)
        for ended in rows.values()
    )


def adjusted(space: Space, starts: Sequence[Start], analysis: Analysis) -> dict[str, float]:
    """Return Holm's p-values of "better" over all factors; one that was not tested has 1."""
    p = {factor.tuning: analysis.p_better(factor) for factor in space.factors}
    return _holm(space, _family(space, starts, p))


def discovered(space: Space, starts: Sequence[Start], analysis: Analysis) -> dict[str, float]:
    """Return the q-values (false discovery rate) of "better" over all factors."""
    p = {factor.tuning: analysis.p_better(factor) for factor in space.factors}
    return benjamini_hochberg(_family(space, starts, p))


def adjusted_worse(space: Space, starts: Sequence[Start], analysis: Analysis) -> dict[str, float]:
    """Return Holm's p-values of "worse", on the factor's metric or on the objective."""
    worse = {}
    for factor in space.factors:
        metrics = {metric_of(space, factor), space.objective}
        p = min(analysis.p_worse(factor, metric) for metric in metrics)
        worse[factor.tuning] = min(1.0, p * len(metrics))
    return _holm(space, _family(space, starts, worse))


def _holm(space: Space, p: dict[str, float]) -> dict[str, float]:
    """Return Holm's p-values over the factors that could be kept.

    The inert one cannot be, so it takes no part; its own is p times the number of factors.
    """
    inert = {factor.tuning for factor in space.factors if factor.dummy}
    found = holm({name: value for name, value in p.items() if name not in inert})
    return {name: found.get(name, min(1.0, len(p) * value)) for name, value in p.items()}


def _family(space: Space, starts: Sequence[Start], p: dict[str, float]) -> dict[str, float]:
    out = failures(space, starts)
    return {name: 1.0 if name in out else value for name, value in p.items()}


def harms(space: Space, analysis: Analysis, factor: Factor) -> bool:
    """Whether a factor judged on another metric lowers the study's objective."""
    if metric_of(space, factor) == space.objective:
        return False
    return any(
        look.estimate.p_less is not None and look.estimate.p_less <= ALPHA
        for look in analysis.looks(factor, space.objective)
    )


def winners(space: Space, starts: Sequence[Start], analysis: Analysis) -> tuple[Factor, ...]:
    """Return the factors whose gain is proven, largest effect first, the dummy never."""
    p = adjusted(space, starts, analysis)
    return by_effect(
        analysis,
        (
            factor
            for factor in space.factors
            if p[factor.tuning] <= ALPHA
            and not factor.dummy
            and not harms(space, analysis, factor)
        ),
    )


def profiles(space: Space, starts: Sequence[Start]) -> Profiles:
    """Return the profiles that lead phase, screen and host settings suggest.

    ``proven`` holds the winners; ``best`` adds every factor that is more likely than not better
    (its estimate is above 1: a stricter threshold costs gain where tunings interact; at one-sided
    p < .25 the regret on L2 was 6.9 points, so it was 3.2: benchmarks/search.py, 24 starts, 2 %
    noise). Of two that conflict, or fail together, the larger effect stays.
    """
    seen = [start for start in starts if start.request.phase in SETTLING]
    space = learned(space, seen)
    analysis = analyse(space, seen)
    out = unusable(space, seen)
    ahead = winners(space, seen, analysis)
    if not ahead and analysis.noise[Phase.LEAD, space.objective].df < ENOUGH_DF:
        # The noise is hardly known yet; the confirmation's starts will tell whether they won.
        ahead = centre(space, seen)
    proven = without_conflicts(space, (f for f in ahead if f.tuning not in out))
    more = (
        factor
        for factor in space.factors
        if factor not in proven
        and not factor.dummy
        and factor.tuning not in out
        and likely(analysis, factor)
        and not harms(space, analysis, factor)
    )
    wanted = without_conflicts(space, (*proven, *by_effect(analysis, more)))
    needed, best = within(analysis, proven), within(analysis, wanted)
    costly = tuple(factor for factor in wanted if factor not in best)
    return Profiles(needed, _smallest(space, analysis, best, needed), costly)


def _smallest(
    space: Space, analysis: Analysis, best: Sequence[Factor], needed: Sequence[Factor]
) -> tuple[Factor, ...]:
    """Return a profile without what is expected to give next to nothing, all together.

    A quarter of the margin is given up for it; where tunings interact the whole margin would cost
    2 points more than it says (L2, benchmarks/search.py).
    """
    spare, dropped = math.log1p(space.margin) / 4, set[Factor]()
    gains = ((analysis.expected(factor) or 0.0, factor) for factor in best if factor not in needed)
    for gain, factor in sorted(gains, key=lambda pair: pair[0]):
        spare -= gain
        if spare < 0:
            break
        dropped.add(factor)
    return tuple(factor for factor in best if factor not in dropped)


def published(space: Space) -> tuple[Factor, ...]:
    """Return what the catalogue expects to gain, for a budget that can test only all together."""
    gains = (factor for factor in space.factors if factor.prior > 0 and not factor.dummy)
    return without_conflicts(space, sorted(gains, key=lambda factor: -factor.prior))


def unusable(space: Space, seen: Sequence[Start]) -> set[str]:
    """Return the tunings that fail, alone or together with the centre."""
    return {*failures(space, seen), *(factor.tuning for factor in dropped(space, seen))}


def likely(analysis: Analysis, factor: Factor, metric: str | None = None) -> bool:
    """Whether a factor is more likely than not better, on its own metric or another."""
    value = analysis.expected(factor, metric)
    return value is not None and value > 0


def by_effect(
    analysis: Analysis, factors: Iterable[Factor], metric: str | None = None
) -> tuple[Factor, ...]:
    """Return factors that have estimates, the largest effect first."""

    def largest(factor: Factor) -> float:
        return max(look.estimate.value for look in analysis.looks(factor, metric))

    return tuple(sorted(factors, key=largest, reverse=True))
