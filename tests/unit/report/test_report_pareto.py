"""The Pareto set as both reports, the JSON and the profiles show it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import plotly.graph_objects as go
import pytest

from tests.support.show_samples import BEST, CONCLUSION, OBJECTIVE, PROVEN, STUDY
from tests.unit.report.test_report import Page, printed
from trimtab.model import Advantage, Candidate, Comparison, Effect, ParetoArm, candidate
from trimtab.report import html, pareto
from trimtab.study.artifacts import comparisons_of
from trimtab.study.result_json import as_json

LATENCY, END = "ttft_p99", candidate({"dtype": "float32"})


def standing(
    arm: str,
    values: Candidate,
    ratios: tuple[float, float],
    out: tuple[str, ...] = (),
    ahead: tuple[Advantage, ...] = (),
) -> ParetoArm:
    bases = ((OBJECTIVE, 57.4, ratios[0]), (LATENCY, 800.0, ratios[1]))
    return ParetoArm(
        arm,
        values,
        tuple(
            Comparison(arm, metric, base, base * ratio, Effect(ratio, *ends(ratio), 0.01, 6))
            for metric, base, ratio in bases
        ),
        out,
        ahead,
    )


def ends(ratio: float) -> tuple[float, float]:
    return (1.0, 1.0) if ratio == 1 else (0.9 * ratio, 1.1 * ratio)


PARETO = (
    standing("baseline", (), (1.0, 1.0), ("proven", "for-ttft_p99")),
    standing("proven", PROVEN, (6.6, 1.1), ahead=(Advantage(OBJECTIVE, ("for-ttft_p99",), ()),)),
    standing("max", BEST, (6.7, 1.05), ahead=(Advantage(OBJECTIVE, (), ("proven",)),)),
    standing("for-ttft_p99", END, (4.0, 2.0), ahead=(Advantage(LATENCY, ("proven",), ("max",)),)),
)
BOTH = replace(
    STUDY,
    question={**STUDY.question, "objectives": [LATENCY]},
    conclusion=replace(CONCLUSION, pareto=PARETO),
)


def test_rows_begin_with_the_members_and_say_what_is_open() -> None:
    found = pareto.rows(BOTH)
    assert [row.arm for row in found] == ["proven", "max", "for-ttft_p99", "baseline"]
    end = found[2]
    assert end.cells == (("4.00x", "[3.60, 4.40]"), ("2.00x", "[1.80, 2.20]"))
    assert end.standing == "in the set"
    assert end.advantages == ("ttft_p99 better than proven (shown); than max (open)",)
    assert found[3].standing == "dominated by proven, for-ttft_p99"
    assert found[3].cells == (("57.4 tok/s", ""), ("800 ms", ""))
    assert pareto.rows(STUDY) == ()


def test_an_arm_without_an_estimate_says_so() -> None:
    one = replace(PARETO[1], comparisons=PARETO[1].comparisons[:1])
    study = replace(BOTH, conclusion=replace(CONCLUSION, pareto=(one,)))
    assert pareto.rows(study)[0].cells[1] == ("no estimate", "")
    assert pareto.figures(study) == {}


def test_the_figure_has_every_arm_with_both_intervals() -> None:
    (name,) = pareto.figures(BOTH)
    assert name == "pareto-ttft_p99"
    figure = pareto.figures(BOTH)[name]
    assert go.Figure(figure).data
    json.dumps(figure, allow_nan=False)
    by_name = {trace["name"]: trace for trace in figure["data"]}
    assert by_name.keys() == {"(baseline)", "proven", "max", "for-ttft_p99"}
    end = by_name["for-ttft_p99"]
    assert (end["x"], end["y"]) == ([4.0], [2.0])
    assert end["error_y"]["array"] == pytest.approx([0.2])
    assert end["error_x"]["arrayminus"] == pytest.approx([0.4])
    assert by_name["(baseline)"]["marker"]["symbol"] == "circle-open"
    assert end["marker"]["symbol"] == "circle"
    assert pareto.figures(STUDY) == {}


def test_each_further_objective_has_a_figure() -> None:
    three = replace(BOTH, question={**STUDY.question, "objectives": [LATENCY, "startup"]})
    assert list(pareto.figures(three)) == ["pareto-ttft_p99"]  # startup has no estimate here


def test_both_reports_show_the_set_and_only_where_there_is_one() -> None:
    page = Page(html.render(BOTH))
    for shown in (" ".join(printed(BOTH, 200).split()), page.text):
        assert "dominated by proven, for-ttft_p99" in shown
        assert "ttft_p99 better than proven (shown); than max (open)" in shown
        assert "all such claims hold together with 95 %" in shown
    assert 'id="figure-pareto-ttft_p99"' in html.render(BOTH)
    assert "Pareto" not in printed(STUDY)
    assert "areto" not in Page(html.render(STUDY)).text


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    assert max(map(len, printed(BOTH, width).splitlines())) <= width


def test_the_json_has_the_set_where_several_objectives_were_asked() -> None:
    found = as_json(BOTH, Path("s"))
    end = next(one for one in found["pareto"] if one["arm"] == "for-ttft_p99")
    assert end["candidate"] == {"dtype": "float32"}
    (ahead,) = json.loads(json.dumps(end["advantages"]))
    assert ahead == {"metric": LATENCY, "shown": ["proven"], "open": ["max"]}
    assert [one["effect"]["ratio"] for one in end["comparisons"]] == [4.0, 2.0]
    assert {one["arm"] for one in found["pareto"] if not one["member"]} == {"baseline"}
    assert found["profiles"] == {
        name: f"s/profile.{name}.yaml" for name in ("proven", "max", "for-ttft_p99")
    }
    empty = as_json(replace(BOTH, conclusion=CONCLUSION), Path("s"))
    assert empty["pareto"] == []
    assert "pareto" not in as_json(STUDY, Path("s"))


def test_a_members_profile_is_labelled_and_carries_its_comparisons() -> None:
    end = PARETO[3]
    assert comparisons_of(BOTH.conclusion, "for-ttft_p99") == end.comparisons
    assert [one.arm for one in comparisons_of(BOTH.conclusion, "max")] == ["max"]
    said = pareto.label(end, (OBJECTIVE, LATENCY))
    assert said.startswith("a member of the Pareto set over output_throughput, ttft_p99: ttft_p99")
    assert "not proven one by one" in said
    assert "ahead of no other member" in pareto.label(PARETO[0], (OBJECTIVE, LATENCY))
