"""``trimtab catalog NAME``: tunings by variable or option, rules, and names that mean nothing."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from typer.testing import CliRunner

from trimtab.cli.app import app
from trimtab.cli.entry_lists import entries
from trimtab.errors import UsageError


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("OMP_NUM_THREADS", "omp-threads"),
        ("--enable-prefix-caching", "prefix-caching"),
        ("enable-prefix-caching", "prefix-caching"),
        ("task-queue-graphs", "error"),
    ],
)
def test_a_name_is_found_by_what_sets_it(name: str, first: str) -> None:
    ran = CliRunner().invoke(app, ["catalog", name])
    assert ran.exit_code == 0
    assert ran.stdout.split()[0] == first


def test_an_unknown_name_stops_no_other() -> None:
    ran = CliRunner().invoke(app, ["catalog", "no-such", "task-queue"])
    assert isinstance(ran.exception, UsageError)
    assert "no-such" in str(ran.exception)
    assert ran.stdout.startswith("task-queue")


def test_a_list_keeps_its_words_at_80_columns() -> None:
    out = io.StringIO()
    text = "several words about a long thing " * 6
    entries(
        ("a", "b", "c", "d"),
        [("g", "n" * 60, "p" * 30, text)],
        Console(file=out, width=80, force_terminal=True, color_system=None),
    )
    assert max(map(len, out.getvalue().splitlines())) <= 80
    assert out.getvalue().split() == ["g", "n" * 60, "p" * 30, *text.split()]
