"""Lint on launch files of its own: every trap of the guide shows, and clean files stay silent."""

from __future__ import annotations

from pathlib import Path

import pytest

from trimtab import linter, rules
from trimtab.linter.readers import format_of
from trimtab.model.finding import Finding, Severity

LAUNCH = Path(__file__).parents[2] / "launch"
GUIDE = Path(__file__).parents[4] / "shared" / "guide"
TRAPS = {f"T{number}" for number in range(1, 34)}

ON_A_LIVE_SERVER: frozenset[str] = frozenset()
"""Traps that no text can show (docs/lint.md names the parts of others that it cannot)."""


def findings(path: Path) -> tuple[Finding, ...]:
    document = linter.read(str(path), path.read_text())
    return linter.check(document, linter.parse_context(""))


def traps_of(found: tuple[Finding, ...]) -> set[str]:
    return {trap for one in found for trap in rules.all_rules()[one.rule][0].traps}


def test_every_trap_shows_in_a_file_of_our_own() -> None:
    found = {trap for path in (LAUNCH / "traps").iterdir() for trap in traps_of(findings(path))}
    assert found == TRAPS - ON_A_LIVE_SERVER


def clean() -> list[Path]:
    return sorted(p for p in (LAUNCH / "clean").rglob("*") if p.is_file())


@pytest.mark.parametrize("path", clean(), ids=lambda path: path.name)
def test_a_clean_file_has_at_most_conditions(path: Path) -> None:
    assert format_of(str(path))
    for one in findings(path):
        assert one.severity is Severity.INFO
        assert "(if " in one.message, one


GUIDE_V1 = {
    *("T1", "T2", "T3", "T4", "T5", "T6", "T7", "T8", "T10", "T11", "T12", "T13", "T14", "T19"),
    *("T20", "T22", "T23", "T24", "T25", "T26", "T27", "T28", "T32"),
}
GUIDE_V2 = {
    *("T2", "T3", "T4", "T5", "T7", "T8", "T9", "T10", "T11", "T12", "T13", "T14", "T15", "T16"),
    *("T17", "T19", "T21", "T22", "T23", "T24", "T28", "T32"),
}
"""The traps that stand in each edition of the guide. T9 is in the older one too, where it is
overwritten before a server starts (T6); T18, T29, T30, T31 and T33 are traps of tutorials and
images; T21's dangling note is the newer edition's."""


@pytest.mark.parametrize(("name", "traps"), [("guide-v1.md", GUIDE_V1), ("guide-v2.md", GUIDE_V2)])
def test_the_guide_itself(name: str, traps: set[str]) -> None:
    path = GUIDE / name
    if not path.exists():
        pytest.skip(f"{path} is absent: the guide's text is data that lies beside the project")
    assert traps_of(findings(path)) == traps


SURE = {
    "guide-v1.md": {
        ("mindie-turbo", 60), ("mindie-turbo", 62), ("not-exported", 57), ("cann-image", 15),
        ("apt-sources-truncated", 35), ("download-unchecked", 80), ("openssl-old", 80),
        ("python-abi", 83), ("system-python-replaced", 91), ("path-order", 97),
        ("lost-by-space", 113), ("preload-machine", 113), ("find-unquoted", 127),
        ("preload-order", 132), ("overwritten", 148),
        ("task-queue-graphs", 159), ("cpu-affinity-overwritten", 162),
    },
    "guide-v2.md": {
        ("cann-image", 14), ("apt-sources-truncated", 34), ("preload-machine", 78),
        ("find-unquoted", 91), ("preload-order", 96),
        ("max-split-opts-out", 111), ("task-queue-graphs", 125),
        ("cpu-affinity-overwritten", 128), ("swappiness-zero", 178),
        ("migration-cost-lowered", 220),
    },
}  # fmt: skip
"""All findings of warning or above, by hand: each was compared with the guide's line."""


@pytest.mark.parametrize("name", SURE)
def test_the_guide_has_no_false_finding(name: str) -> None:
    path = GUIDE / name
    if not path.exists():
        pytest.skip(f"{path} is absent: the guide's text is data that lies beside the project")
    severe = [one for one in findings(path) if one.severity.rank >= Severity.WARNING.rank]
    shown = {(one.rule, one.place.line) for one in severe if one.place is not None}
    assert shown == SURE[name]
