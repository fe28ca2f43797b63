"""Whether two noises are alike, so that their degrees of freedom may be taken together."""

from __future__ import annotations

from scipy import special

from trimtab.stats.effects import Noise


def variance_p(one: Noise, other: Noise) -> float:
    """Return the two-sided p-value of the F test that two residual variances are equal.

    It is 1 where one of them has no degree of freedom: nothing then speaks against it.
    """
    if one.df == 0 or other.df == 0 or one.ss == other.ss == 0.0:
        return 1.0
    if one.ss == 0.0 or other.ss == 0.0:
        return 0.0
    f = (one.ss / one.df) / (other.ss / other.df)
    tails = special.fdtr(one.df, other.df, f), special.fdtrc(one.df, other.df, f)
    return min(1.0, 2.0 * float(min(tails)))


def alike(one: Noise, other: Noise, alpha: float = 0.01) -> bool:
    """Whether two noises may be pooled: the F test does not reject at ``alpha``.

    Pooling a quiet phase with a noisy one would make intervals of the noisy one too narrow.
    """
    return variance_p(one, other) >= alpha
