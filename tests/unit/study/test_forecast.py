"""The time left of a study: a range that does not jump."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest

from trimtab import formatting
from trimtab.study.duration import Forecast, StartGroup

PLAN = (
    StartGroup("lead", 8, 8 * 80.0),
    StartGroup("screen", 16, 16 * 35.0),
    StartGroup("confirm", 9, 9 * 50.0),
)

SLOW_THEN_FAST = [
    *[("lead", seconds, False) for seconds in (161, 78, 36, 112, 70, 34, 96, 41)],
    *[("screen", seconds, False) for seconds in (31, 29, 33, 30, 36, 28, 31, 30)],
    *[("screen", seconds, False) for seconds in (30, 34, 29, 28, 33, 31, 30, 32)],
    *[("confirm", seconds, False) for seconds in (74, 31, 30, 30, 72, 33, 29, 71, 30)],
]
"""Durations as a study on two cores had them: stock starts compile, tuned ones do not."""

DEADLINES = [
    *SLOW_THEN_FAST[:9],
    ("screen", 600.0, True),
    *SLOW_THEN_FAST[10:14],
    ("screen", 600.0, True),
    ("screen", 4.0, True),
    *SLOW_THEN_FAST[16:],
]


def ends(made: Sequence[tuple[str, float, bool]]) -> tuple[list[tuple[float, float]], float]:
    """Return after each start when the study was expected to end, and when it ended."""
    forecast = Forecast()
    forecast.begin(PLAN)
    shown = forecast.left(0.0)
    assert shown is not None
    found, spent = [shown], 0.0
    for kind, seconds, failed in made:
        forecast.ended(kind, float(seconds), failed=failed)
        spent += seconds
        left = forecast.left(0.0)
        assert left is not None
        assert 0.0 <= left[0] <= left[1]
        found.append((spent + left[0], spent + left[1]))
    return found, spent


@pytest.mark.parametrize("made", [SLOW_THEN_FAST, DEADLINES], ids=["slow-fast", "deadlines"])
def test_the_expected_end_never_jumps(made: Sequence[tuple[str, float, bool]]) -> None:
    found, _ = ends(made)
    middles = [(low + high) / 2 for low, high in found]
    longest = max(seconds for _, seconds, failed in made if failed) if made is DEADLINES else 0.0
    for before, after in pairwise(middles):
        assert abs(after - before) <= max(0.2 * before, longest)
    for (low, high), (next_low, next_high) in pairwise(found):
        assert next_low <= high + longest
        assert next_high >= 0.95 * low


def test_the_range_holds_the_end_and_narrows() -> None:
    found, spent = ends(SLOW_THEN_FAST)
    held = sum(low - 30 <= spent <= high + 30 for low, high in found)
    assert held >= 0.8 * len(found)
    assert found[-1] == (spent, spent)
    widths = [high - low for low, high in found]
    assert widths[20] < widths[8] < widths[0] * 1.2


def test_a_single_failure_changes_no_other_start() -> None:
    plain, hit = Forecast(), Forecast()
    for one in (plain, hit):
        one.begin((StartGroup("start", 10, 300.0),))
    plain.ended("start", 30.0, failed=False)
    hit.ended("start", 600.0, failed=True)
    expected = hit.expected()
    assert expected is not None
    assert expected[0] < 9 * 30.0 < expected[1]


def test_a_measurement_knows_nothing_before_its_first_start() -> None:
    forecast = Forecast()
    forecast.begin((StartGroup("start", 4, 0.0),))
    assert forecast.left(0.0) is None
    forecast.ended("start", 50.0, failed=False)
    left = forecast.left(0.0)
    assert left is not None
    assert left[0] < 150.0 < left[1]


def test_without_a_plan_nothing_is_known() -> None:
    forecast = Forecast()
    assert forecast.left(0.0) is None
    forecast.ended("start", 5.0, failed=False)
    assert forecast.left(3.0) is None


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (12.0, 41.0, "10 to 40 s"),
        (61.0, 64.0, "about 60 s"),
        (14 * 60.0, 25 * 60.0, "14 to 25 min"),
        (33 * 60.0, 58 * 60.0, "35 to 60 min"),
        (4000.0, 9000.0, "1.1 to 2.5 h"),
    ],
)
def test_a_range_is_rounded_to_what_is_worth_reading(low: float, high: float, said: str) -> None:
    assert formatting.span(low, high) == said


LONGER_ARM = [
    ("lead", 240, False),  # the first start fills the caches
    *[("lead", seconds, False) for seconds in (80, 78, 82, 79, 81, 80, 83)],
    ("screen", 4, True),
    *[("screen", seconds, False) for seconds in (35, 140, 34, 36, 138, 35, 33)],
    ("screen", 5, True),
    *[("screen", seconds, False) for seconds in (141, 34, 36, 35, 139, 35, 34)],
    *[("confirm", seconds, False) for seconds in (50, 140, 51, 49, 142, 50, 52, 139, 50)],
]
"""A slow first start, two crashes, and one arm whose starts take four times as long."""


@pytest.mark.parametrize("made", [SLOW_THEN_FAST, LONGER_ARM], ids=["slow-fast", "longer-arm"])
def test_the_middle_of_what_is_left_moves_little_more_than_the_clock(
    made: Sequence[tuple[str, float, bool]],
) -> None:
    found, spent = ends(made)
    whole = sum(part.seconds for part in PLAN)
    planned = {part.kind: part.seconds / part.starts for part in PLAN}
    ended = pairwise((low + high) / 2 for low, high in found)
    for (kind, seconds, _), (before, after) in zip(made, ended, strict=True):
        surprise = abs(seconds - planned[kind])
        assert abs(after - before) <= surprise + 0.15 * whole  # the expected end
        assert abs(after - before - seconds) <= seconds + 0.1 * whole  # what is left
    widths = [high - low for low, high in found]
    assert found[-1] == (spent, spent)
    assert widths[8] < 1.2 * widths[0]
    assert widths[24] < 0.7 * widths[8]
    assert widths[-1] == 0.0
