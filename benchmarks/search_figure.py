"""One figure of the search benchmark: what each tuner finds, claims and keeps, by noise."""

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

PANELS: Mapping[str, Callable[[Result], float]] = {
    "regret, points": lambda one: 100 * one.regret,
    "claim − truth, points": lambda one: 100 * (one.claimed - one.true),
    "studies that keep a useless tuning, %": lambda one: 100.0 * (one.false > 0),
}
"""Title → the number of one study; its mean is drawn."""


def draw(cells: Cells, path: Path) -> None:
    """Draw landscapes as rows and questions as columns, for the smallest number of starts."""
    fewest = min(case.starts for case in cells)
    chosen = {case: found for case, found in cells.items() if case.starts == fewest}
    landscapes = list(dict.fromkeys(case.landscape for case in chosen))
    tuners = list(dict.fromkeys(one.tuner for found in chosen.values() for one in found))
    colours = dict(zip(tuners, plt.get_cmap("tab20")(np.linspace(0, 1, 20)), strict=False))
    figure, axes = plt.subplots(
        len(landscapes), len(PANELS), figsize=(12, 2.4 * len(landscapes)), squeeze=False,
        sharex=True,
    )  # fmt: skip
    for row, landscape in zip(axes, landscapes, strict=True):
        own = {case: found for case, found in chosen.items() if case.landscape == landscape}
        for panel, (title, of) in zip(row, PANELS.items(), strict=True):
            for tuner in tuners:
                _line(panel, own, tuner, of, colours[tuner])
            panel.set_title(f"{landscape}: {title}", fontsize=9)
            panel.tick_params(labelsize=8)
            panel.grid(alpha=0.3)
    for panel in axes[-1]:
        panel.set_xlabel("noise between starts, %", fontsize=9)
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="lower center", ncol=4, fontsize=8)
    figure.suptitle(f"{fewest} starts; means with 95 % intervals", fontsize=10)
    figure.tight_layout(rect=(0, 0.9 / (2.4 * len(landscapes)), 1, 0.99))
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _line(
    panel: Axes,
    own: Cells,
    tuner: str,
    of: Callable[[Result], float],
    colour: Sequence[float],
) -> None:
    points = []
    for case, found in sorted(own.items(), key=lambda pair: pair[0].noise):
        values = [of(one) for one in found if one.tuner == tuner]
        values = [value for value in values if not math.isnan(value)]
        if len(values) > 1:
            half = 1.96 * float(np.std(values, ddof=1)) / math.sqrt(len(values))
            points.append((100 * case.noise, float(np.mean(values)), half))
    ours = tuner.startswith("trimtab")
    x, y, half_widths = zip(*points, strict=True) if points else ((), (), ())
    panel.errorbar(
        x, y, half_widths, label=tuner, color=tuple(colour), marker="o", markersize=3,
        linewidth=2.2 if ours else 1.0, linestyle="-" if ours else "--",
    )  # fmt: skip
