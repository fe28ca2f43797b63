"""How numbers, values and durations are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab import formatting
from trimtab.model import Effect, Factor, Value


@pytest.mark.parametrize(
    ("quantity", "written"),
    [
        (0, "0"),
        (0.9087, "0.909"),
        (0.00345, "0.00345"),
        (3.14159, "3.14"),
        (57.42, "57.4"),
        (379.8, "380"),
        (10913.7, "10,914"),
        (-2.5, "-2.50"),
    ],
)
def test_number(quantity: float, written: str) -> None:
    assert formatting.number(quantity) == written


@given(st.floats(-1e12, 1e12))
def test_a_number_never_has_an_exponent_and_keeps_its_size(quantity: float) -> None:
    written = formatting.number(quantity)
    assert "e" not in written
    assert float(written.replace(",", "")) == pytest.approx(quantity, rel=0.006, abs=1e-9)


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (725, "12 min 05 s"),
        (3599.7, "1 h 00 min"),
        (3900, "1 h 05 min"),
    ],
)
def test_duration(seconds: float, written: str) -> None:
    assert formatting.duration(seconds) == written


@pytest.mark.parametrize(
    ("setting", "written"),
    [(None, "unset"), (True, "on"), (False, "off"), (0, "0"), ("", ""), (0.9, "0.9")],
)
def test_value(setting: Value, written: str) -> None:
    assert formatting.value(setting) == written


@pytest.mark.parametrize(
    ("effect", "written"),
    [
        (Effect(1.123, 1.08, 1.167, 0.01, 6), "+12.3 % [+8.0, +16.7]"),
        (Effect(3.954, 3.61, 4.31, 0.01, 6), "3.95x [3.61, 4.31]"),
        (Effect(0.25, 0.2, 0.3, 1.0, 6), "0.25x [0.20, 0.30]"),
        (
            Effect(0.95, None, None, None, 1),
            "-5.0 % (no interval: fewer than 3 degrees of freedom)",
        ),
        (Effect(None, None, None, None, 0), "no estimate"),
    ],
)
def test_effect(effect: Effect, written: str) -> None:
    assert formatting.effect(effect) == written


@given(st.text())
def test_a_line_is_one_printable_line(text: str) -> None:
    line = formatting.line(text)
    assert line.isprintable()
    assert len(line.splitlines()) <= 1


@pytest.mark.parametrize(
    ("gain", "written"),
    [(None, "unknown"), (0.0583, "5.8 %"), (2.5, "250.0 %"), (1e200, "over 10,000 %")],
)
def test_percent(gain: float | None, written: str) -> None:
    assert formatting.percent(gain) == written


def test_the_name_of_a_further_value_holds_it() -> None:
    assert formatting.setting("task-queue", "2") == "task-queue=2"
    assert formatting.setting("task-queue=0", "0") == "task-queue=0"


def test_factors() -> None:
    chosen = (Factor("dtype", "float32"), Factor("mp", False), Factor("size", 32))
    assert formatting.factors(chosen) == "dtype=float32, mp=off, size=32"
    assert formatting.factors(()) == ""


def test_a_wrapped_text_keeps_percent_signs_and_long_words() -> None:
    text = "a gain of 15.3 % " * 9 + "x" * 50
    lines = formatting.wrap_lines(text, 20, "> ", "  ")
    assert all(len(one) <= 20 for one in lines[:-1])
    assert lines[-1] == "  " + "x" * 50
    assert not any(one.strip().startswith("%") for one in lines)
    assert " ".join(" ".join(lines).removeprefix("> ").split()) == text
    assert formatting.wrap_lines("", 20, "> ") == []


def test_a_command_in_quotes_stays_whole_and_a_long_word_stands_below() -> None:
    text = "the server's file is none: run 'trimtab tune --dry-run' to make one"
    assert formatting.wrap_lines(text, 40, "", "  ") == [
        "the server's file is none: run",
        "  'trimtab tune --dry-run' to make one",
    ]
    assert formatting.wrap_lines("/a/long/path/of/an/engine", 30, "scripted  0.32.0  ", "  ") == [
        "scripted  0.32.0",
        "  /a/long/path/of/an/engine",
    ]


def test_colours_are_all_that_steers_a_terminal() -> None:
    assert formatting.styled_text("\x1b[1;31mx\x1b[0m\x1b]0;t\x07\x1b[2Jé\n") == (
        "\x1b[1;31mx\x1b[0m?]0;t??[2Jé\n"
    )
