"""The noise of a study's own starts, split into what starts and what windows contribute."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from itertools import groupby
from statistics import harmonic_mean, median
from typing import Final

from trimtab import formatting
from trimtab.model import Phase, Start, VarianceComponents
from trimtab.search.estimates import Analysis, is_usable
from trimtab.search.history import comparable_starts
from trimtab.stats.effects import Noise, are_poolable, best_windows, between_start_sd, window_noise

MOST: Final = 6
"""Windows of a start beyond which more are not worth their time, unless it has more already."""


def study_noise(analysis: Analysis) -> Noise:
    """Return the residual noise of a study's starts on its objective, alike phases pooled."""
    own = [fit.noise for (_, metric), fit in analysis.fits.items()
           if metric == analysis.space.objective]  # fmt: skip
    own.sort(key=lambda noise: -noise.df)
    return reduce(lambda a, b: a.pooled(b) if are_poolable(a, b) else a, own, Noise(0.0, 0))


def variance_components(
    starts: Sequence[Start], metric: str, noise: Noise
) -> VarianceComponents | None:
    """Return the components of ``noise``, the residual noise of the starts' means.

    ``None`` without degrees of freedom between starts and between windows.
    """
    valid = [start for start in comparable_starts(starts) if is_usable(start, metric)]
    rows = {start.number: _shared(start, valid, metric) for start in valid}
    blocks = [
        [rows[member.number] for member in members if len(rows[member.number]) > 1]
        for _, members in groupby(sorted(valid, key=_place), key=_place)
    ]
    windows = window_noise(block for block in blocks if block)
    lengths = [len(row) for row in rows.values() if row]
    if not (noise.df and windows.df and lengths):
        return None
    each = harmonic_mean(lengths)
    s_r, s_w = between_start_sd(noise, windows, each), math.sqrt(windows.ss / windows.df)
    window = median(_seconds(start) for start in valid if start.windows)
    start = median(max(0.0, start.seconds - sum(w.end - w.begin for w in start.windows))
                   for start in valid)  # fmt: skip
    most = max(MOST, *lengths)
    return VarianceComponents(
        between=s_r,
        within=s_w,
        start_df=noise.df,
        window_df=windows.df,
        windows=each,
        start_seconds=start,
        window_seconds=window,
        best=best_windows(s_r, s_w, start, window, most) if window > 0 else most,
    )


def noise_sentence(components: VarianceComponents) -> str:
    """Return the components for a reader, and how many windows they ask for."""
    return (
        f"noise: {formatting.percent(components.between)} between starts ({components.start_df} "
        "degrees "
        f"of freedom), {formatting.percent(components.within)} between windows of a start "
        f"({components.window_df}); with {components.start_seconds:.3g} s for a start and "
        f"{components.window_seconds:.3g} s for a window, "
        f"{formatting.count(components.best, 'window')} for "
        f"each start would be best (there were {components.windows:.3g}): --windows "
        f"{components.best}"
    )


def _place(start: Start) -> tuple[Phase, int]:
    return start.request.phase, start.request.block


def _shared(start: Start, valid: Sequence[Start], metric: str) -> list[float]:
    """Return a start's logs over the windows that all measured starts of its block have."""
    own = [one for one in valid if _place(one) == _place(start)]
    common = set.intersection(*(set(_logs(start, metric)) for start in own))
    logs = _logs(start, metric)
    return [logs[index] for index in sorted(common)]


def _logs(start: Start, metric: str) -> dict[int, float]:
    return {
        window.index: math.log(value)
        for window in start.windows
        if not window.void and (value := window.metrics.get(metric, 0.0)) > 0
    }


def _seconds(start: Start) -> float:
    return median(window.end - window.begin for window in start.windows)
