"""The figures of a report as plotly specifications: plain data that plotly.js draws.

Colours are those of Okabe and Ito (2008), told apart with every kind of colour vision; each
meaning also has a shape or a word of its own. What depends on the page's light or dark theme
(text, grid, background) is set by the page.

The figure of every start in time order, as a plotly specification.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from trimtab import formatting
from trimtab.model import Phase, Start, Verdict
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


class _Drawn(NamedTuple):
    """How a phase is drawn: its symbol, and name and colour of its arms without a name."""

    symbol: str
    others: str
    colour: str


PHASES: Final[Mapping[Phase, _Drawn]] = {
    Phase.LEAD: _Drawn("circle", "single leads", PURPLE),
    Phase.SCREEN: _Drawn("diamond", "screened", SKY),
    Phase.FOLLOW: _Drawn("pentagon", "followed up", SKY),
    Phase.REFINE: _Drawn("triangle-up", "refined", BLUE),
    Phase.HOST: _Drawn("hexagon", "host settings", BLUE),
    Phase.CONFIRM: _Drawn("square", "other", PURPLE),
    Phase.ANSWERS: _Drawn("star", "other", PURPLE),
}
"""Every phase: a test holds the table to that."""

LEGEND: Final = ", ".join(
    f"{drawn.symbol.removesuffix('-up')}: {phase.value}" for phase, drawn in PHASES.items()
)
"""The phases' symbols for a reader."""


def draw(study: Study) -> Figure | None:
    """Return every start in time order, coloured by arm, shaped by phase; ``None`` if none.

    A start without a value that a log axis can show is marked at the bottom.
    """
    ordered = sorted(study.starts, key=lambda start: start.number)
    measured = [start for start in ordered if _has_point(start, study.objective)]
    if not measured:
        return None
    groups: dict[tuple[str, Phase], list[Start]] = {}
    for start in measured:
        groups.setdefault((_group(start)[0], start.request.phase), []).append(start)
    floor = min(start.metrics[study.objective] for start in measured) * 0.8
    lost = [start for start in ordered if not _has_point(start, study.objective)]
    unit = rows.unit_of(study.objective)
    named: set[str] = set()
    traces = []
    for (name, _), group in sorted(groups.items(), key=_group_order):
        traces.append(_points(name, group, study.objective, legend=name not in named))
        named.add(name)
    return {
        "data": [*traces, *([_lost(lost, floor)] if lost else [])],
        "layout": {
            "height": 420,
            "xaxis": {
                "title": {"text": "start, in time order"},
                "zeroline": False,
                "range": [ordered[0].number - 0.8, ordered[-1].number + 0.8],
            },
            "yaxis": {
                "title": {"text": f"{study.objective} ({unit}, log scale)"},
                "automargin": True,
                **_value_axis([floor, *(s.metrics[study.objective] for s in measured)]),
            },
            "legend": {"orientation": "h", "y": -0.22, "yanchor": "top", "x": 0},
            "margin": {"l": 8, "r": 16, "t": 28, "b": 48},
            **_phase_bands(ordered),
        },
    }


def _has_point(start: Start, objective: str) -> bool:
    return start.valid and start.metrics.get(objective, 0.0) > 0


def _value_axis(values: Sequence[float]) -> Figure:
    """Return a log axis with ticks at 1, 2, 3 and 5 times the powers of ten."""
    low, high = min(values), max(values)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    marks = [step * 10.0**decade for decade in decades for step in (1, 2, 3, 5)]
    ticks = [mark for mark in marks if low * 0.9 <= mark <= high * 1.15]
    return {
        "type": "log",
        "range": [math.log10(low * 0.88), math.log10(high * 1.15)],
        "tickvals": ticks,
        "ticktext": [f"{mark:g}" for mark in ticks],
    }


def _group(start: Start) -> tuple[str, str]:
    arm = start.request.stem
    if arm in ARM_COLOURS:
        return arm, ARM_COLOURS[arm]
    drawn = PHASES[start.request.phase]
    return drawn.others, drawn.colour


def _group_order(item: tuple[tuple[str, Phase], list[Start]]) -> tuple[int, str, int]:
    (name, phase), _ = item
    known = list(ARM_COLOURS)
    return (known.index(name) if name in known else len(known), name, list(Phase).index(phase))


def _points(name: str, group: Sequence[Start], objective: str, *, legend: bool) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "legendgroup": name,
        "showlegend": legend,
        "x": [start.number for start in group],
        "y": [start.metrics[objective] for start in group],
        "text": [
            html.escape(f"{s.request.arm}, {s.request.phase.value}, block {s.request.block}")
            for s in group
        ],
        "hovertemplate": "start %{x}: %{y:.4g}<br>%{text}<extra></extra>",
        "marker": {
            "color": _group(group[0])[1],
            "symbol": PHASES[group[0].request.phase].symbol,
            "size": 9,
            "opacity": 0.9,
        },
    }


def _lost(lost: Iterable[Start], floor: float) -> Figure:
    shown = list(lost)
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "not measured",
        "x": [start.number for start in shown],
        "y": [floor] * len(shown),
        "text": [
            html.escape(f"{s.request.arm}: {s.outcome.value} {formatting.line(s.detail)[:120]}")
            for s in shown
        ],
        "hovertemplate": "start %{x}<br>%{text}<extra></extra>",
        "marker": {"color": VERMILION, "symbol": "x", "size": 8},
    }


def _phase_bands(ordered: Sequence[Start]) -> Figure:
    """Return shaded bands and names for the phases, by the numbers of their starts."""
    shapes, notes = [], []
    for index, phase in enumerate(Phase):
        numbers = [start.number for start in ordered if start.request.phase is phase]
        if not numbers:
            continue
        ends = {"x0": min(numbers) - 0.5, "x1": max(numbers) + 0.5}
        shade = {"fillcolor": GREY, "opacity": 0.12 if index % 2 else 0.04, "line": {"width": 0}}
        shapes.append(
            {"type": "rect", "yref": "paper", "y0": 0, "y1": 1, "layer": "below", **ends, **shade}
        )
        where = {"x": (ends["x0"] + ends["x1"]) / 2, "y": 1, "yref": "paper", "yanchor": "bottom"}
        notes.append({"text": phase.value, "showarrow": False, **where})
    return {"shapes": shapes, "annotations": notes}
