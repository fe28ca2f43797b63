"""The smallest effect that a test finds: what a study can and cannot say."""

from __future__ import annotations

from scipy import special


def detectable(se: float, df: int, tests: int, alpha: float = 0.05, power: float = 0.8) -> float:
    """Return the smallest log effect that the first Holm step finds with the given power.

    The one-sided t test at ``alpha / tests`` rejects above its critical value c; the answer is
    ``se`` times the noncentrality at which a noncentral t exceeds c with probability ``power``.

    Args:
        se: standard error of the estimate, log scale.
        df: degrees of freedom of the residual variance, at least 1.
        tests: size of the family.
        alpha: family-wise error.
        power: probability to find the effect.
    """
    critical = float(special.stdtrit(df, 1.0 - alpha / tests))
    return se * float(special.nctdtrinc(df, 1.0 - power, critical))
