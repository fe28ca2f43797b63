"""The answer as scripts and profiles get it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.show_samples import CONCLUSION, STUDY
from tests.support.simulated import machine_of
from trimtab import search
from trimtab.errors import StudyError
from trimtab.model import Conclusion
from trimtab.profiles.profile import read_profile
from trimtab.redaction import redact_plan
from trimtab.simulated.machine import play
from trimtab.study import artifacts
from trimtab.study.artifacts import comparisons_of
from trimtab.study.executors.simulated import open_simulated_session
from trimtab.study.options import Options
from trimtab.study.result_json import as_json

REJECTED = replace(CONCLUSION, answers=(), proven=(), best=(), confirmed=())


def test_confirmed_is_the_proven_profile_and_nothing_where_none_was_confirmed() -> None:
    found = as_json(STUDY, Path("s"))
    assert found["confirmed"]["ratio"] == pytest.approx(6.617)
    assert [one["arm"] for one in found["comparisons"]] == ["proven", "max", "guide"]
    rejected = as_json(replace(STUDY, conclusion=REJECTED), Path("s"))
    assert rejected["confirmed"] is None
    assert [one["arm"] for one in rejected["comparisons"]] == ["guide"]


@pytest.mark.parametrize("name", ["proven", "max"])
def test_a_profile_carries_its_own_comparisons(name: str) -> None:
    assert [(one.arm, one.value) for one in comparisons_of(CONCLUSION, name)] == [
        (name, {"proven": 379.8, "max": 384.2}[name])
    ]
    assert comparisons_of(REJECTED, name) == ()


def test_a_max_that_is_the_proven_profile_carries_its_comparisons() -> None:
    same: Conclusion = replace(
        CONCLUSION, best=CONCLUSION.proven, confirmed=CONCLUSION.confirmed[:1]
    )
    assert [(one.arm, one.value) for one in comparisons_of(same, "max")] == [("max", 379.8)]
    assert [(one.arm, one.value) for one in comparisons_of(same, "proven")] == [("proven", 379.8)]


def test_a_profile_is_the_plan_that_its_starts_measured(tmp_path: Path) -> None:
    session = open_simulated_session(
        Options(engine="simulated", landscape="L1", budget="24", seed=1)
    )
    starts = play(search.PhasedStrategy(), session.space, machine_of(session))
    measured = [
        replace(one, plan=redact_plan(session.compile(one.request.candidate)).digest)
        for one in starts
    ]
    conclusion = search.conclude(search.History.of(session.space, measured))
    assert conclusion.proven
    artifacts.write_result(session, measured, conclusion, tmp_path)
    assert read_profile(tmp_path / "profile.proven.yaml").plan.digest in {
        one.plan for one in measured
    }

    other = [
        replace(one, plan="0" * 16) if one.request.candidate == conclusion.proven else one
        for one in measured
    ]
    said = "the profile proven would have the plan [0-9a-f]+, but its starts measured 0{16}"
    with pytest.raises(StudyError, match=said):
        artifacts.write_result(session, other, conclusion, tmp_path / "other")
