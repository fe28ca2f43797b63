"""What a measurement can tell: the noise of its starts, and the difference that it would find."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import stdev
from typing import Any

from scipy import special

from trimtab import formatting, search
from trimtab.model import VarianceComponents
from trimtab.stats.effects import LEAST_DF
from trimtab.stats.sequential import detectable_difference


def detectable_effect(differences: Sequence[float], pairs: int) -> float | None:
    """Return the smallest relative difference that ``pairs`` find at the noise of these."""
    return _finest(stdev(differences), pairs) if len(differences) > LEAST_DF else None


def comparison_forecast(assumed: float, pairs: int) -> str:
    """Say what a comparison can find, before its first start."""
    found = _finest(math.sqrt(2) * assumed, pairs)  # a difference has the noise of two starts
    return f"{_found(found, pairs)}, {_assuming(assumed)}"


def interval_forecast(assumed: float, starts: int, windows: int | None) -> str:
    """Say which interval so many starts will give, before the first one.

    ``windows`` of each start, at most; ``None`` where their number follows from the noise.
    """
    each = "windows as the noise asks" if windows is None else formatting.count(windows, "window")
    planned = f"{formatting.count(starts, 'start')} of {'' if windows is None else 'up to '}{each}"
    half = _half(assumed, starts, 0.975)
    if half is None:
        return f"{planned}: no interval, which takes --starts 4 or more"
    low, high = (formatting.percent(math.expm1(one)) for one in (-half, half))
    return f"{planned}: expect an interval of {low} to +{high}, {_assuming(assumed)}"


def bound_forecast(assumed: float, starts: int, requests: int) -> str:
    """Say how far below a capacity its bound will lie, before the first start."""
    planned = f"{formatting.count(starts, 'start')} with probes of {requests} requests"
    half = _half(assumed, starts, 0.95)
    if half is None:
        return f"{planned}: no bound, which takes --starts 4 or more"
    below = formatting.percent(-math.expm1(-half))
    return f"{planned}: expect a bound {below} below the estimate, {_assuming(assumed)}"


def _half(sd: float, starts: int, quantile: float) -> float | None:
    """Return what Student's t allows on one side of the mean of some starts, log scale."""
    if starts <= LEAST_DF:
        return None
    return float(special.stdtrit(starts - 1, quantile)) * sd / math.sqrt(starts)


def _assuming(assumed: float) -> str:
    return f"assuming {formatting.percent(assumed)} between starts (--noise says otherwise)"


def noise_sentences(found: Mapping[str, Any], *, verbose: bool = True) -> Iterator[str]:
    """Yield what a finished measurement says of its noise, in sentences.

    ``verbose``: the components of the noise too, and not only what could have been found.
    """
    if verbose and found.get("noise") is not None:
        yield search.noise_sentence(VarianceComponents(**found["noise"]))
    if found.get("detectable_effect") is not None:
        can = _found(found["detectable_effect"], found["most_pairs"])
        yield f"{can}, with the noise as measured"


def _finest(sd: float, pairs: int) -> float | None:
    found = detectable_difference(sd, pairs)
    return None if found is None else math.expm1(found)


def _found(detectable: float | None, pairs: int) -> str:
    many = formatting.count(pairs, "pair")
    size = formatting.percent(detectable)
    return f"{many} find a difference of {size} (80 % power, at the level of the last look)"
