"""The dry run's text: the plan first, 80 columns, nothing left unsaid."""

from __future__ import annotations

from typing import Any

import pytest

from trimtab import search
from trimtab.catalog import UntestedTuning
from trimtab.report import intent
from trimtab.study.executors.simulated import open_simulated_session
from trimtab.study.options import Options


def described(budget: int = 40, count: int = 40) -> dict[str, Any]:
    session = open_simulated_session(
        Options(engine="simulated", landscape="L1", budget=str(budget))
    )
    left_out = [
        UntestedTuning(f"setting-{number}", reason)
        for number in range(count)
        for reason in (
            "it acts on ascend, and the platform is cpu",
            f"this kernel has no /sys/kernel/{'x' * 90}/{number} that can be read",
        )[number % 2 :][:1]
    ]
    design = search.design(session.space, session.noise)
    return intent.describe(session.space, design, left_out, session.catalog)


@pytest.mark.parametrize("budget", [24, 40, 80])
@pytest.mark.parametrize("verbose", [False, True])
def test_every_tuning_stands_in_80_columns(budget: int, verbose: bool) -> None:
    shown = described(budget)
    text = intent.text(shown, verbose=verbose)
    lines = text.splitlines()
    assert lines[0].startswith("Plan:     ")
    long = [line for line in lines if len(line) > 80]
    assert all(len(line.split()) == 1 for line in long), "only a path may be wider"
    words = {word.strip(",():").partition("=")[0] for word in text.split()}
    assert {one["name"] for one in shown["space"]} <= words
    assert {one["name"] for one in shown["left_out"]} <= words
    assert ("x" * 90 in text) == verbose


def test_repeats_are_grouped_and_the_text_is_short() -> None:
    text = intent.text(described())
    assert text.count("another platform") == 1
    assert len(text.splitlines()) < 25
    assert "-v prints every summary and reason" in text


def test_the_arm_and_what_it_leaves_out_are_named() -> None:
    shown = {
        **described(),
        "preset": "guide-v2",
        "guide": {"task-queue": 2},
        "guide_left_out": [{"name": "swappiness", "reason": "no swap"}] * 2,
    }
    text = intent.text(shown)
    assert "Arm:      guide-v2: task-queue=2\n          without swappiness\n" in text
    whole = intent.text(shown, verbose=True)
    assert whole.count("no swap") == 1
    nothing = intent.text({**shown, "guide": {}})
    assert "guide-v2 sets nothing here, so it is not measured" in nothing


def test_a_budget_without_a_test_says_so() -> None:
    shown = described()
    shown["design"]["detectable_effect"] = None
    assert "Detects:  no gain in output_throughput: this budget" in intent.text(shown)
