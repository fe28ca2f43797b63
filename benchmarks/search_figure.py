"""The figure of the search benchmark: what each tuner finds, claims and keeps.

By noise, for the fewest starts; or, of a run with three budgets and more, the regret by starts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot as plt

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from search import Case, Result

    Cells = Mapping[Case, Sequence[Result]]

REGRET: Mapping[str, Callable[[Result], float]] = {
    "regret, points": lambda one: 100 * one.regret,
}
PANELS: Mapping[str, Callable[[Result], float]] = {
    **REGRET,
    "claim − truth, points": lambda one: 100 * (one.claimed - one.true),
    "studies that keep what does nothing, %": lambda one: 100.0 * (one.null > 0),
}
"""Title → the number of one study; its mean is drawn."""


def draw(cells: Cells, path: Path) -> None:
    """Draw landscapes as rows and questions as columns, or regret curves over the budget."""
    starts = sorted({case.starts for case in cells})
    if len(starts) > 2:
        noise = max(case.noise for case in cells)
        chosen = {case: found for case, found in cells.items() if case.noise in (0.0, noise)}
        _draw(chosen, path, REGRET, "server starts", lambda case: case.starts,
              f"{100 * noise:g} % noise between starts")  # fmt: skip
    else:
        chosen = {case: found for case, found in cells.items() if case.starts == starts[0]}
        _draw(chosen, path, PANELS, "noise between starts, %", lambda case: 100 * case.noise,
              f"{starts[0]} starts")  # fmt: skip


def _draw(
    cells: Cells,
    path: Path,
    panels: Mapping[str, Callable[[Result], float]],
    axis: str,
    at: Callable[[Case], float],
    title: str,
) -> None:
    landscapes = list(dict.fromkeys(case.landscape for case in cells))
    tuners = list(dict.fromkeys(one.tuner for found in cells.values() for one in found))
    colours = dict(zip(tuners, plt.get_cmap("tab20")(np.linspace(0, 1, 20)), strict=False))
    wide = len(panels) > 1
    shape = (len(landscapes), len(panels)) if wide else (1, len(landscapes))
    figure, axes = plt.subplots(
        *shape, figsize=(4 * shape[1], 2.4 * shape[0] + 1.2 * (not wide)), squeeze=False
    )
    places = [(landscape, each) for landscape in landscapes for each in panels.items()]
    for panel, (landscape, (name, of)) in zip(axes.flat, places, strict=True):
        own = {case: found for case, found in cells.items() if case.landscape == landscape}
        for tuner in tuners:
            _line(panel, own, tuner, of, at, colours[tuner])
        panel.set_title(f"{landscape}: {name}", fontsize=9)
        panel.tick_params(labelsize=8)
        panel.grid(alpha=0.3)
    for panel in axes[-1]:
        panel.set_xlabel(axis, fontsize=9)
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="lower center", ncol=4, fontsize=8)
    figure.suptitle(f"{title}; means with 95 % intervals", fontsize=10)
    figure.tight_layout(rect=(0, 0.9 / figure.get_figheight(), 1, 0.99))
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _line(
    panel: Axes,
    own: Cells,
    tuner: str,
    of: Callable[[Result], float],
    at: Callable[[Case], float],
    colour: Sequence[float],
) -> None:
    points = []
    for case, found in sorted(own.items(), key=lambda pair: at(pair[0])):
        values = [of(one) for one in found if one.tuner == tuner]
        values = [value for value in values if not math.isnan(value)]
        if len(values) > 1:
            half = 1.96 * float(np.std(values, ddof=1)) / math.sqrt(len(values))
            points.append((at(case), float(np.mean(values)), half))
    ours = tuner.startswith("trimtab")
    x, y, half_widths = zip(*points, strict=True) if points else ((), (), ())
    panel.errorbar(
        x, y, half_widths, label=tuner, color=tuple(colour), marker="o", markersize=3,
        linewidth=2.2 if ours else 1.0, linestyle="-" if ours else "--",
    )  # fmt: skip
