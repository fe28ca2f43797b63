"""Greedy answers against the baseline's: how much agrees, where they part, and the noise floor."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.model import BASELINE, Candidate, Outcome, Phase, Start, StartRequest, candidate
from trimtab.search.fidelity import OutputTokens, fidelity, fidelity_sentence

FAST = candidate({"dtype": "float16"})


def start(number: int, chosen: Candidate, answers: OutputTokens) -> Start:
    request = StartRequest(Phase.CONFIRM, number, "arm", chosen, 1)
    return Start(number, request, "0" * 16, Outcome.MEASURED, {}, answers=answers)


def test_equal_answers_are_kept() -> None:
    same: OutputTokens = ((1, 2, 3), (4, 5, 6))
    starts = [start(1, BASELINE, same), start(2, BASELINE, same), start(3, FAST, same)]
    (found,) = fidelity(starts, [("proven", FAST)])
    assert (found.agreement, found.floor, found.diverges_at) == (1.0, 1.0, None)
    assert (found.prompts, found.pairs) == (2, 2)
    assert found.kept
    assert "100 % of the greedy tokens agree over 2 prompts; the baseline" in fidelity_sentence(
        found
    )


def test_what_follows_the_first_difference_does_not_count() -> None:
    starts = [start(1, BASELINE, ((1, 2, 3, 4),)), start(2, FAST, ((1, 9, 3, 4),))]
    (found,) = fidelity(starts, [("max", FAST)])
    assert (found.agreement, found.floor, found.diverges_at) == (0.25, None, 2)
    assert not found.kept
    assert "max ANSWERS OTHERWISE than the baseline: 25 %" in fidelity_sentence(found)
    assert "first difference at token 2" in fidelity_sentence(found)


def test_a_baseline_that_wavers_is_the_measure() -> None:
    starts = [
        start(1, BASELINE, ((1, 2, 3, 4),)),
        start(2, BASELINE, ((1, 2, 7, 7),)),
        start(3, FAST, ((1, 2, 3, 9),)),
    ]
    (found,) = fidelity(starts, [("proven", FAST)])
    assert found.floor == 0.5
    assert found.agreement == pytest.approx((3 + 2) / 8)
    assert found.kept


def test_without_answers_nothing_is_said() -> None:
    starts = [start(1, BASELINE, ((1, 2),)), start(2, FAST, ())]
    assert list(fidelity(starts, [("proven", FAST), ("max", BASELINE)])) == []


_ANSWERS = st.lists(
    st.lists(st.integers(0, 2), min_size=1, max_size=5).map(tuple), min_size=2, max_size=2
).map(tuple)


@given(st.lists(_ANSWERS, min_size=1, max_size=3), st.lists(_ANSWERS, min_size=1, max_size=3))
def test_shares_stay_shares(own: list[OutputTokens], others: list[OutputTokens]) -> None:
    starts = [
        *(start(i, BASELINE, one) for i, one in enumerate(own)),
        *(start(10 + i, FAST, one) for i, one in enumerate(others)),
    ]
    (found,) = fidelity(starts, [("proven", FAST)])
    assert 0.0 <= found.agreement <= 1.0
    assert (found.diverges_at is None) == (found.agreement == 1.0)
    assert found.pairs == len(own) * len(others)
