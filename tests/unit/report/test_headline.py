"""The headline never contradicts the tables under it, and its next command can be pasted."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.show_samples import ANSWERS, CONCLUSION, STUDY
from tests.support.simulated import machine_of
from trimtab import search
from trimtab.cli.app import app
from trimtab.model import (
    BASELINE,
    Advice,
    Comparison,
    Effect,
    Outcome,
    Start,
    StudyStatus,
    TuningVerdict,
    Verdict,
)
from trimtab.report import Study, rows
from trimtab.report.headline import headline, is_gain
from trimtab.report.html import render
from trimtab.report.text import LINES, WIDTH, summary
from trimtab.report.text import render as render_text
from trimtab.study import artifacts
from trimtab.study.executors.simulated import open_simulated_session
from trimtab.study.options import Options
from trimtab.study.result_json import as_json
from trimtab.study.session import Session

GAINS = (Verdict.ADOPT, Verdict.LIKELY)
CRASHES = """
name: half
summary: half of the space crashes
tunings:
  a: {effect: 0.08}
  b: {effect: 0.05}
  c: {effect: -0.05}
  d: {}
crashes: [{when: [a, b]}, {when: [d]}]
"""
COSTLY = """
name: costly
summary: every gain costs latency
tunings:
  a: {effect: 0.09, latency: -0.20}
  b: {effect: 0.06, latency: -0.10}
  c: {}
  d: {}
"""


def played(landscape: str, seed: int, budget: int, slo: str | None = None) -> Session:
    return open_simulated_session(
        Options(engine="simulated", landscape=landscape, seed=seed, budget=str(budget), slo=slo)
    )


def made(session: Session) -> list[Start]:
    """Run a study block by block."""
    starts: list[Start] = []
    while asked := search.PhasedStrategy().ask(search.History.of(session.space, starts)):
        starts += [
            machine_of(session).start(one, len(starts) + number)
            for number, one in enumerate(asked, start=1)
        ]
        assert len(starts) < 500
    return starts


def reported(session: Session, starts: list[Start]) -> Study:
    found = search.conclude(search.History.of(session.space, starts))
    return artifacts.study_of(session, starts, found, Path("my study"), {"report": "r.html"})


def check(study: Study) -> StudyStatus:
    """Fail where the headline and the tables under it do not agree."""
    found = headline(study)
    table = {row.tuning: row for row in rows.verdicts(study)}
    arms = {row.arm: row for row in rows.arms(study)}
    shown = [row for row in arms.values() if row.effect is not None and is_gain(row.effect)]
    assert found.text.startswith(found.status.value)
    if found.status is StudyStatus.NO_GAIN:
        assert not [row for row in table.values() if row.verdict in GAINS]
        assert not shown
        assert found.effect is None
    elif found.tuning:
        row = table[found.tuning]
        assert found.effect == row.effect
        assert row.verdict in GAINS
        assert row.change is not None
        assert row.change in found.text
    else:
        assert found.effect is not None
        assert is_gain(found.effect)
        assert found.effect in totals(study, found.arm, found.metric)
        assert found.value is not None
        assert found.value > 0
    if found.status is StudyStatus.RECOMMENDED:
        assert found.arm == "proven"
        assert found.effect is not None
        assert found.effect.low is not None
        assert found.effect.low > 1
        assert study.conclusion.proven
        assert not study.question.get("slo") or "proven" in study.conclusion.within_slo
        assert all(table[name].verdict is Verdict.ADOPT for name, _ in study.conclusion.proven)
    if any(row.verdict is Verdict.ADOPT for row in table.values()):
        assert found.status is not StudyStatus.NO_GAIN
    lines = summary(study)
    assert len(lines) <= LINES
    assert max(map(len, lines)) <= WIDTH
    assert found.text.partition(": ")[2].split()[0] in lines[0] or found.text in " ".join(
        " ".join(lines).split()
    )
    accepted(found.next)
    assert shlex.split(pasted(lines)) == shlex.split(found.next)
    return found.status


def pasted(lines: list[str]) -> str:
    """Return the next command as a reader copies it, with its continued lines."""
    at = next(number for number, line in enumerate(lines) if line.startswith("Next:"))
    text = lines[at].removeprefix("Next:")
    while text.endswith("\\"):
        at += 1
        text = text.removesuffix("\\") + lines[at]
    return text


def totals(study: Study, arm: str, metric: str) -> list[Effect]:
    """Return what the tables of arms and of the Pareto set show for an arm."""
    of_arms = [row.effect for row in rows.arms(study) if row.arm == arm and row.effect]
    conclusion = study.conclusion
    known = [*conclusion.confirmed, *(c for one in conclusion.pareto for c in one.comparisons)]
    other = [one.effect for one in known if (one.arm, one.metric) == (arm, metric)]
    return [*(of_arms if metric == study.objective else ()), *other]


def accepted(command: str) -> None:
    """Fail where a command line is not one that trimtab takes."""
    import typer.main

    words = shlex.split(command)
    assert words[0] == "trimtab"
    group = typer.main.get_command(app)
    name, *rest = words[1:]
    group.commands[name].make_context(name, rest)  # type: ignore[attr-defined]


@pytest.mark.parametrize("budget", [9, 24, 30, 48])
@pytest.mark.parametrize("landscape", ["L0", "L1", "L2", "L3", "L5", "L6"])
def test_headline_and_tables_agree(landscape: str, budget: int) -> None:
    for seed in range(3):
        session = played(landscape, seed, budget)
        starts = made(session)
        for end in {len(starts), len(starts) // 2, 1}:  # an unfinished study has one too
            check(reported(session, starts[:end]))


@pytest.mark.parametrize("budget", [12, 24, 48])
@pytest.mark.parametrize(("text", "slo"), [(CRASHES, None), (COSTLY, "ttft_p99<=105ms")])
def test_they_agree_where_starts_fail_and_where_gains_break_the_slo(
    text: str, slo: str | None, budget: int, tmp_path: Path
) -> None:
    path = tmp_path / "landscape.yaml"
    path.write_text(text)
    for seed in range(5):
        session = played(str(path), seed, budget, slo)
        check(reported(session, made(session)))


def test_every_status_is_met_by_simulated_studies() -> None:
    found = {
        check(reported(session, made(session)))
        for session in (played("L0", 1, 24), played("L1", 3, 30), played("L1", 3, 48))
    }
    assert found == set(StudyStatus)


def test_terminal_report_and_json_open_with_the_same_words() -> None:
    text = headline(STUDY).text
    assert text == "recommended: output_throughput 6.62x [6.31, 6.94]"
    assert summary(STUDY)[0] == f"Result:   {text}"
    assert text in render(STUDY)
    told = as_json(STUDY, Path("s"))["headline"]
    assert (told["status"], told["text"]) == ("recommended", text)
    assert told["effect"] == pytest.approx(5.617, abs=0.001)
    assert told["low"] < told["effect"] < told["high"]
    assert render_text(STUDY) is not None


def comparison(arm: str, low: float | None, p: float | None = 0.001) -> Comparison:
    high = None if low is None else 1.6
    return Comparison(arm, STUDY.objective, 1391.0, 1938.0, Effect(1.394, low, high, p, 4))


def study(**changed: Any) -> Study:
    advice = Advice(
        show="trimtab show s",
        use="trimtab run --profile p",
        confirm=(("max", "trimtab compare b m"), ("proven", "trimtab compare b p")),
        confirm_cost="8 to 24 starts",
        larger="trimtab tune --like s --budget 60",
        larger_cost="60 starts",
    )
    empty: dict[str, Any] = dict.fromkeys(("answers", "proven", "best", "confirmed"), ())
    empty["guide"] = None
    conclusion = replace(
        CONCLUSION,
        **(empty | changed),
    )
    return replace(STUDY, conclusion=conclusion, advice=advice)


def test_a_max_with_a_gain_is_promising_and_the_comparison_is_next() -> None:
    found = headline(study(best=(("a", 1),), confirmed=(comparison("max", 1.243),)))
    assert found.status is StudyStatus.PROMISING
    assert found.text == "promising, not confirmed: output_throughput +39.4 % [+24.3, +60.0]"
    assert (found.next, found.needs) == ("trimtab compare b m", "8 to 24 starts")


def test_a_gain_without_an_interval_counts_by_its_p_value() -> None:
    few = study(best=(("a", 1),), confirmed=(comparison("max", None),))
    assert headline(few).text.endswith("+39.4 % (no interval: fewer than 3 degrees of freedom)")
    none = study(best=(("a", 1),), confirmed=(comparison("max", None, 0.2),))
    assert headline(none).status is StudyStatus.NO_GAIN
    unknown = study(proven=(("a", 1),), confirmed=(comparison("proven", None),))
    assert headline(unknown).status is StudyStatus.PROMISING


def test_a_proven_profile_is_recommended_with_the_command_that_starts_it() -> None:
    found = headline(study(proven=(("a", 1),), confirmed=(comparison("proven", 1.243),)))
    assert (found.status, found.next) == (StudyStatus.RECOMMENDED, "trimtab run --profile p")
    assert (
        found.detail == "the proven profile against the baseline: 1,391 -> 1,938 tok/s, 4 starts"
    )


def test_a_profile_that_may_break_the_slo_is_not_recommended() -> None:
    whole = study(proven=(("a", 1),), confirmed=(comparison("proven", 1.243),))
    given = replace(whole, question={**whole.question, "slo": "ttft_p99<=500ms"})
    found = headline(given)
    assert found.status is StudyStatus.PROMISING
    assert found.detail.endswith("; the SLO is not shown to hold")
    kept = replace(given.conclusion, within_slo=("proven",))
    assert headline(replace(given, conclusion=kept)).status is StudyStatus.RECOMMENDED


def test_what_fresh_starts_did_not_repeat_is_said() -> None:
    adopted = replace(ANSWERS[0], effect=Effect(1.09, 1.05, 1.13, 0.001, 12))
    chosen = ((adopted.tuning, adopted.value),)
    flat = Comparison("proven", STUDY.objective, 100.0, 99.0, Effect(0.99, 0.95, 1.03, 0.7, 8))
    found = headline(study(answers=(adopted,), proven=chosen, best=chosen, confirmed=(flat,)))
    assert found.status is StudyStatus.PROMISING
    assert "but fresh starts of proven gave -1.0 % [-5.0, +3.0]" in found.detail
    dropped = headline(study(answers=(adopted,)))
    assert dropped.next == "trimtab tune --like s --budget 60"
    assert "but no profile holds it: see --why dtype" in dropped.detail


def test_a_likely_tuning_of_no_measured_total_is_promising() -> None:
    likely = replace(ANSWERS[4], effect=Effect(1.03, 1.0, 1.06, 0.02, 16))
    chosen = ((likely.tuning, likely.value), ("other", 1))
    found = headline(study(answers=(likely,), best=chosen))
    assert found.text == "promising, not confirmed: output_throughput +3.0 % [+0.0, +6.0]"
    assert "the total of max (2 tunings) was not measured" in found.detail
    assert found.next == "trimtab compare b m"


def test_a_guide_with_a_gain_is_not_hidden() -> None:
    found = headline(study(guide=comparison("guide", 1.1)))
    assert (found.status, found.arm) == (StudyStatus.PROMISING, "guide")
    assert found.next == "trimtab tune --like s --budget 60"


def test_no_gain_says_what_could_have_been_seen() -> None:
    found = headline(study(detectable=0.037))
    assert found.text == (
        "no gain found: this budget could detect output_throughput +3.7 % or more"
    )
    assert found.next == "trimtab tune --like s --budget 60"
    seen = headline(study(detectable=0.011))
    assert seen.next == "trimtab show s"  # a larger budget would find only what does not matter


def ended(start: Start, outcome: Outcome, said: str) -> Start:
    return replace(start, outcome=outcome, metrics={}, windows=(), detail=said)


CRASHING = """
name: crashing
summary: whatever is on crashes
tunings: {a: {}, b: {}}
crashes: [{when: [a]}, {when: [b]}]
"""


def test_where_starts_fail_the_headline_says_how_many(tmp_path: Path) -> None:
    path = tmp_path / "landscape.yaml"
    path.write_text(CRASHING)
    session = played(str(path), 0, 12)
    starts = made(session)
    stock = [one.request.candidate == BASELINE for one in starts]

    def said(changed: list[Start]) -> tuple[str, str, str]:
        study = reported(session, changed)
        assert check(study) is StudyStatus.NO_GAIN
        found = headline(study)
        return found.text.removeprefix("no gain found: "), found.detail, found.next

    show = "trimtab show 'my study'"
    dead = [ended(one, Outcome.START_FAILED, "no memory") for one in starts]
    arms = [one if own else other for own, one, other in zip(stock, starts, dead, strict=True)]
    base = [other if own else one for own, one, other in zip(stock, starts, dead, strict=True)]
    void = [ended(one, Outcome.VOID, "the machine was busy") for one in starts]
    all_, own, tuned = len(starts), sum(stock), len(starts) - sum(stock)
    first = stock.index(False) + 1
    assert said(arms) == (
        f"{tuned} of {all_} starts failed",
        f"start {first}: no memory",
        f"{show} --why a",
    )
    for failing in (base, dead):
        assert said(failing) == (
            f"the baseline failed in {own} of {own} starts",
            "start 1: no memory",
            show,
        )
    assert said(void) == (
        f"{all_} of {all_} starts measured nothing, because all their windows were void",
        "start 1: the machine was busy",
        show,
    )
    assert said(starts[:1])[:2] == ("this budget leaves no room to test a tuning", "")


def test_failures_stand_beside_what_could_have_been_seen(tmp_path: Path) -> None:
    path = tmp_path / "landscape.yaml"
    path.write_text(CRASHING)
    session = played(str(path), 0, 24)
    starts = made(session)
    failed = sum(one.outcome is Outcome.START_FAILED for one in starts)
    study = reported(session, starts)
    assert failed
    seen = headline(replace(study, conclusion=replace(study.conclusion, detectable=0.3)))
    assert seen.text == (
        "no gain found: this budget could detect output_throughput +30.0 % or more"
    )
    assert seen.detail == f"{failed} of {len(starts)} starts failed"


def test_one_failure_beside_a_measured_arm_leaves_the_larger_budget_open(tmp_path: Path) -> None:
    path = tmp_path / "landscape.yaml"
    path.write_text(CRASHING.partition("crashes: [")[0])
    session = played(str(path), 0, 12)
    starts = made(session)[:3]
    study = reported(session, [*starts[:2], ended(starts[2], Outcome.LOAD_FAILED, "gone")])
    found = headline(replace(study, conclusion=replace(study.conclusion, detectable=None)))
    assert found.text == "no gain found: 1 of 3 starts failed"
    assert found.next.startswith("trimtab tune --like 'my study' --budget ")


@pytest.mark.parametrize("many", [0, 1, 3, 40])
def test_the_summary_counts_the_tunings_that_find_no_room(many: int) -> None:
    chosen = tuple((f"tuning-{number}", 1) for number in range(many))
    answers = tuple(
        TuningVerdict(
            name, 1, Verdict.ADOPT, Effect(1.05, 1.01, 1.09, 0.01, 9), "output_throughput", ""
        )
        for name, _ in chosen
    )
    found = study(
        answers=answers,
        proven=chosen or (("a", 1),),
        confirmed=(comparison("proven", 1.2),),
    )
    long = replace(found, advice=replace(found.advice, use="trimtab run " + "--profile x" * 30))
    for one in (found, long):
        lines = summary(one)
        assert len(lines) <= LINES
        assert shlex.split(pasted(lines)) == shlex.split(one.advice.use)
    shown = sum("tuning-" in line for line in summary(found))
    more = next((line.split() for line in summary(found) if "more" in line), ["and", "0"])
    assert shown + int(more[1]) == many
