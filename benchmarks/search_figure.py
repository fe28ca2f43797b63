#!/usr/bin/env python3
"""The figure of the search benchmark: what each tuner finds, claims and keeps.

    python benchmarks/search_figure.py docs/search-table.md --out docs/search.png

By noise, for the fewest starts; or, of a table with three budgets and more, the regret by starts.
It is drawn from the table's rows, whichever runs they are of.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot as plt
from search_table import Row, read

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REGRET = {"regret, pp": ("regret, points", 1)}
PANELS: Mapping[str, tuple[str, int]] = {
    **REGRET,
    "claim − truth, pp": ("claim − truth, points", 1),
    "any null kept": ("studies that keep what does nothing, %", 100),
}
"""Column of the table → title of its panels, and what its numbers are multiplied by."""


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw landscapes as rows and questions as columns, or regret curves over the budget."""
    starts = sorted({row.starts for row in rows})
    if len(starts) > 2:
        noise = max(row.noise for row in rows)
        chosen = [row for row in rows if row.noise in (0.0, noise)]
        _draw(chosen, path, REGRET, "server starts", lambda row: row.starts,
              f"{noise:g} % noise between starts")  # fmt: skip
    else:
        chosen = [row for row in rows if row.starts == starts[0]]
        _draw(chosen, path, PANELS, "noise between starts, %", lambda row: row.noise,
              f"{starts[0]} starts")  # fmt: skip


def _draw(
    rows: Sequence[Row],
    path: Path,
    panels: Mapping[str, tuple[str, int]],
    axis: str,
    at: Callable[[Row], float],
    title: str,
) -> None:
    landscapes = list(dict.fromkeys(row.landscape for row in rows))
    tuners = list(dict.fromkeys(row.tuner for row in rows))
    colours = dict(zip(tuners, plt.get_cmap("tab20")(np.linspace(0, 1, 20)), strict=False))
    wide = len(panels) > 1
    shape = (len(landscapes), len(panels)) if wide else (1, len(landscapes))
    figure, axes = plt.subplots(
        *shape, figsize=(4 * shape[1], 2.4 * shape[0] + 1.2 * (not wide)), squeeze=False
    )
    places = [(landscape, each) for landscape in landscapes for each in panels.items()]
    for panel, (landscape, (column, (name, factor))) in zip(axes.flat, places, strict=True):
        for tuner in tuners:
            own = [row for row in rows if (row.landscape, row.tuner) == (landscape, tuner)]
            _line(panel, sorted(_points(own, column, factor, at)), tuner, colours[tuner])
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


def _points(
    rows: Iterable[Row], column: str, factor: int, at: Callable[[Row], float]
) -> Iterator[tuple[float, ...]]:
    for row in rows:
        if (found := row.interval(column)) is not None:
            yield (at(row), *(factor * value for value in found))


def _line(
    panel: Axes, points: Sequence[tuple[float, ...]], tuner: str, colour: Sequence[float]
) -> None:
    ours = tuner.startswith("trimtab")
    x, y, low, high = np.array(points).reshape(-1, 4).T
    panel.errorbar(
        x, y, (y - low, high - y), label=tuner, color=tuple(colour), marker="o", markersize=3,
        linewidth=2.2 if ours else 1.0, linestyle="-" if ours else "--",
    )  # fmt: skip


def main() -> int:
    """Draw the figure of a page with the table."""
    parser = argparse.ArgumentParser(description="Draw the search benchmark's table.")
    parser.add_argument("page", type=Path, help="The Markdown file of --out.")
    parser.add_argument("--out", type=Path, required=True, help="A PNG.")
    asked = parser.parse_args()
    rows = read(asked.page.read_text(encoding="utf-8").splitlines())
    if not rows:
        parser.error(f"{asked.page} holds no table of benchmarks/search.py: name its --out file")
    draw(rows, asked.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
