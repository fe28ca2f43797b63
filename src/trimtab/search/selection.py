"""Which factors are kept: the centre of the screen, and the two profiles to confirm."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trimtab.model import Factor, Outcome, Phase, Space, Start
from trimtab.search.estimates import ENOUGH_DF, SETTLING, Analysis, analyse, metric_of
from trimtab.search.failures import failures, with_failing_pairs, with_suspect_pairs
from trimtab.search.history import compatible_factors, memoize, starts_of_phase
from trimtab.search.response_surface import response_surface
from trimtab.search.slo_limits import factors_within_limits
from trimtab.stats.multiplicity import benjamini_hochberg, holm, step_down

ALPHA = 0.05
"""Family-wise error of the verdicts, in each direction."""

RATE = 0.10
"""False discovery rate of what is called likely."""

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
    kept = compatible_factors(space, winning_leads(space, starts))
    return kept[:1] if _fails_together(starts) else kept


@memoize
def winning_leads(space: Space, starts: Sequence[Start]) -> list[Factor]:
    """Return the leads that won the lead phase, largest effect first."""
    analysis = analyse(space, starts_of_phase(starts, Phase.LEAD))
    gains = []
    for factor in space.factors:
        for look in analysis.looks(factor) if factor.lead else ():
            p = look.estimate.p_greater
            if p is not None and p <= ALPHA and look.estimate.value > math.log(_LEAD_GAIN):
                gains.append((look.estimate.value, factor))
    return [factor for _, factor in sorted(gains, key=lambda pair: -pair[0])]


def dropped_leads(space: Space, starts: Sequence[Start]) -> tuple[Factor, ...]:
    """Return the winning leads that were left out because they fail together with the centre."""
    if not _fails_together(starts):
        return ()
    return compatible_factors(space, winning_leads(space, starts))[1:]


def _fails_together(starts: Sequence[Start]) -> bool:
    rows: dict[int, list[Outcome]] = {}
    for start in starts_of_phase(starts, Phase.SCREEN):
        rows.setdefault(start.request.block, []).append(start.outcome)
    return any(
        len(ended) >= 4 and not {Outcome.MEASURED, Outcome.VOID} & set(ended)
        for ended in rows.values()
    )


def adjusted_p_better(
    space: Space, starts: Sequence[Start], analysis: Analysis
) -> dict[str, float]:
    """Return adjusted p-values of "better" over all factors; one that was not tested has 1."""
    p = {factor.tuning: analysis.p_better(factor) for factor in space.factors}
    return _adjusted(space, starts, p, _df_of_all(analysis))


def q_values(space: Space, starts: Sequence[Start], analysis: Analysis) -> dict[str, float]:
    """Return the q-values (false discovery rate) of "better" over all factors."""
    p = {factor.tuning: analysis.p_better(factor) for factor in space.factors}
    return benjamini_hochberg(_family(space, starts, p))


def adjusted_p_worse(
    space: Space, starts: Sequence[Start], analysis: Analysis
) -> dict[str, float]:
    """Return adjusted p-values of "worse", on the factor's metric or on the objective."""
    worse = {}
    for factor in space.factors:
        metrics = {metric_of(space, factor), space.objective}
        p = min(analysis.p_worse(factor, metric) for metric in metrics)
        worse[factor.tuning] = min(1.0, p * len(metrics))
    return _adjusted(space, starts, worse, _df_of_all(analysis))


def _df_of_all(analysis: Analysis) -> int | None:
    """Return the degrees of freedom of the noise that all tests share, ``None`` if they do not.

    They do where the tunings are columns of one screen, on one metric, and no two of them are kept
    apart, so that their estimates are independent. What two stages say together is no t statistic.
    """
    space = analysis.space
    metrics = {metric_of(space, factor) for factor in space.factors} | {space.objective}
    plain = not any(factor.lead or factor.of_host for factor in space.factors)
    followed = starts_of_phase(analysis.starts, Phase.FOLLOW)
    if (
        len(metrics) > 1
        or not plain
        or followed
        or with_failing_pairs(space, analysis.starts).conflicts
    ):
        return None
    return analysis.noise[Phase.SCREEN, space.objective].df or None


def _adjusted(
    space: Space, starts: Sequence[Start], p: dict[str, float], df: int | None
) -> dict[str, float]:
    """Return the p-values, adjusted for the factors that could be kept.

    By Holm's method, or where all tests share their noise by the largest of them
    (:func:`trimtab.stats.multiplicity.step_down`). The inert one cannot be kept, so it takes no
    part; its own is p times the number of factors.
    """
    p = _family(space, starts, p)
    inert = {factor.tuning for factor in space.factors if factor.dummy}
    able = {name: value for name, value in p.items() if name not in inert}
    found = holm(able) if df is None else step_down(able, df)
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
    p = adjusted_p_better(space, starts, analysis)
    return sort_by_effect(
        analysis,
        (
            factor
            for factor in space.factors
            if p[factor.tuning] <= ALPHA
            and not factor.dummy
            and not harms(space, analysis, factor)
        ),
    )


@memoize
def profiles(space: Space, starts: Sequence[Start]) -> Profiles:
    """Return the profiles that lead phase, screen and host settings suggest.

    ``proven`` holds the winners; ``best`` adds what the best combination to be expected has
    besides (:mod:`trimtab.search.response_surface`). A tuning that the screen does not speak of on
    the objective joins when it is more likely than not better. Of two that conflict, or fail
    together, the larger effect stays.
    """
    seen = [start for start in starts if start.request.phase in SETTLING]
    space = with_suspect_pairs(with_failing_pairs(space, seen), seen)
    analysis = analyse(space, seen)
    out = unusable_tunings(space, seen)
    ahead = winners(space, seen, analysis)
    if not ahead and analysis.noise[Phase.LEAD, space.objective].df < ENOUGH_DF:
        # The noise is hardly known yet; the confirmation's starts will tell whether they won.
        ahead = centre(space, seen)
    proven = compatible_factors(space, (f for f in ahead if f.tuning not in out))
    more = [
        factor
        for factor in space.factors
        if factor not in proven
        and not factor.dummy
        and factor.tuning not in out
        and not harms(space, analysis, factor)
    ]
    wanted = compatible_factors(space, (*proven, *_added(space, analysis, proven, more)))
    needed, best = factors_within_limits(analysis, proven), factors_within_limits(analysis, wanted)
    return Profiles(needed, best, tuple(factor for factor in wanted if factor not in best))


def _added(
    space: Space, analysis: Analysis, proven: Sequence[Factor], more: Sequence[Factor]
) -> tuple[Factor, ...]:
    """Return what ``best`` has of ``more`` beside ``proven``, the largest effect first."""
    surface = response_surface(analysis)
    known = () if surface is None else surface.factors
    able = [factor for factor in more if metric_of(space, factor) == space.objective]
    joint = () if surface is None else surface.best(space, proven, able)
    alone = (
        factor
        for factor in more
        if (factor not in able or factor not in known) and is_likely_gain(analysis, factor)
    )
    return sort_by_effect(analysis, (*joint, *alone))


def published_factors(space: Space) -> tuple[Factor, ...]:
    """Return what the catalogue expects to gain, for a budget that can test only all together.

    Where it expects nothing of any, as of one that a user named, that is all there is.
    """
    able = [factor for factor in space.factors if not factor.dummy]
    gains = [factor for factor in able if factor.prior > 0] or able
    return compatible_factors(space, sorted(gains, key=lambda factor: -factor.prior))


def unusable_tunings(space: Space, seen: Sequence[Start]) -> set[str]:
    """Return the tunings that fail, alone or together with the centre."""
    return {*failures(space, seen), *(factor.tuning for factor in dropped_leads(space, seen))}


def is_likely_gain(analysis: Analysis, factor: Factor, metric: str | None = None) -> bool:
    """Whether a factor is more likely than not better, on its own metric or another."""
    value = analysis.expected(factor, metric)
    return value is not None and value > 0


def sort_by_effect(
    analysis: Analysis, factors: Iterable[Factor], metric: str | None = None
) -> tuple[Factor, ...]:
    """Return factors that have estimates, the largest effect first."""

    def largest(factor: Factor) -> float:
        return max((look.estimate.value for look in analysis.looks(factor, metric)), default=0.0)

    return tuple(sorted(factors, key=largest, reverse=True))
