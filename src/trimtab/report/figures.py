"""The figures of a report as plotly specifications: plain data that plotly.js draws.

Colours are those of Okabe and Ito (2008), told apart with every kind of colour vision; each
meaning also has a shape or a word of its own. What depends on the page's light or dark theme
(text, grid, background) is set by the page.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Any

from trimtab import formatting
from trimtab.model import Verdict
from trimtab.report import rows
from trimtab.report.study import Study

Figure = dict[str, Any]

BLUE, SKY, GREEN = "#0072B2", "#56B4E9", "#009E73"
ORANGE, VERMILION, PURPLE, GREY = "#E69F00", "#D55E00", "#CC79A7", "#8A8F98"

_VERDICTS = {
    Verdict.ADOPT: (GREEN, "circle"),
    Verdict.AVOID: (VERMILION, "x"),
    Verdict.LIKELY: (GREEN, "circle-open"),
    Verdict.INCONCLUSIVE: (ORANGE, "diamond-open"),
    Verdict.NO_EFFECT: (SKY, "square-open"),
}
_OTHER_VERDICT = (GREY, "circle-open")
ARM_COLOURS = {"baseline": GREY, "guide": ORANGE, "proven": GREEN, "max": BLUE}

_FINE = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2, 1.3, 1.4, 1.6, 1.8, 2.0)
_COARSE = (
    0.01,
    0.03,
    0.1,
    0.2,
    0.33,
    0.5,
    0.7,
    1.0,
    1.5,
    2.0,
    3.0,
    4.0,
    6.0,
    8.0,
    12.0,
    20.0,
    50.0,
)


def intervals(study: Study) -> Figure | None:
    """Return effect and 95 % interval of every tuning with an estimate, on a log axis.

    ``None`` if there is no estimate.
    """
    shown = [row for row in rows.verdicts(study) if row.effect.ratio is not None]
    if not shown:
        return None
    shown.sort(key=lambda row: row.effect.ratio or 0.0)
    names = [_label(row) for row in shown]
    ends = [end for row in shown for end in (row.effect.low, row.effect.ratio, row.effect.high)]
    axis = ratio_axis([end for end in ends if end is not None])
    return {
        "data": [_interval_trace(v, shown) for v in Verdict if any(r.verdict is v for r in shown)],
        "layout": {
            "height": 90 + 34 * len(shown),
            "xaxis": {**axis, "title": {"text": "ratio, 95 % interval (right is better)"}},
            "yaxis": {"categoryorder": "array", "categoryarray": names, "automargin": True},
            "shapes": [_line_at_one()],
            "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
            "margin": {"l": 8, "r": 16, "t": 36, "b": 48},
        },
    }


def _interval_trace(verdict: Verdict, shown: Sequence[rows.VerdictRow]) -> Figure:
    own = [row for row in shown if row.verdict is verdict]
    colour, symbol = _VERDICTS.get(verdict, _OTHER_VERDICT)
    ratios = [row.effect.ratio or 0.0 for row in own]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": verdict.value,
        "x": ratios,
        "y": [_label(row) for row in own],
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [(row.effect.high or r) - r for row, r in zip(own, ratios, strict=True)],
            "arrayminus": [r - (row.effect.low or r) for row, r in zip(own, ratios, strict=True)],
            "thickness": 2,
            "width": 5,
            "color": colour,
        },
        "marker": {
            "color": colour,
            "symbol": symbol,
            "size": 10,
            "line": {"width": 2, "color": colour},
        },
        "text": [f"{formatting.effect(row.effect)}, {row.effect.starts} starts" for row in own],
        "hovertemplate": "%{y}<br>%{text}<extra></extra>",
    }


def _label(row: rows.VerdictRow) -> str:
    suffix = f" ({row.metric})" if row.metric else ""
    own = row.tuning if "=" in row.tuning else f"{row.tuning} = {row.value}"
    return html.escape(f"{own}{suffix}")


def _line_at_one() -> Figure:
    ends = {"x0": 1, "x1": 1, "yref": "paper", "y0": 0, "y1": 1}
    return {"type": "line", **ends, "line": {"color": GREY, "width": 1.5, "dash": "dash"}}


def ratio_axis(values: Sequence[float]) -> Figure:
    """Return a log axis of ratios that holds ``values``, with ticks that people count in."""
    low, high = min([*values, 0.95]), max([*values, 1.05])
    marks = _FINE if high / low < 2.5 else _COARSE
    ticks = [mark for mark in marks if low * 0.9 <= mark <= high * 1.1]
    return {
        "type": "log",
        "range": [math.log10(low * 0.94), math.log10(high * 1.06)],
        "tickvals": ticks,
        "ticktext": [f"{mark:g}x" for mark in ticks],
    }


def arms(study: Study) -> Figure | None:
    """Return baseline, guide and profiles as bars; ``None`` before any comparison.

    The whisker is the interval of the ratio, laid on the baseline's value.
    """
    shown = rows.arms(study)[::-1]
    if not shown:
        return None
    values = [row.value for row in shown]
    highs = [_reach(row, high=True) for row in shown]
    return {
        "data": [
            {
                "type": "bar",
                "orientation": "h",
                "x": values,
                "y": [html.escape(row.arm) for row in shown],
                "marker": {"color": [ARM_COLOURS.get(row.arm, PURPLE) for row in shown]},
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "array": [h - v for h, v in zip(highs, values, strict=True)],
                    "arrayminus": [row.value - _reach(row, high=False) for row in shown],
                    "thickness": 2,
                    "width": 6,
                    "color": "#7b8494",
                },
                "hovertemplate": "%{y}: %{x:.4g}<extra></extra>",
            }
        ],
        "layout": {
            "height": 70 + 46 * len(shown),
            "showlegend": False,
            "bargap": 0.35,
            "xaxis": {
                "range": [0, max(highs) * 1.05],
                "title": {"text": f"{study.objective} ({shown[0].unit})"},
            },
            "yaxis": {"automargin": True},
            "margin": {"l": 8, "r": 16, "t": 8, "b": 48},
        },
    }


def _reach(row: rows.ArmRow, *, high: bool) -> float:
    """Return where the arm's value would be at one end of the interval of its ratio."""
    effect = row.effect
    end = None if effect is None else (effect.high if high else effect.low)
    if effect is None or effect.ratio is None or end is None:
        return row.value
    return row.value * end / effect.ratio
