"""Where there is no interval, no output shows one: text, page, JSON, evidence, events."""

from __future__ import annotations

import io
import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from tests.support.show_samples import STUDY
from trimtab.formatting import NO_INTERVAL
from trimtab.measurement.results import informative_interval
from trimtab.model import Comparison, Effect
from trimtab.report import Study, rows
from trimtab.report.html import render
from trimtab.report.text import render as render_text
from trimtab.report.text import summary
from trimtab.report.tuning_evidence import tuning_evidence
from trimtab.stats.effects import Estimate
from trimtab.study.progress import EventDisplay
from trimtab.study.result_json import as_json

INTERVAL = re.compile(r"\[[+-]?\d+\.\d+, [+-]?\d+\.\d+\]")
"""An interval as every table writes it."""


def bare(effect: Effect) -> Effect:
    """Return an effect as two starts give it: an estimate alone."""
    return replace(effect, low=None, high=None, p=None)


def of(one: Comparison) -> Comparison:
    return replace(one, effect=bare(one.effect))


def few() -> Study:
    found = STUDY.conclusion
    return replace(
        STUDY,
        conclusion=replace(
            found,
            answers=tuple(replace(one, effect=bare(one.effect)) for one in found.answers),
            confirmed=tuple(map(of, found.confirmed)),
            guide=None if found.guide is None else of(found.guide),
        ),
    )


@pytest.mark.parametrize("df", [0, 1, 2])
def test_an_estimate_on_fewer_than_three_degrees_has_no_interval(df: int) -> None:
    assert Estimate(0.1, 0.02, df).interval() is None


def test_three_degrees_have_one() -> None:
    found = Estimate(0.1, 0.02, 3).interval()
    assert found == pytest.approx((0.1 - 3.18245 * 0.02, 0.1 + 3.18245 * 0.02), abs=1e-6)


def test_a_comparison_of_three_pairs_has_none_and_of_four_has() -> None:
    assert informative_interval(0.9, 1.1, 3) is None
    assert informative_interval(0.9, 1.1, 4) == (0.9, 1.1)


def test_text_page_and_summary_show_none() -> None:
    assert INTERVAL.search("\n".join(summary(STUDY)))
    console = Console(file=io.StringIO(), width=160)
    console.print(render_text(few()))
    assert isinstance(console.file, io.StringIO)
    page = re.sub(r"<script.*?</script>", "", render(few()), flags=re.DOTALL)
    for text in (console.file.getvalue(), page, "\n".join(summary(few()))):
        assert INTERVAL.search(text) is None
    assert NO_INTERVAL in " ".join(" ".join(summary(few())).split())


def test_json_has_null_wherever_an_interval_would_stand() -> None:
    ends: list[float | None] = []

    def gather(one: object) -> None:
        if isinstance(one, dict):
            ends.extend(one[key] for key in ("low", "high") if key in one)
            for value in one.values():
                gather(value)
        elif isinstance(one, list | tuple):
            for value in one:
                gather(value)

    gather(as_json(few(), Path("s")))
    assert ends
    assert set(ends) == {None}


def test_evidence_shows_none() -> None:
    for row in rows.verdicts(few()):
        found = tuning_evidence(few(), row.tuning)
        assert INTERVAL.search(found.text()) is None
        assert all(one["effect"]["low"] is None for one in found.data()["comparisons"])


def test_the_event_of_the_leader_has_null() -> None:
    stream = io.StringIO()
    EventDisplay(stream, clock=lambda: 0.0).best(of(STUDY.conclusion.confirmed[0]))
    (line,) = stream.getvalue().splitlines()
    told = json.loads(line)
    assert math.isfinite(told["ratio"])
    assert (told["event"], told["low"], told["high"]) == ("best", None, None)
