"""The Pareto set: its rows for both reports, and its figures as plotly specifications."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trimtab import formatting
from trimtab.model import Advantage, Comparison, ParetoArm, TuningVerdict, Verdict
from trimtab.report.figures import ARM_COLOURS, GREY, PURPLE, Figure, ratio_axis
from trimtab.report.rows import unit_of
from trimtab.report.study import Study

_PLACES = ("top right", "bottom left", "bottom right", "top left")
"""Where the names of the points stand, in turn, so that neighbours do not cover each other."""

NOTE = (
    "Each interval holds with 95 % by itself. An arm is dominated where another is shown to be at "
    "most the margin worse on every objective and better on one; all such claims hold together "
    "with 95 %. What is not shown to be dominated is in the set."
)
"""What a reader must know of the table."""


@dataclass(frozen=True, slots=True)
class ParetoRow:
    """One arm: its change and interval on each objective, and how it stands.

    The baseline has its value in the place of a change. ``trades`` are sentences about what it
    holds although that is *avoid* on some metric.
    """

    arm: str
    member: bool
    cells: tuple[tuple[str, str], ...]
    standing: str
    advantages: tuple[str, ...]
    trades: tuple[str, ...] = ()


def rows(study: Study) -> tuple[ParetoRow, ...]:
    """Return a row for each arm of a study of several objectives, members of the set first."""
    found = [_row(arm, study) for arm in study.conclusion.pareto]
    return tuple(sorted(found, key=lambda row: not row.member))


def _row(arm: ParetoArm, study: Study) -> ParetoRow:
    by_metric = {each.metric: each for each in arm.comparisons}
    out = f"dominated by {', '.join(arm.dominated_by)}"
    return ParetoRow(
        arm.arm,
        arm.member,
        tuple(_cell(by_metric.get(metric)) for metric in study.objectives),
        "in the set" if arm.member else out,
        tuple(map(advantage, arm.advantages)),
        trades(arm, study.conclusion.answers),
    )


def _cell(comparison: Comparison | None) -> tuple[str, str]:
    if comparison is None:
        return "no estimate", ""
    if comparison.arm == "baseline":
        return f"{formatting.number(comparison.value)} {unit_of(comparison.metric)}".rstrip(), ""
    return formatting.ratio(comparison.effect) or "no estimate", formatting.interval(
        comparison.effect
    ) or ""


def advantage(one: Advantage) -> str:
    """Return where an arm is ahead as a sentence, what is shown apart from what is open."""
    parts = [("shown", one.shown), ("open", one.open)]
    said = "; ".join(f"than {', '.join(arms)} ({word})" for word, arms in parts if arms)
    return f"{one.metric} better {said}"


def trades(arm: ParetoArm, answers: Iterable[TuningVerdict]) -> tuple[str, ...]:
    """Return a sentence for each tuning that an arm holds although it is *avoid* on a metric."""
    held = dict(arm.candidate)
    return tuple(
        f"holds {formatting.setting(each.tuning, each.value)}, which is avoid on {each.metric}"
        for each in answers
        if each.verdict is Verdict.AVOID and held.get(each.tuning) == each.value
    )


def label(arm: ParetoArm, objectives: Sequence[str], answers: Iterable[TuningVerdict] = ()) -> str:
    """Return what a member's profile is, for its file."""
    ahead = ". ".join(map(advantage, arm.advantages)) or "ahead of no other member on any"
    costs = "".join(f". It {said}" for said in trades(arm, answers))
    return (
        f"a member of the Pareto set over {', '.join(objectives)}: {ahead}. Its tunings were "
        f"chosen by their estimates and are not proven one by one{costs}"
    )


def figures(study: Study) -> dict[str, Figure]:
    """Return the objective against each further one, by a name that an element can have."""
    first, *further = study.objectives
    drawn = {f"pareto-{metric}": _figure(study, first, metric) for metric in further}
    return {name: figure for name, figure in drawn.items() if figure is not None}


def _figure(study: Study, first: str, second: str) -> Figure | None:
    points = []
    for arm in study.conclusion.pareto:
        by_metric = {each.metric: each for each in arm.comparisons}
        if first in by_metric and second in by_metric:
            points.append((arm, by_metric[first], by_metric[second]))
    if not points:
        return None
    axes = []
    for title, side in ((first, [p[1] for p in points]), (second, [p[2] for p in points])):
        ends = [
            end
            for comparison in side
            for end in (comparison.effect.low, comparison.effect.ratio, comparison.effect.high)
        ]
        axis = ratio_axis([end for end in ends if end is not None])
        axes.append({**axis, "title": {"text": f"{title}, ratio (more is better)"}})
    return {
        "data": [_point(index, *point) for index, point in enumerate(points)],
        "layout": {
            "height": 460,
            "showlegend": False,
            "xaxis": axes[0],
            "yaxis": {**axes[1], "automargin": True},
            "shapes": [_at_one("x"), _at_one("y")],
            "margin": {"l": 8, "r": 16, "t": 8, "b": 48},
        },
    }


def _point(index: int, arm: ParetoArm, across: Comparison, up: Comparison) -> Figure:
    colour = ARM_COLOURS.get(arm.arm, PURPLE)
    name = html.escape(arm.arm if arm.member else f"({arm.arm})")
    said = "<br>".join(f"{each.metric}: {formatting.effect(each.effect)}" for each in (across, up))
    return {
        "type": "scatter",
        "mode": "markers+text",
        "name": name,
        "x": [across.effect.ratio],
        "y": [up.effect.ratio],
        "error_x": _whiskers(across, colour),
        "error_y": _whiskers(up, colour),
        "text": [name],
        "textposition": _PLACES[index % len(_PLACES)],
        "hovertext": [said],
        "hovertemplate": f"{name}<br>%{{hovertext}}<extra></extra>",
        "marker": {
            "color": colour,
            "symbol": "circle" if arm.member else "circle-open",
            "size": 12,
            "line": {"width": 2, "color": colour},
        },
    }


def _whiskers(comparison: Comparison, colour: str) -> Figure:
    ratio = comparison.effect.ratio or 0.0
    return {
        "type": "data",
        "symmetric": False,
        "array": [(comparison.effect.high or ratio) - ratio],
        "arrayminus": [ratio - (comparison.effect.low or ratio)],
        "thickness": 1.5,
        "width": 5,
        "color": colour,
    }


def _at_one(axis: str) -> Figure:
    other = "y" if axis == "x" else "x"
    ends = {f"{axis}0": 1, f"{axis}1": 1, f"{other}ref": "paper", f"{other}0": 0, f"{other}1": 1}
    line = {"color": GREY, "width": 1.5, "dash": "dash"}
    return {"type": "line", "layer": "below", **ends, "line": line}
