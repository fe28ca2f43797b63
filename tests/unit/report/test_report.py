"""Reports: the rows, the tables for a terminal, the figures, and the one-file page."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest
from rich.console import Console

from tests.support.show_samples import ANSWERS, CONCLUSION, OBJECTIVE, PLANS, STUDY
from trimtab import formatting, report
from trimtab.cli import entry_lists
from trimtab.errors import StudyError
from trimtab.model import (
    Check,
    CheckKind,
    CheckOutcome,
    Conclusion,
    Evidence,
    Outcome,
    Phase,
    Proof,
    Settings,
    Verdict,
)
from trimtab.report import figures, html, rows, text
from trimtab.report import figures as timeline
from trimtab.report import study as hardware

EMPTY = replace(
    STUDY,
    conclusion=Conclusion((), (), (), (), None, None, None),
    starts=(),
    left_out=(),
    plans={},
    files={},
    command=None,
)
"""A study that was stopped before anything was measured."""

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&\"'{{ 7*7 }}"


# --- rows ----------------------------------------------------------------------------------


def test_every_answer_has_a_row_and_what_decides_comes_first() -> None:
    found = rows.verdicts(STUDY)
    assert {row.tuning for row in found} == {answer.tuning for answer in ANSWERS}
    assert {row.verdict for row in found} == set(Verdict)
    assert [row.tuning for row in found][:3] == ["dtype", "aot-compile", "engine-multiprocessing"]
    assert [row.verdict for row in found][4:6] == [Verdict.AVOID, Verdict.AVOID]
    assert found[-1].verdict is Verdict.NOT_APPLICABLE


def test_a_row_tells_effect_metric_profiles_and_risk() -> None:
    by_name = {row.tuning: row for row in rows.verdicts(STUDY)}
    dtype = by_name["dtype"]
    assert (dtype.change, dtype.interval, dtype.metric) == ("4.01x", "[3.74, 4.30]", "")
    assert dtype.profiles == ("proven", "max")
    assert dtype.risk is not None
    assert by_name["aot-compile"].metric == "startup"
    assert by_name["thread-binding"].change == "+7.0 %"
    assert by_name["thread-binding"].interval == "[+3.1, +11.0]"
    assert by_name["engine-multiprocessing"].value == "off"
    assert by_name["tcmalloc"].profiles == ("max",)
    assert by_name["tcmalloc"].risk is None
    assert by_name["async-scheduling"].change is None
    assert by_name["async-scheduling"].interval is None


def test_arms_start_with_the_baseline() -> None:
    found = rows.arms(STUDY)
    assert [row.arm for row in found] == ["baseline", "guide", "proven", "max"]
    assert found[0].value == 57.4
    assert found[0].effect is None
    assert {row.unit for row in found} == {"tok/s"}
    assert rows.arms(EMPTY) == ()


def test_the_baseline_counts_its_own_starts_and_the_guide_stands_beside_it() -> None:
    by_arm = {row.arm: row for row in rows.arms(STUDY)}
    assert by_arm["baseline"].starts == 3
    assert by_arm["proven"].starts == 6
    guide = by_arm["guide"]
    assert guide.effect is not None
    assert guide.value / by_arm["baseline"].value == pytest.approx(guide.effect.ratio, rel=1e-3)


def test_a_profile_that_was_not_confirmed_is_in_no_table() -> None:
    rejected = replace(
        STUDY, conclusion=replace(CONCLUSION, proven=(), best=(), confirmed=(), notes=("it fell",))
    )
    assert [row.arm for row in rows.arms(rejected)] == ["baseline", "guide"]
    assert rows.arms(rejected)[0].value == 57.1
    assert rows.arms(rejected)[0].starts == 2  # those of the guide's phase
    assert rows.metrics(rejected)[0] == ("baseline", "guide")
    for shown in (printed(rejected), Page(html.render(rejected)).text):
        assert "promising, not confirmed: output_throughput 4.01x [3.74, 4.30]" in shown
        assert "no profile holds it" in shown
        assert "6.62x" not in shown
        assert "it fell" in shown


def test_the_metrics_of_a_profile_are_those_of_its_candidate() -> None:
    """The arm "max" of the confirmation may end as the proven profile."""
    found = replace(
        CONCLUSION,
        proven=CONCLUSION.best,
        confirmed=(replace(CONCLUSION.confirmed[1], arm="proven"),),
    )
    names, table = rows.metrics(replace(STUDY, conclusion=found))
    assert names == ("baseline", "guide", "proven")
    planned = rows.metrics(STUDY)[1]
    before = next(row for row in planned if row.metric == OBJECTIVE)
    after = next(row for row in table if row.metric == OBJECTIVE)
    assert after.values == (*before.values[:2], before.values[3])


def test_metrics_are_means_over_the_starts_of_the_confirmation() -> None:
    names, table = rows.metrics(STUDY)
    assert names == ("baseline", "guide", "proven", "max")
    by_name = {row.metric: row for row in table}
    confirmed = [
        start.metrics[OBJECTIVE]
        for start in STUDY.starts
        if start.request.arm == "proven" and start.request.phase is Phase.CONFIRM
    ]
    proven = by_name[OBJECTIVE].values[2]
    assert proven is not None
    assert min(confirmed) < proven < max(confirmed)
    assert by_name["ttft_p50"].better == "less"
    assert by_name["startup"].unit == "s"
    assert by_name["error_rate"].values == (0.0, 0.0, 0.0, 0.0)


def test_a_start_made_for_its_answers_is_in_no_mean() -> None:
    last = STUDY.starts[-1]
    request = replace(last.request, phase=Phase.ANSWERS, arm="baseline", candidate=())
    extra = replace(last, number=99, request=request, metrics={OBJECTIVE: 1e9})
    unconfirmed = replace(STUDY, conclusion=replace(CONCLUSION, confirmed=()))
    for study in (STUDY, unconfirmed):
        more = replace(study, starts=(*study.starts, extra))
        assert rows.metrics(more) == rows.metrics(study)
        assert rows.starts(more)[-1].phase == "answers"


def test_starts_without_a_measurement_have_no_value() -> None:
    found = rows.starts(STUDY)
    assert [row.number for row in found] == list(range(1, len(STUDY.starts) + 1))
    lost = [row for row in found if row.value is None]
    assert {row.outcome for row in lost} == {
        outcome.value for outcome in (Outcome.INEFFECTIVE, Outcome.START_FAILED, Outcome.VOID)
    }


def test_the_marks_of_a_start_stand_in_its_row() -> None:
    first, *others = STUDY.starts
    marked = replace(first, marks={"no-steady-state": "it rose", "over-saturated": "it fell"})
    (row, *_) = rows.starts(replace(STUDY, starts=(marked, *others)))
    assert row.detail.endswith("it rose; it fell")


def test_totals_never_show_a_number_for_an_unknown() -> None:
    assert dict(rows.totals(STUDY))["detectable effect"] == "5.8 %"
    assert dict(rows.totals(STUDY))["time"] == "23 min 24 s"
    assert dict(rows.totals(EMPTY))["detectable effect"] == "unknown"


def test_a_command_line_holds_no_secret_and_names_everything_else() -> None:
    plan = replace(
        PLANS["max"],
        settings=Settings(
            ("/bin/vllm", "serve", "a b", "--api-key", "s3cr3t", "--hf-token=s3cr3t"),
            (("HF_TOKEN", "s3cr3t"), ("A", "x y")),
            unset=("B",),
            preload=("/lib/a.so",),
            affinity=(0, 1),
        ),
    )
    line = rows.command_line(plan)
    assert "s3cr3t" not in line
    assert line == (
        "env -u B \\\n"
        'HF_TOKEN="${HF_TOKEN}" \\\n'
        "A='x y' \\\n"
        "LD_PRELOAD=/lib/a.so \\\n"
        "taskset -c 0-1 \\\n"
        "/bin/vllm serve 'a b' \\\n"
        '  --api-key "${API_KEY}" \\\n'
        '  "--hf-token=${HF_TOKEN}"'
    )


# --- text ----------------------------------------------------------------------------------


def printed(study: report.Study, width: int = 140) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    text.show(study, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_text_report_holds_what_the_reader_needs() -> None:
    shown = printed(STUDY)
    flat = " ".join(shown.split())
    for answer in ANSWERS:
        assert answer.tuning in shown
    for verdict in Verdict:
        assert verdict.value in shown
    for part in (
        "recommended: output_throughput 6.62x [6.31, 6.94]",
        "57.4 -> 380 tok/s, 6 starts",
        "4.01x [3.74, 4.30]",
        "+7.0 % [+3.1, +11.0]",
        "2.05x [1.88, 2.23] startup",
        "hccl-buffer not applicable needs an Ascend NPU",
        "guide 58.2 +1.4 % [-3.9, +7.0] 4",
        "33, 30 of them measured",
        "23 min 24 s",
        "detectable effect 5.8 %",
        "study/profile.proven.yaml",
        "Note: thread-binding was tested around the centre",
    ):
        assert part in flat


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal_and_no_verdict_is_cut(width: int) -> None:
    lines = printed(STUDY, width).splitlines()
    assert max(map(len, lines)) <= width
    if width >= 80:
        assert any("not applicable" in line for line in lines)


def test_markup_in_names_is_text() -> None:
    study = replace(
        STUDY, left_out=(("[bold]x[/bold]", Verdict.NOT_APPLICABLE, "[link=http://x]y[/link]"),)
    )
    assert "[bold]x[/bold]" in printed(study)


def test_a_study_without_answers_says_so() -> None:
    shown = printed(EMPTY)
    assert shown.startswith("no gain found: this budget leaves no room to test a tuning")
    assert "What each tuning is worth" not in shown


def test_evidence_shows_refuted_checks_first() -> None:
    check = Check(CheckKind.CONFIG, "dtype", "float32", "dtype")
    absent = Check(CheckKind.ENVIRON, "DEBUG", None, proves=Proof.DELIVERY)
    long = Check(CheckKind.ENVIRON, "LD_PRELOAD", "/usr/lib/libjemalloc.so.2", "jemalloc")
    seen = [
        Evidence(absent, CheckOutcome.YES, "absent", "/proc/1/environ"),
        Evidence(check, CheckOutcome.UNOBSERVABLE, "not reported", "log"),
        Evidence(check, CheckOutcome.NO, "bfloat16", "server_info"),
        Evidence(long, CheckOutcome.NO, "unset", "/proc/4242/environ"),
    ]
    counts = ["effect: 2 no, 1 unobservable, 0 yes", "delivery: 0 no, 0 unobservable, 1 yes"]
    piped, shown = io.StringIO(), io.StringIO()
    entry_lists.show(seen, Console(file=piped))
    assert piped.getvalue().splitlines() == [
        "no\teffect\tdtype\tconfig dtype\tfloat32\tbfloat16\tserver_info",
        "\t".join(
            (
                *("no", "effect", "jemalloc", "environ LD_PRELOAD", "/usr/lib/libjemalloc.so.2"),
                *("unset", "/proc/4242/environ"),
            )
        ),
        "unobservable\teffect\tdtype\tconfig dtype\tfloat32\tnot reported\tlog",
        "yes\tdelivery\tplan\tenviron DEBUG\tabsent\tabsent\t/proc/1/environ",
        *counts,
    ]
    entry_lists.show(seen, Console(file=shown, width=80, force_terminal=True, color_system=None))
    assert shown.getvalue().splitlines() == [
        "no            dtype: config dtype is bfloat16, expected float32 (effect;",
        "              server_info)",
        "no            jemalloc: environ LD_PRELOAD is unset, expected",
        "              /usr/lib/libjemalloc.so.2 (effect; /proc/4242/environ)",
        "unobservable  dtype: config dtype is not reported (effect; log)",
        "yes           plan: environ DEBUG is absent (delivery; /proc/1/environ)",
        *counts,
    ]


# --- figures -------------------------------------------------------------------------------


def test_plotly_accepts_every_figure() -> None:
    for make in (figures.intervals, figures.arms, timeline.draw):
        figure = make(STUDY)
        assert figure is not None
        assert go.Figure(figure).data
        json.dumps(figure, allow_nan=False)
        assert make(EMPTY) is None


def test_the_interval_plot_shows_each_estimate_with_its_interval() -> None:
    figure = figures.intervals(STUDY)
    assert figure is not None
    points: dict[str, tuple[float, float, float]] = {}
    for trace in figure["data"]:
        for x, name, up, down in zip(
            trace["x"],
            trace["y"],
            trace["error_x"]["array"],
            trace["error_x"]["arrayminus"],
            strict=True,
        ):
            points[name] = (x - down, x, x + up)
    estimated = [answer for answer in ANSWERS if answer.effect.ratio is not None]
    assert len(points) == len(estimated)
    assert points["dtype = float32"] == pytest.approx((3.74, 4.012, 4.303))
    assert "aot-compile = off (startup)" in points
    axis = figure["layout"]["xaxis"]
    assert axis["type"] == "log"
    assert 1.0 in axis["tickvals"]
    assert 10 ** axis["range"][0] < 0.36
    assert 10 ** axis["range"][1] > 4.303
    assert [(one["x0"], one["x1"]) for one in figure["layout"]["shapes"]] == [(1, 1)]


def test_the_timeline_has_every_start_once() -> None:
    figure = timeline.draw(STUDY)
    assert figure is not None
    numbers = sorted(number for trace in figure["data"] for number in trace["x"])
    assert numbers == [start.number for start in STUDY.starts]
    lost = next(trace for trace in figure["data"] if trace["name"] == "not measured")
    assert lost["x"] == [start.number for start in STUDY.starts if not start.valid]
    legend = [trace["name"] for trace in figure["data"] if trace.get("showlegend", True)]
    assert len(legend) == len(set(legend))
    assert {note["text"] for note in figure["layout"]["annotations"]} == {
        "lead",
        "screen",
        "confirm",
    }


@pytest.mark.parametrize("phase", Phase)
def test_a_start_of_any_phase_is_drawn(phase: Phase) -> None:
    first = STUDY.starts[0]
    other = replace(first, request=replace(first.request, phase=phase, arm="an-arm"))
    figure = timeline.draw(replace(STUDY, starts=(other, *STUDY.starts[1:])))
    assert figure is not None
    assert go.Figure(figure).data
    assert phase.value in timeline.LEGEND
    assert phase in timeline.PHASES


def test_no_two_phases_look_alike() -> None:
    assert len({drawn.symbol for drawn in timeline.PHASES.values()}) == len(Phase)


def test_a_value_of_zero_is_marked_at_the_bottom_of_the_log_axis() -> None:
    first = replace(STUDY.starts[0], metrics={OBJECTIVE: 0.0})
    figure = timeline.draw(replace(STUDY, starts=(first, *STUDY.starts[1:])))
    assert figure is not None
    lost = next(trace for trace in figure["data"] if trace["name"] == "not measured")
    assert first.number in lost["x"]
    assert min(lost["y"]) > 0


def test_the_whisker_of_an_arm_is_the_interval_of_its_ratio() -> None:
    figure = figures.arms(STUDY)
    assert figure is not None
    bars = figure["data"][0]
    proven = bars["y"].index("proven")
    assert bars["x"][proven] == 379.8
    assert bars["error_x"]["array"][proven] == pytest.approx(379.8 * (6.94 / 6.617 - 1))
    assert bars["error_x"]["arrayminus"][proven] == pytest.approx(379.8 * (1 - 6.31 / 6.617))


# --- the page ------------------------------------------------------------------------------


class Page(HTMLParser):
    """What a browser would find: text outside of scripts, tags, and addresses to load."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.words: list[str] = []
        self.scripts: list[str] = []
        self._inside = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [v for k, v in attrs if k in ("src", "href", "action", "srcset") and v]
        if tag in ("script", "style"):
            self._inside = tag
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == self._inside:
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.scripts[-1] += data
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(html.render(STUDY))


def test_the_page_holds_what_the_reader_needs(page: Page) -> None:
    for answer in ANSWERS:
        assert answer.tuning in page.text
    for verdict in Verdict:
        assert verdict.value in page.text
    for part in (
        "6.62x",
        "recommended: output_throughput 6.62x [6.31, 6.94]",
        "57.4 -> 380 tok/s, 6 starts",
        "trimtab show STUDY",
        "4.01x [3.74, 4.30]",
        "needs an Ascend NPU",
        "/opt/engines/vllm-cpu/bin/vllm serve '/models/tiny qwen3'",
        "AMD EPYC 7763, 2 cores, AVX2",
        "trimtab tune --engine vllm-cpu --workload mixed-small --seed 0",
        "other processes took 31 % of the CPU",
        PLANS["proven"].digest,
    ):
        assert part in page.text
    ends = page.text.index("Against the baseline"), page.text.index("All metrics of these arms")
    assert re.findall("baseline|guide|proven|max", page.text[slice(*ends)])[-4:] == [
        "baseline",
        "guide",
        "proven",
        "max",
    ]


def test_the_page_needs_no_network(page: Page) -> None:
    assert page.loads == ["data:,"]
    assert len(page.scripts) == 4
    assert sum("plotly.js v" in script for script in page.scripts) == 1
    source = html.render(STUDY)
    assert "default-src 'none'" in source


def test_the_page_holds_the_three_figures(page: Page) -> None:
    found: dict[str, Any] = json.loads(next(s for s in page.scripts if s.startswith("{")))
    assert found == {
        "arms": figures.arms(STUDY),
        "intervals": figures.intervals(STUDY),
        "timeline": timeline.draw(STUDY),
    }


def test_nothing_from_outside_becomes_markup(page: Page) -> None:
    answers = tuple(replace(one, tuning=EVIL + one.tuning, reason=EVIL) for one in ANSWERS)
    evil = replace(
        STUDY,
        title=EVIL,
        question={"objective": OBJECTIVE, EVIL: EVIL},
        conclusion=replace(CONCLUSION, answers=answers, notes=(EVIL,)),
        starts=tuple(
            replace(one, detail=EVIL, request=replace(one.request, arm=EVIL))
            for one in STUDY.starts
        ),
        left_out=((EVIL, Verdict.NOT_APPLICABLE, EVIL),),
        plans={EVIL: PLANS["max"]},
        facts={EVIL: EVIL},
        files={EVIL: EVIL},
        command=EVIL,
    )
    parsed = Page(html.render(evil))
    assert parsed.tags.count("script") == page.tags.count("script")
    assert "img" not in parsed.tags
    assert EVIL in "".join(parsed.words)
    assert "49" not in parsed.words[0]
    drawn = next(s for s in parsed.scripts if s.startswith("{"))
    labels = [name for trace in json.loads(drawn)["intervals"]["data"] for name in trace["y"]]
    assert labels
    assert not [name for name in labels if "<" in name]


def test_a_study_without_answers_still_makes_a_page() -> None:
    parsed = Page(html.render(EMPTY))
    assert "no gain found" in parsed.text
    assert "figure-arms" not in "".join(parsed.words)


def test_write_html(tmp_path: Path) -> None:
    path = report.write_html(STUDY, tmp_path / "report.html")
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    with pytest.raises(StudyError, match="cannot be written"):
        report.write_html(STUDY, tmp_path / "absent" / "report.html")


def test_what_is_kept_over_a_stand_in_is_to_be_confirmed_on_hardware() -> None:
    kept, rest = hardware.notes(CONCLUSION)
    assert kept.startswith("to confirm on hardware, of ")
    for name, value in (*CONCLUSION.proven, *CONCLUSION.best):
        assert formatting.setting(name, value) in kept
        assert f"{formatting.setting(name, value)} (" not in rest
    assert "'make test-ascend'" in kept
    assert "max-num-seqs=2 (avoid)" in rest
    assert "dummy" not in rest  # no hardware changes it
    assert "block-size" not in rest  # it was never measured
    (none,) = hardware.notes(replace(CONCLUSION, proven=(), best=(), answers=()))
    assert none.startswith("no tuning is kept")


@pytest.mark.parametrize("phase", Phase)
def test_the_timeline_has_a_sign_for_every_phase(phase: Phase) -> None:
    one = replace(STUDY.starts[0], request=replace(STUDY.starts[0].request, phase=phase))
    assert timeline.draw(replace(STUDY, starts=(one,))) is not None
