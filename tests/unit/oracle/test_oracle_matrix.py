"""The matrix over versions: who knows a setting, where versions differ, what the page says."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from trimtab.catalog import CATALOG
from trimtab.catalog.releases import Versions, life, parse_versions, torch_npu
from trimtab.oracle.audit import matrix
from trimtab.oracle.audit.matrix import VersionReply
from trimtab.oracle.model import Handling

TAKEN, NO, OTHER = Handling.ACCEPTED, Handling.REJECTED, Handling.READ_AS


def told(place: str, verdict: Handling, sentence: str = "", tuning: str = "") -> VersionReply:
    return VersionReply(tuning or place.partition("=")[0].lower(), place, verdict, sentence)


FOUND = {
    "1.0": [
        told("A=1", TAKEN, "accepted, in force: 1"),
        told("A=x", NO, "rejected: old words"),
        told("B=1", NO, "rejected: unknown"),
        told("C=1", OTHER, "read as 0"),
    ],
    "2.0": [
        told("A=1", TAKEN, "accepted, in force: 1"),
        told("A=x", NO, "rejected: new words"),
        told("B=1", TAKEN, "accepted"),
        told("C=1", Handling.IGNORED, "ignored"),
        told("D=1", TAKEN, "accepted"),
    ],
}


def test_a_version_knows_what_it_takes_any_text_of() -> None:
    assert matrix.known_versions(FOUND) == {
        "a": ("1.0", "2.0"),
        "c": ("1.0",),
        "b": ("2.0",),
        "d": ("2.0",),
    }


def test_a_gap_between_versions_is_told() -> None:
    page = matrix.page(matrix.versions({**FOUND, "3.0": FOUND["1.0"]}, [], "made"))
    assert "| `c` |  |  | 2.0 |" in page
    assert "\n\n\n" not in page


def test_other_words_for_the_same_are_no_difference() -> None:
    assert [place for place, _ in matrix.differences(FOUND)] == ["B=1", "C=1", "D=1"]


def test_what_is_read_back_is_a_difference_and_a_binding_is_not() -> None:
    found = {
        "1.0": [
            told("A=1", OTHER, "read as 0"),
            told("F=1", TAKEN, "accepted, in force: x on 0", "cpu-affinity-conf"),
        ],
        "2.0": [
            told("A=1", OTHER, "read as 1"),
            told("F=1", TAKEN, "accepted, in force: x on 1", "cpu-affinity-conf"),
        ],
    }
    assert [place for place, _ in matrix.differences(found)] == ["A=1"]


def test_the_page_has_since_until_and_each_difference() -> None:
    left_out = ["3.0 is not asked: it aborts"]
    page = matrix.page(matrix.versions(FOUND, left_out, "scripts/oracle_matrix.py 1.0 2.0"))
    assert "- 3.0 is not asked: it aborts" in page
    assert "| `b` | 2.0 |  |  |" in page
    assert "| `c` |  | 1.0 |  |" in page
    assert "| `B=1` | rejected | accepted |" in page
    assert "| `D=1` | not asked | accepted |" in page
    assert "`a`" not in page


def test_the_page_in_docs_is_made_of_the_data_that_lint_reads() -> None:
    page = Path(__file__).parents[3] / "docs/oracle-versions.md"
    assert page.read_text(encoding="utf-8") == matrix.page(torch_npu())
    assert set(torch_npu().known) <= set(CATALOG)


@pytest.fixture
def three() -> Versions:
    return matrix.versions({**FOUND, "3.0": FOUND["2.0"]}, [], "made")


def test_what_is_written_is_read_back(three: Versions) -> None:
    assert parse_versions(json.dumps(asdict(three))) == three


@pytest.mark.parametrize(
    ("version", "like", "beyond"),
    [
        ("0.9", ("1.0",), True),
        ("1.0.post3", ("1.0",), False),
        ("1.5", ("1.0", "2.0"), False),
        ("2", ("2.0",), False),
        ("4", ("3.0",), True),
        ("main", (), False),
    ],
)
def test_a_version_is_judged_by_its_release_or_its_neighbours(
    three: Versions, version: str, like: tuple[str, ...], beyond: bool
) -> None:
    assert three.like(version) == like
    assert three.beyond(version) is beyond


def test_a_version_refuses_an_entry_it_does_not_know_and_a_text_it_does_not_take(
    three: Versions,
) -> None:
    assert three.refusing("b", "B=1") == ("1.0",)
    assert three.refusing("b", "B=another text") == ("1.0",)
    assert three.refusing("c", "C=1") == ("2.0", "3.0")
    assert three.refusing("a", "A=1") == ()


def test_since_and_until_are_seen_from_a_version() -> None:
    versions = ("1", "2", "3")
    assert life(("1", "3"), ("2",), versions) == "until 1 and again since 3"
    assert life(("2", "3"), ("1",), versions) == "since 2"
    assert life(("1", "2"), ("3",), versions) == "until 2"
    assert life((), ("1", "2", "3"), versions) == ""
    assert life(versions, (), versions) == ""
