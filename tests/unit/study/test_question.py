from pathlib import Path

import pytest

from trimtab.errors import StudyMismatchError, UsageError
from trimtab.model import Budget, RiskLevel
from trimtab.study.options import (
    parse_arm,
    parse_budget,
    parse_objectives,
    parse_risk,
    require_question,
)


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("24", Budget(starts=24)),
        ("24 starts", Budget(starts=24)),
        ("30m", Budget(seconds=1800)),
        ("1.5h", Budget(seconds=5400)),
        ("90s", Budget(seconds=90)),
    ],
)
def test_budget(text: str, budget: Budget) -> None:
    assert parse_budget(text) == budget


@pytest.mark.parametrize("text", ["0", "-3", "0m", "", "ten", "1.5", "3d", "nan"])
def test_budget_that_is_none(text: str) -> None:
    with pytest.raises(UsageError, match="--budget"):
        parse_budget(text)


def test_objectives() -> None:
    assert parse_objectives("goodput") == ("goodput",)
    assert parse_objectives("goodput, ttft_p99,startup") == ("goodput", "ttft_p99", "startup")
    with pytest.raises(UsageError, match="once, but has 'ttft_p99' twice"):
        parse_objectives("goodput,ttft_p99,ttft_p99")


def test_an_arm_is_a_preset_other_than_the_baseline() -> None:
    assert parse_arm("guide-v1").name == "guide-v1"
    with pytest.raises(UsageError, match="stock is the baseline"):
        parse_arm("stock")
    with pytest.raises(UsageError, match="no preset is called"):
        parse_arm("tuned")


def test_risk() -> None:
    assert parse_risk("low") is RiskLevel.LOW
    with pytest.raises(UsageError, match="none, low, medium, high"):
        parse_risk("reckless")


def test_another_question_is_refused_by_name() -> None:
    require_question({"a": 1, "trimtab": "1"}, {"a": 1, "trimtab": "2"}, Path("s"))
    with pytest.raises(StudyMismatchError, match=r"model 'x'|model x"):
        require_question({"model": "y"}, {"model": "x"}, Path("s"))
    with pytest.raises(StudyMismatchError, match="seed None"):
        require_question({"seed": 1}, {}, Path("s"))
