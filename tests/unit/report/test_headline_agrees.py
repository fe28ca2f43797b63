"""Over many simulated studies headline, tables, profiles, report and JSON say the same."""

from __future__ import annotations

import html as markup
import io
import math
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.support.simulated import machine_of
from trimtab import formatting, search
from trimtab.model import BASELINE, Conclusion, Effect, Start, StudyStatus, Verdict
from trimtab.report import Study, pareto, rows
from trimtab.report.headline import headline, is_gain
from trimtab.report.html import render
from trimtab.report.text import render as render_text
from trimtab.report.text import summary
from trimtab.study import archive, artifacts, result_json
from trimtab.study import folder as study
from trimtab.study.executors import simulated
from trimtab.study.ledger import Ledger
from trimtab.study.progress import SilentDisplay
from trimtab.study.session import Session, header_of
from trimtab.study.signals import Stop
from trimtab.study.tuning import run_study

GAINS = {Verdict.ADOPT, Verdict.LIKELY}
NEVER_IN_A_PROFILE = {Verdict.AVOID, Verdict.START_FAILED, Verdict.INEFFECTIVE}
SLO = "ttft_p99<=110ms"

ONE_GAIN = """\
name: one-gain
summary: one tuning gives 10 %
tunings:
  dummy: {dummy: true}
  gain: {effect: 0.095, prior: 0.03}
  null-1: {}
  null-2: {}
  null-3: {}
noise: {start: 0.01, window: 0.005}
"""
COSTLY = """\
name: costly
summary: gains that cost latency
tunings:
  dummy: {dummy: true}
  fast-a: {effect: 0.08, latency: 0.25, prior: 0.03}
  fast-b: {effect: 0.05, latency: 0.12, prior: 0.02}
  clean: {effect: 0.04, prior: 0.01}
  null-1: {}
  null-2: {}
  null-3: {}
noise: {start: 0.015, window: 0.01}
"""
CRASHING = """\
name: crashing
summary: pairs that crash, about half of the space
tunings:
  dummy: {dummy: true}
  gain-8: {effect: 0.077, prior: 0.03}
  gain-5: {effect: 0.0488, prior: 0.02}
  gain-3: {effect: 0.0296, prior: 0.02}
  null-1: {}
  null-2: {}
  null-3: {}
crashes:
- when: [gain-8, null-1]
- when: [gain-5, gain-3]
- when: [null-2, null-3]
noise: {start: 0.02, window: 0.01}
"""
NOISY = ONE_GAIN.replace("one-gain", "noisy").replace("0.01,", "0.08,")
TRADED = """\
name: traded
summary: gains in throughput that cost latency, and the other way round
tunings:
  both: {effect: 0.06, prior: 0.03}
  fast: {effect: 0.10, latency: 0.25, prior: 0.03}
  quick: {effect: -0.08, latency: -0.3}
  null-1: {}
  null-2: {}
noise: {start: 0.01, window: 0.005}
"""
QUICK = TRADED.replace("effect: 0.06,", "").replace("effect: 0.10, latency: 0.25,", "")
WRITTEN = {
    "one-gain": ONE_GAIN,
    "costly": COSTLY,
    "crashing": CRASHING,
    "noisy": NOISY,
    "traded": TRADED,
    "quick": QUICK,
}

CASES = [
    *(("L0", budget, 0, None) for budget in (8, 12, 40)),
    *(("one-gain", budget, 0, None) for budget in (8, 24, 48)),
    *(("costly", budget, seed, SLO) for budget in (12, 24) for seed in (0, 1)),
    ("costly", 48, 0, SLO),
    *(("crashing", budget, 0, None) for budget in (12, 24, 40)),
    *(("noisy", budget, 0, None) for budget in (12, 40)),
    *(("L2", budget, 0, None) for budget in (12, 30)),
]
Case = tuple[Any, ...]
Play = Callable[..., "Played"]


@dataclass(frozen=True, slots=True)
class Played:
    session: Session
    starts: tuple[Start, ...]
    found: Conclusion
    shown: Study
    folder: Path


def played(
    folder: Path,
    landscape: str,
    budget: int,
    seed: int,
    slo: str | None,
    only: tuple[str, ...] = (),
    objective: str | None = None,
) -> Played:
    name = landscape
    if landscape in WRITTEN:
        path = folder / f"{landscape}.yaml"
        path.write_text(WRITTEN[landscape])
        name = str(path)
    asked: dict[str, Any] = {"engine": simulated.ENGINE, "landscape": name, "seed": seed}
    asked |= {"budget": str(budget), "slo": slo, "only": only}
    if objective is not None:
        asked["objective"] = objective
    session, ledger, place = study.create(asked, folder / "study", lambda _: None)
    with ledger:
        display, stop = SilentDisplay(), Stop()
        executor = study.executor_of(session, ledger, place, display, stop)
        found = run_study(
            session.space,
            search.PhasedStrategy(),
            ledger,
            executor,
            display,
            stop,
            noise=session.noise,
        )
        starts = tuple(ledger.starts())
    shown = artifacts.study_of(session, starts, found, place, {})
    return Played(session, starts, found, shown, place)


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> Play:
    """Return what plays a case, once for all tests of this module."""
    known: dict[Case, Played] = {}

    def of(*case: Any) -> Played:
        if case not in known:
            known[case] = played(tmp_path_factory.mktemp("case"), *case)
        return known[case]

    return of


def totals(found: Conclusion) -> Iterator[Effect]:
    """Every effect of an arm that a table shows."""
    yield from (one.effect for one in found.confirmed)
    yield from (one.effect for standing in found.pareto for one in standing.comparisons)
    if found.guide is not None:
        yield found.guide.effect


@pytest.mark.parametrize(("landscape", "budget", "seed", "slo"), CASES)
def test_the_headline_is_what_the_tables_say(
    play: Play, landscape: str, budget: int, seed: int, slo: str | None
) -> None:
    one = play(landscape, budget, seed, slo)
    said, found = headline(one.shown), one.found
    verdicts = {row.tuning: row for row in rows.verdicts(one.shown)}
    arms = {row.arm: row for row in rows.arms(one.shown)}
    if said.status is StudyStatus.RECOMMENDED:
        assert found.proven != BASELINE
        assert (said.arm, said.effect) == ("proven", arms["proven"].effect)
        assert said.effect is not None
        assert said.effect.low is not None
        assert said.effect.low > 1
        assert slo is None or "proven" in found.within_slo
    elif said.status is StudyStatus.PROMISING:
        assert said.effect is not None
        assert said.effect.ratio is not None
        assert said.effect.ratio > 1
        assert said.needs
        if said.tuning:
            assert said.effect == verdicts[said.tuning].effect
            assert verdicts[said.tuning].verdict in GAINS
        else:
            assert said.effect in list(totals(found))
            assert arms[said.arm].effect == said.effect
    else:
        assert said.effect is None
        assert [name for name, row in verdicts.items() if row.verdict in GAINS] == []
        lows = [row.effect.low for row in arms.values() if row.effect and row.effect.low]
        assert [low for low in lows if low > 1] == []
    if said.effect is not None:
        assert said.text == f"{said.status.value}: {said.metric} {formatting.effect(said.effect)}"
    assert shlex.split(said.next)[:1] == ["trimtab"]


@pytest.mark.parametrize(("landscape", "budget", "seed", "slo"), CASES)
def test_a_profile_holds_what_ran_and_what_the_table_does_not_advise_against(
    play: Play, landscape: str, budget: int, seed: int, slo: str | None
) -> None:
    one = play(landscape, budget, seed, slo)
    found = one.found
    verdicts = {row.tuning: row for row in rows.verdicts(one.shown)}
    ran = {start.request.candidate for start in one.starts if start.valid}
    machine = machine_of(one.session)
    for name, chosen in artifacts.profiles_of(found).items():
        if chosen == BASELINE:
            continue
        assert chosen in ran, name
        assert NEVER_IN_A_PROFILE.isdisjoint(verdicts[tuning].verdict for tuning, _ in chosen)
        own = [tuning for tuning, _ in chosen]
        assert all(name in verdicts[tuning].profiles for tuning in own)
        if slo is not None and name in found.within_slo:
            cost = sum(machine.landscape.tunings[tuning].latency for tuning in own)
            assert 100 * math.exp(cost - machine.truth(chosen)) <= 110, f"{name} breaks the SLO"
    for tuning, _ in found.proven:
        assert verdicts[tuning].verdict is Verdict.ADOPT
    held = {tuning for chosen in artifacts.profiles_of(found).values() for tuning, _ in chosen}
    for tuning, row in verdicts.items():
        if row.verdict in GAINS and tuning not in held:
            assert "no profile holds it: " in row.reason
        if row.verdict is Verdict.AVOID and row.effect.ratio and row.effect.ratio > 1:
            assert row.reason.startswith("it breaks the SLO (ttft_p99 ")


@pytest.mark.parametrize(
    ("landscape", "budget", "slo", "status"),
    [
        ("L0", 12, None, StudyStatus.NO_GAIN),
        ("one-gain", 24, None, StudyStatus.RECOMMENDED),
        ("L2", 30, None, StudyStatus.PROMISING),
        ("costly", 24, SLO, StudyStatus.RECOMMENDED),
    ],
)
def test_every_output_has_the_same_first_sentence_and_header(
    play: Play, landscape: str, budget: int, slo: str | None, status: StudyStatus
) -> None:
    one = play(landscape, budget, 0, slo)
    said, measured = headline(one.shown), header_of(one.session)
    assert said.status is status
    page = render(one.shown)
    title = re.search(r"<h1>(.*?)</h1>", page, re.DOTALL)
    assert title is not None
    assert markup.unescape(title[1]) == said.text
    for name, text in measured.rows():
        assert f"<dt>{name}</dt><dd>{markup.escape(text)}</dd>" in page
    lines = summary(one.shown)
    assert len(lines) <= 15
    head = " ".join(line.strip() for line in lines[:3])
    assert head.startswith(f"Result:   {said.text}")
    shown = result_json.as_json(one.shown, one.folder, one.session.catalog)
    assert list(shown)[:3] == ["format", "headline", "measures"]
    assert shown["headline"]["text"] == said.text
    assert shown["measures"] == measured.as_data()
    archive.write(one.shown, one.folder)
    with Ledger.open(one.folder / study.LEDGER, readonly=True) as ledger:
        again = archive.read(one.folder, ledger)
    assert again is not None
    assert headline(again) == said
    assert again.measured == measured


def test_the_inert_control_is_no_tuning_that_was_tested(play: Play) -> None:
    one = play("one-gain", 24, 0, None)
    assert one.shown.controls == ("dummy",)
    own = next(row for row in rows.verdicts(one.shown) if row.tuning == "dummy")
    assert own.reason.startswith("inert control: ")
    assert [line for line in summary(one.shown) if "4 of 4 tunings" in line]
    page = render(one.shown)
    assert "not tested or not applicable</summary>" not in page


def test_what_was_not_tested_is_folded_away(play: Play) -> None:
    one = play("one-gain", 8, 0, None)
    names = [row for row in rows.verdicts(one.shown) if row.verdict is Verdict.NOT_TESTED]
    page = render(one.shown)
    assert names
    assert f"<summary>{len(names)} not tested or not applicable</summary>" in page


@pytest.mark.parametrize(
    ("tuning", "verdict", "status"),
    [
        ("gain", Verdict.LIKELY, StudyStatus.PROMISING),
        ("null-1", Verdict.NO_EFFECT, StudyStatus.NO_GAIN),
    ],
)
def test_a_profile_of_one_tuning_is_a_test_of_it(
    play: Play, tuning: str, verdict: Verdict, status: StudyStatus
) -> None:
    one = play("one-gain", 8, 0, None, (tuning,))
    row = next(row for row in rows.verdicts(one.shown) if row.tuning == tuning)
    arm = next(row for row in rows.arms(one.shown) if row.arm == "max")
    assert (row.verdict, row.effect) == (verdict, arm.effect)
    assert row.reason == "alone against the baseline, as the max profile"
    said = headline(one.shown)
    assert said.status is status
    assert one.found.detectable is not None
    if status is StudyStatus.NO_GAIN:
        assert said.text.endswith(f"+{formatting.percent(one.found.detectable)} or more")


def test_what_ran_in_a_profile_only_says_so(play: Play) -> None:
    one = play("L2", 12, 0, None)
    held = dict(one.found.best)
    assert len(held) > 1
    for row in rows.verdicts(one.shown):
        if row.verdict is Verdict.NOT_TESTED:
            together = "; it ran only together with others, in the max profile" in row.reason
            assert together == (row.tuning in held)


@pytest.mark.parametrize("objective", ["output_throughput,ttft_p99", "output_throughput,startup"])
@pytest.mark.parametrize(("landscape", "budget"), [("traded", 30), ("traded", 60), ("quick", 30)])
def test_headline_and_tables_agree_over_a_pareto_set(
    play: Play, landscape: str, budget: int, objective: str
) -> None:
    one = play(landscape, budget, 0, None, (), objective)
    said, found = headline(one.shown), one.found
    verdicts = {row.tuning: row for row in rows.verdicts(one.shown)}
    arms = {row.arm: row.effect for row in rows.arms(one.shown)}
    table = {row.arm: row for row in pareto.rows(one.shown)}
    members = [standing for standing in found.pareto if standing.member]
    assert members
    for standing in members:
        assert standing.arm in arms
        avoided = [
            f"holds {name}=on, which is avoid on {verdicts[name].metric or one.shown.objective}"
            for name, _ in standing.candidate
            if verdicts[name].verdict is Verdict.AVOID
        ]
        assert sorted(table[standing.arm].trades) == sorted(avoided)
        label = pareto.label(standing, one.shown.objectives, found.answers)
        assert all(f". It {sentence}" in label for sentence in avoided)
        if standing.arm in ("proven", "max"):
            assert avoided == []
    if said.effect is None:
        assert not any(is_gain(c.effect) for standing in members for c in standing.comparisons)
    elif said.arm in table:
        column = one.shown.objectives.index(said.metric)
        cell = table[said.arm].cells[column]
        assert said.text == f"{said.status.value}: {said.metric} {' '.join(cell)}"
        if said.metric == one.shown.objective:
            assert arms[said.arm] == said.effect


def test_what_a_pareto_member_gives_up_stands_in_headline_row_label_and_page(play: Play) -> None:
    one = play("quick", 30, 0, None, (), "output_throughput,ttft_p99")
    said = headline(one.shown)
    assert (said.status, said.arm, said.metric) == (
        StudyStatus.PROMISING,
        "for-ttft_p99",
        "ttft_p99",
    )
    (member,) = [each for each in one.found.pareto if each.arm == "for-ttft_p99"]
    lost = next(each for each in member.comparisons if each.metric == "output_throughput")
    assert said.detail.endswith(f"; output_throughput {formatting.effect(lost.effect)}")
    sentence = "holds quick=on, which is avoid on output_throughput"
    assert sentence in render(one.shown)
    page = io.StringIO()
    Console(file=page, width=200).print(render_text(one.shown))
    assert sentence in page.getvalue()
