"""Which factors are kept: the centre of the screen, and the two profiles to confirm."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from trimtab.model import Factor, Outcome, Phase, Space, Start
from trimtab.search.arms import compatible_factors, starts_of_phase
from trimtab.search.estimates import ALPHA, Analysis, metric_of
from trimtab.search.failures import failing_pairs
from trimtab.search.response_surface import response_surface
from trimtab.search.slo_limits import SloLimits
from trimtab.stats.multiplicity import benjamini_hochberg, holm, step_down

RATE = 0.10
"""False discovery rate of what is called likely."""

_LEAD_GAIN = 1.05
_PARETO_ARMS = 2


@dataclass(frozen=True, slots=True)
class Profiles:
    """The factors of the two profiles; ``best`` holds all of ``proven`` and more.

    ``costly`` are those that were left out because the SLO has no room for what they cost.
    """

    proven: tuple[Factor, ...]
    best: tuple[Factor, ...]
    costly: tuple[Factor, ...] = ()


def winning_leads(analysis: Analysis) -> tuple[Factor, ...]:
    """Return the leads that won a lead phase, largest effect first."""
    gains = []
    for factor in analysis.space.factors:
        for look in analysis.looks(factor) if factor.lead else ():
            p = look.estimate.p_greater
            if p is not None and p <= ALPHA and look.estimate.value > math.log(_LEAD_GAIN):
                gains.append((look.estimate.value, factor))
    return tuple(factor for _, factor in sorted(gains, key=lambda pair: -pair[0]))


def fails_together(starts: Sequence[Start]) -> bool:
    """Whether all starts of a screen's block failed."""
    rows: dict[int, list[Outcome]] = {}
    for start in starts_of_phase(starts, Phase.SCREEN):
        rows.setdefault(start.request.block, []).append(start.outcome)
    return any(
        len(ended) >= 4 and not {Outcome.MEASURED, Outcome.VOID} & set(ended)
        for ended in rows.values()
    )


def adjusted_p_better(analysis: Analysis, failed: Collection[str]) -> dict[str, float]:
    """Return adjusted p-values of "better" over all factors; one that was not tested has 1."""
    p = {factor.tuning: analysis.p_better(factor) for factor in analysis.space.factors}
    return _adjusted(analysis, failed, p)


def q_values(analysis: Analysis, failed: Collection[str]) -> dict[str, float]:
    """Return the q-values (false discovery rate) of "better" over all factors."""
    p = {factor.tuning: analysis.p_better(factor) for factor in analysis.space.factors}
    return benjamini_hochberg(_family(failed, p))


def adjusted_p_worse(analysis: Analysis, failed: Collection[str]) -> dict[str, float]:
    """Return adjusted p-values of "worse", on the factor's metric or on the objective."""
    worse = {}
    for factor in analysis.space.factors:
        metrics = {metric_of(analysis.space, factor), analysis.space.objective}
        p = min(analysis.p_worse(factor, metric) for metric in metrics)
        worse[factor.tuning] = min(1.0, p * len(metrics))
    return _adjusted(analysis, failed, worse)


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
        or space.conflicts
        or failing_pairs(analysis.starts)
    ):
        return None
    return analysis.noise[Phase.SCREEN, space.objective].df or None


def _adjusted(
    analysis: Analysis, failed: Collection[str], p: dict[str, float]
) -> dict[str, float]:
    """Return the p-values, adjusted for the factors that could be kept.

    By Holm's method, or where all tests share their noise by the largest of them
    (:func:`trimtab.stats.multiplicity.step_down`). The inert one cannot be kept, so it takes no
    part; its own is p times the number of factors.
    """
    p, df = _family(failed, p), _df_of_all(analysis)
    inert = {factor.tuning for factor in analysis.space.factors if factor.dummy}
    able = {name: value for name, value in p.items() if name not in inert}
    found = holm(able) if df is None else step_down(able, df)
    return {name: found.get(name, min(1.0, len(p) * value)) for name, value in p.items()}


def _family(failed: Collection[str], p: dict[str, float]) -> dict[str, float]:
    return {name: 1.0 if name in failed else value for name, value in p.items()}


def winners(analysis: Analysis, p_better: Mapping[str, float]) -> tuple[Factor, ...]:
    """Return the factors whose gain is proven, largest effect first, the dummy never."""
    return analysis.sort_by_effect(
        factor
        for factor in analysis.space.factors
        if p_better[factor.tuning] <= ALPHA and not factor.dummy and not analysis.harms(factor)
    )


def profiles(
    analysis: Analysis, ahead: Sequence[Factor], unusable: Collection[str], limits: SloLimits
) -> Profiles:
    """Return the profiles that an analysis suggests.

    ``proven`` holds the factors ahead; ``best`` adds what the best combination to be expected has
    besides (:mod:`trimtab.search.response_surface`). A tuning that the screen does not speak of on
    the objective joins when it is more likely than not better. Of two that conflict the one with
    the larger effect stays.

    Args:
        analysis: of the phases that verdicts rest on.
        ahead: the factors that won, largest effect first.
        unusable: tunings that fail.
        limits: what the same starts say of the SLO.
    """
    space = analysis.space
    proven = compatible_factors(space, (f for f in ahead if f.tuning not in unusable))
    more = [
        factor
        for factor in space.factors
        if factor not in proven
        and not factor.dummy
        and factor.tuning not in unusable
        and not analysis.harms(factor)
    ]
    wish = compatible_factors(space, (*proven, *_added(analysis, proven, more)))
    needed, best = limits.fitting(analysis, proven), limits.fitting(analysis, wish)
    return Profiles(needed, best, tuple(factor for factor in wish if factor not in best))


def _added(
    analysis: Analysis, proven: Sequence[Factor], more: Sequence[Factor]
) -> tuple[Factor, ...]:
    """Return what ``best`` has of ``more`` beside ``proven``, the largest effect first."""
    space = analysis.space
    surface = response_surface(analysis)
    known = () if surface is None else surface.factors
    able = [factor for factor in more if metric_of(space, factor) == space.objective]
    joint = () if surface is None else surface.best(space, proven, able)
    alone = (
        factor
        for factor in more
        if (factor not in able or factor not in known) and analysis.is_likely_gain(factor)
    )
    return analysis.sort_by_effect((*joint, *alone))


def pareto_arm_count(space: Space) -> int:
    """Return for how many further arms of the confirmation money is to be kept."""
    return _PARETO_ARMS if space.objectives else 0


def published_factors(space: Space) -> tuple[Factor, ...]:
    """Return what the catalogue expects to gain, for a budget that can test only all together.

    Where it expects nothing of any, as of one that a user named, that is all there is.
    """
    able = [factor for factor in space.factors if not factor.dummy]
    gains = [factor for factor in able if factor.prior > 0] or able
    return compatible_factors(space, sorted(gains, key=lambda factor: -factor.prior))
