"""The figure of every start in time order, as a plotly specification."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from trimtab import formatting
from trimtab.model import Phase, Start
from trimtab.report import rows
from trimtab.report.figures import ARM_COLOURS, BLUE, GREY, PURPLE, SKY, VERMILION, Figure
from trimtab.report.study import Study


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
