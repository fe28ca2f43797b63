"""``trimtab tune --engine simulated``: the whole job over a landscape, without a server."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.cli import trimtab
from trimtab.profiles.profile import read_profile
from trimtab.simulated import NAMES

ENGINE = ("--engine", "simulated")

MINE = """\
name: mine
summary: one large gain, which excludes another
tunings:
  good: {effect: 0.3, prior: 0.1}
  rival: {effect: 0.1}
  nothing: {}
conflicts: [[good, rival]]
noise: {start: 0.01, window: 0.01}
"""


def test_the_help_names_every_landscape(tmp_path: Path) -> None:
    words = trimtab("tune", "--help", cwd=tmp_path, COLUMNS="200").out.replace(",", " ").split()
    assert {*NAMES} <= {*words}
    assert {"L0", "L1-clean", "L6"} <= {*NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_landscape_is_tuned_by_name(name: str, tmp_path: Path) -> None:
    words = ("tune", *ENGINE, "--landscape", name, "--budget", "24", "--study", "s", "--json")
    ran = trimtab(*words, cwd=tmp_path)
    assert ran.code == 0, ran.err
    found = ran.json()
    assert 8 <= found["starts"] <= 24
    again = trimtab("tune", "--study", "s", "--resume", "--json", cwd=tmp_path)
    assert again.json() == found
    assert "simulated" in (tmp_path / "s" / "report.html").read_text()
    assert len(_drawn(tmp_path / "s")) == found["starts"]


@pytest.mark.parametrize(
    ("name", "budget"), [*((name, 60) for name in NAMES), ("L1", 40), ("L6", 40)]
)
def test_a_larger_budget_ends_with_its_figures(name: str, budget: int, tmp_path: Path) -> None:
    words = ("tune", *ENGINE, "--landscape", name, "--budget", str(budget), "--study", "s")
    ran = trimtab(*words, cwd=tmp_path)
    assert ran.code == 0, ran.err
    assert len(_drawn(tmp_path / "s")) <= budget


def _drawn(study: Path) -> list[str]:
    """Return the starts of the ledger; the figure of the page must hold each, and their phases."""
    timeline = _figures((study / "report.html").read_text())["timeline"]
    ledger = (study / "ledger.jsonl").read_text().splitlines()[1:]
    assert sum(len(trace["x"]) for trace in timeline["data"]) == len(ledger)
    phases = {json.loads(line)["request"]["phase"] for line in ledger}
    assert {note["text"] for note in timeline["layout"]["annotations"]} == phases
    return ledger


def _figures(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="figures">(.*?)</script>', page)
    assert found is not None
    figures: dict[str, Any] = json.loads(found.group(1))
    return figures


def test_a_gain_of_ones_own_landscape_is_proven_and_nothing_is_exported(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(MINE)
    words = ("tune", *ENGINE, "--landscape", "mine.yaml", "--budget", "24", "--study", "s")
    ran = trimtab(*words, "--json", cwd=tmp_path)
    assert ran.code == 0, ran.err
    assert set(ran.json()["proven"]) == {"good"}
    assert ran.json()["confirmed"]["low"] > 1.2
    profile = read_profile(tmp_path / "s" / "profile.proven.yaml")
    assert profile.engine.name == "simulated"
    assert not (tmp_path / "s" / "export").exists()
    question = yaml.safe_load((tmp_path / "s" / "study.yaml").read_text())["question"]
    assert question["landscape"]["tunings"]["good"]["effect"] == 0.3
    (tmp_path / "mine.yaml").write_text(MINE.replace("0.3", "0.4"))
    other = trimtab("tune", "--study", "s", "--resume", cwd=tmp_path)
    assert other.code != 0
    assert "landscape" in other.err


def test_a_study_is_the_same_on_every_run(tmp_path: Path) -> None:
    words = ("tune", *ENGINE, "--landscape", "L2", "--budget", "24", "--seed", "7", "--json")
    one, two = (trimtab(*words, "--study", name, cwd=tmp_path).json() for name in ("a", "b"))
    assert one["verdicts"] == two["verdicts"]


def test_the_design_of_a_landscape_can_be_seen_before(tmp_path: Path) -> None:
    shown = trimtab("tune", *ENGINE, "--landscape", "L1", "--dry-run", "--json", cwd=tmp_path)
    assert {one["name"] for one in shown.json()["space"]} >= {"gain-8", "null-1", "dummy"}
    less = trimtab(
        "tune", *ENGINE, "--landscape", "L1", "--skip", "null-*", "--dry-run", "--json",
        cwd=tmp_path,
    )  # fmt: skip
    assert not any(one["name"].startswith("null") for one in less.json()["space"])
    assert {one["reason"] for one in less.json()["left_out"]} == {"left out by --skip"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (ENGINE, "needs --landscape"),
        ((*ENGINE, "--landscape", "L99"), "none of L0"),
        ((*ENGINE, "--landscape", "L1", "--model", "m"), "leave --model out"),
        ((*ENGINE, "--landscape", "L1", "--only", "nul-1"), "did you mean null-1"),
        ((*ENGINE, "--landscape", "L1", "--only", "x"), "'x': L1 has gain-8, gain-5, "),
        ((*ENGINE, "--landscape", "L1", "--objective", "goodput"), "leave --objective out"),
        ((*ENGINE, "--landscape", "L1", "--objective", "ttft_p99"), "leave --objective out"),
        (
            (*ENGINE, "--landscape", "L1", "--objective", "output_throughput,tpot_p99"),
            "ttft_p99 and startup only",
        ),
        (
            (*ENGINE, "--landscape", "L1", "--objective", "output_throughput,startup,startup"),
            "'startup' twice",
        ),
        (("--engine", "scripted", "--objective", "output_throughput,fast"), "not 'fast'"),
        (("--engine", "scripted", "--objective", "output_throughput,goodput"), "needs --slo"),
        (("--landscape", "L1"), "--engine simulated only"),
    ],
)
def test_a_wrong_call_is_one_line(words: tuple[str, ...], says: str, tmp_path: Path) -> None:
    ran = trimtab("tune", *words, cwd=tmp_path)
    assert ran.code == 2
    assert says in ran.err
    assert ran.err.count("\n") == 1


TRADED = """\
name: traded
summary: throughput at the price of latency
tunings:
  quick: {effect: 0.10}
  traded: {effect: 0.20, latency: 0.50}
noise: {start: 0.01, window: 0.01}
"""


def test_a_profile_that_breaks_the_slo_is_not_adopted(tmp_path: Path) -> None:
    (tmp_path / "traded.yaml").write_text(TRADED)
    words = ("tune", *ENGINE, "--landscape", "traded.yaml", "--budget", "40", "--json")
    free = trimtab(*words, "--study", "a", cwd=tmp_path).json()
    assert set(free["proven"]) == {"quick", "traded"}
    # 100 ms, a fifth to a third faster through both gains, and half as slow again
    bound = trimtab(*words, "--study", "b", "--slo", "ttft_p99<=105ms", cwd=tmp_path).json()
    assert "traded" not in bound["proven"]
    said = ("is not adopted because of the SLO: ttft_p99", "the SLO has no room for what")
    assert any(one in note for note in bound["notes"] for one in said)
    wide = trimtab(*words, "--study", "c", "--slo", "ttft_p99<=200ms", cwd=tmp_path).json()
    assert wide["proven"] == free["proven"]


PARETO = """\
name: pareto
summary: throughput at the price of latency, and the other way round
tunings:
  quick: {effect: 0.10}
  traded: {effect: 0.20, latency: 0.50}
  slower: {effect: -0.08, latency: -0.40}
noise: {start: 0.01, window: 0.01}
"""
BOTH = ("--objective", "output_throughput,ttft_p99")


def test_two_objectives_give_a_pareto_set(tmp_path: Path) -> None:
    (tmp_path / "pareto.yaml").write_text(PARETO)
    words = ("tune", *ENGINE, "--landscape", "pareto.yaml", "--budget", "44")
    one = trimtab(*words, "--study", "one", "--json", cwd=tmp_path).json()
    assert "pareto" not in one
    ran = trimtab(*words, *BOTH, "--study", "two", "--json", cwd=tmp_path)
    assert ran.code == 0, ran.err
    found = ran.json()
    assert found["proven"] == one["proven"] == {"quick": "on", "traded": "on"}
    standing = {arm["arm"]: arm for arm in found["pareto"]}
    assert standing["proven"]["member"]
    end = standing["for-ttft_p99"]
    assert end["member"]
    assert set(end["candidate"]) == {"quick", "slower"}
    assert not standing["baseline"]["member"]
    assert set(standing["baseline"]["dominated_by"]) <= standing.keys()
    latency = next(one for one in end["comparisons"] if one["metric"] == "ttft_p99")
    assert latency["effect"]["low"] > 1 > latency["value"] / latency["baseline"]
    ahead = {one["metric"]: one["shown"] for one in end["advantages"]}
    assert "proven" in ahead["ttft_p99"]
    for name, path in found["profiles"].items():
        profile = read_profile(tmp_path / path)
        assert profile.name == name
        assert bool(profile.label) == (name not in ("proven", "max"))
        assert {one.metric for one in profile.comparisons} == {"output_throughput", "ttft_p99"}
    own = read_profile(tmp_path / "two" / "profile.for-ttft_p99.yaml")
    assert dict(own.candidate) == end["candidate"]
    assert "Pareto set over output_throughput, ttft_p99: ttft_p99 better than" in own.label
    page = (tmp_path / "two" / "report.html").read_text()
    assert 'id="figure-pareto-ttft_p99"' in page
    again = trimtab("tune", "--study", "two", "--resume", "--json", cwd=tmp_path)
    assert again.json() == found
    other = trimtab("tune", "--study", "one", "--resume", *BOTH, cwd=tmp_path)
    assert other.code != 0
    assert "objectives" in other.err


def test_the_objectives_can_be_seen_before_and_the_set_afterwards(tmp_path: Path) -> None:
    (tmp_path / "pareto.yaml").write_text(PARETO)
    words = ("tune", *ENGINE, "--landscape", "pareto.yaml", "--budget", "44")
    plain = trimtab(*words, "--dry-run", "--json", cwd=tmp_path).json()
    assert "objectives" not in plain
    shown = trimtab(*words, *BOTH, "--dry-run", "--json", cwd=tmp_path).json()
    assert shown["objectives"] == ["output_throughput", "ttft_p99"]
    said = trimtab(*words, *BOTH, "--dry-run", cwd=tmp_path).out
    assert "output_throughput (Pareto set with ttft_p99)" in " ".join(said.split())
    ran = trimtab(*words, *BOTH, "--study", "s", cwd=tmp_path)
    assert "Pareto set with ttft_p99" in ran.err
    details = trimtab("show", "s", cwd=tmp_path).out
    assert "Pareto set (output_throughput, ttft_p99)" in details
    assert "dominated by" in details


def test_a_comparison_has_one_objective(tmp_path: Path) -> None:
    ran = trimtab("compare", "stock", "stock", "--engine", "scripted", *BOTH, cwd=tmp_path)
    assert ran.code == 2
    assert "must be one metric here" in ran.err


def test_the_answer_is_short_and_its_next_command_works(tmp_path: Path) -> None:
    words = ("tune", *ENGINE, "--landscape", "L1", "--seed", "3", "--study", "s")
    ran = trimtab(*words, cwd=tmp_path)
    assert ran.code == 0, ran.err
    lines = ran.out.splitlines()
    assert len(lines) <= 15
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("Result:   promising, not confirmed: output_throughput")
    assert trimtab("tune", "--study", "s", "--resume", cwd=tmp_path).out == ran.out
    (command,) = (line for line in lines if line.startswith("Next:"))
    after = trimtab(*command.split()[2:], "--study", "t", cwd=tmp_path)
    assert after.code == 0, after.err
    assert after.out.startswith("Result:   recommended: output_throughput")
    shown = trimtab("show", "t", cwd=tmp_path)
    assert shown.out.startswith(after.out.splitlines()[0].removeprefix("Result:   "))
