"""How long prompts and answers are: a distribution as a value of a workload, and draws from it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist
from typing import Annotated, Final, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

LONGEST: Final = 1_000_000
_TAIL: Final = 4.0
_Tokens = Annotated[int, Field(ge=1, le=LONGEST)]
_Positive = Annotated[float, Field(gt=0, le=LONGEST, allow_inf_nan=False, strict=False)]
_FORMS = (
    "a number of tokens, a list of at least one, {min, max}, {mean, sd}, {median, sigma} or "
    "{edges, weights}"
)


class Lengths(BaseModel):
    """Lengths in tokens, in one of five forms.

    ``values``: one number or a list, each as often as the others. ``min`` and ``max``: uniform,
    both inclusive. ``mean`` and ``sd``: normal. ``median`` and ``sigma`` (on the natural log):
    log-normal, the usual shape of real traffic. ``edges`` (rising, one more than ``weights``) and
    ``weights``: a histogram, even inside each bin. Normal and log-normal are cut off at ``min``
    (1 if not given) and ``max`` (four ``sd`` or ``sigma`` above the middle).
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    values: Annotated[tuple[_Tokens, ...], Field(strict=False, max_length=1000)] = ()
    min: _Tokens | None = None
    max: _Tokens | None = None
    mean: _Positive | None = None
    sd: _Positive | None = None
    median: _Positive | None = None
    sigma: Annotated[float, Field(gt=0, le=10, allow_inf_nan=False, strict=False)] | None = None
    edges: Annotated[tuple[_Tokens, ...], Field(strict=False, max_length=1001)] = ()
    weights: Annotated[
        tuple[Annotated[float, Field(ge=0, allow_inf_nan=False, strict=False)], ...],
        Field(strict=False, max_length=1000),
    ] = ()

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        normal, log_normal = (self.mean, self.sd), (self.median, self.sigma)
        given = [
            bool(self.values),
            normal != (None, None),
            log_normal != (None, None),
            bool(self.edges or self.weights),
        ]
        if sum(given) > 1:
            raise ValueError(f"must have one form: {_FORMS}")
        if (given[1] and None in normal) or (given[2] and None in log_normal):
            raise ValueError("both numbers of {mean, sd} or {median, sigma} must be given")
        if given[3]:
            self._check_histogram()
        if not any(given) and (self.min is None or self.max is None):
            raise ValueError("min and max must both be given, with min <= max")
        if (given[0] or given[3]) and (self.min, self.max) != (None, None):
            raise ValueError("min and max do not go with a list or a histogram")
        if self.least > self.longest:
            raise ValueError("min and max must both be given, with min <= max")
        return self

    def _check_histogram(self) -> None:
        rising = all(low < high for low, high in zip(self.edges, self.edges[1:], strict=False))
        if len(self.edges) != len(self.weights) + 1 or not rising or sum(self.weights) <= 0:
            raise ValueError(
                "edges must rise and be one more than weights, and a weight be above 0"
            )

    @property
    def least(self) -> int:
        """The smallest length that can be drawn."""
        return min(self.values or self.edges or (self.min or 1,))

    @property
    def longest(self) -> int:
        """The greatest length that can be drawn."""
        if self.values or self.edges:
            return max(self.values or self.edges)
        if self.max is not None:
            return self.max
        if self.mean is not None and self.sd is not None:
            return min(LONGEST, round(self.mean + _TAIL * self.sd))
        if self.median is not None and self.sigma is not None:
            return min(LONGEST, round(self.median * math.exp(_TAIL * self.sigma)))
        return LONGEST


def canonical_form(given: object) -> object:
    """Bring the forms of a file (number, list, mapping) into the one form of the record.

    Raises:
        ValueError: it is none of the forms.
    """
    if isinstance(given, int) and not isinstance(given, bool):
        return {"values": (given,)}
    if isinstance(given, list | tuple) and given:
        return {"values": tuple(given)}
    if isinstance(given, Lengths | Mapping):
        return given
    raise ValueError(f"must be {_FORMS}")


LengthsField = Annotated[Lengths, BeforeValidator(canonical_form)]


def draw(lengths: Lengths, count: int, group: int, rng: Generator) -> list[int]:
    """Draw ``count`` lengths such that every ``group`` of them is nearly the same work.

    A list gives each of its values once in every group as long as the list. Of a distribution,
    each group takes one point of every ``1/group`` of its probability, in random order
    (stratified sampling), so windows differ by the server and not by luck.
    """
    if lengths.values:
        size = len(lengths.values)
        drawn = [rng.permutation(lengths.values) for _ in range(-(-count // size))]
    else:
        strata = (
            (rng.permutation(group) + rng.random(group)) / group for _ in range(-(-count // group))
        )
        drawn = [_quantiles(lengths, points) for points in strata]
    return [int(one) for one in np.concatenate(drawn)[:count]]


def _quantiles(lengths: Lengths, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the lengths at these probabilities (0 to 1) of the distribution."""
    low, high = lengths.least, lengths.longest
    if lengths.edges:
        edges, mass = np.asarray(lengths.edges), np.cumsum((0.0, *lengths.weights))
        at = points * mass[-1]
        bins = (
            np.searchsorted(mass, at, side="right") - 1
        )  # the last of equals: never an empty bin
        inside = (at - mass[bins]) / (mass[bins + 1] - mass[bins])
        spread: NDArray[np.float64] = edges[bins] + inside * (edges[bins + 1] - edges[bins])
        return np.rint(spread)
    if lengths.mean is not None and lengths.sd is not None:
        raw = _normal(points, lengths.mean, lengths.sd, float(low), float(high))
    elif lengths.median is not None and lengths.sigma is not None:
        centre = float(np.log(lengths.median))
        raw = np.exp(
            _normal(points, centre, lengths.sigma, float(np.log(low)), float(np.log(high)))
        )
    else:
        raw = low - 0.5 + points * (high - low + 1)
    rounded: NDArray[np.float64] = np.clip(np.rint(raw), low, high)
    return rounded


def _normal(
    points: NDArray[np.float64], mean: float, sd: float, low: float, high: float
) -> NDArray[np.float64]:
    """Return quantiles of the normal distribution cut off at ``low`` and ``high``."""
    usual = NormalDist(mean, sd)
    first, last = usual.cdf(low), usual.cdf(high)
    inside = np.clip(first + points * (last - first), np.nextafter(0, 1), np.nextafter(1, 0))
    kept: NDArray[np.float64] = np.clip([usual.inv_cdf(one) for one in inside], low, high)
    return kept
