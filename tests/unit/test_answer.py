"""The answer as scripts and profiles get it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.show_samples import CONCLUSION, STUDY
from trimtab.model import Conclusion
from trimtab.study.artifacts import comparisons_of
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
