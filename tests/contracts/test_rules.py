"""Every rule against its recorded cases: ``tests/cases/<rule id>/<case>.json``.

A case is one JSON object. It gives either a process (``env``, ``argv``, ``host``: mappings and a
list) or a text (``file``: its name; ``text``: its lines), and optionally ``context`` as on the
command line. ``expect`` lists the findings of this rule alone, each a part of what must be found
(``setting``, ``severity``, ``line``, ``column``, ``fix``, ``tuning``, and ``says``: words that the
message contains); an empty list makes it a near miss, in which the rule must keep silent. ``why``
says what it shows.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from trimtab import linter, rules
from trimtab.catalog import Scene
from trimtab.knobs.server_arg import option_name
from trimtab.model.document import Setting
from trimtab.model.finding import Finding

CASES = Path(__file__).parents[1] / "cases"
FILES = sorted(CASES.glob("*/*.json"))


def scene_of(case: dict[str, Any]) -> Scene:
    words = tuple(case.get("argv", ()))
    options = {}
    for index, word in enumerate(words):
        if word.startswith("-"):
            follower = words[index + 1] if index + 1 < len(words) else "-"
            _, equals, joined = word.partition("=")
            value = joined if equals else "" if follower.startswith("-") else follower
            options[option_name(word)] = Setting(option_name(word), value)
    return Scene(
        situation=linter.parse_context(case.get("context", "")),
        argv=words,
        env={name: Setting(name, text) for name, text in case.get("env", {}).items()},
        options=options,
        host={path: Setting(path, text) for path, text in case.get("host", {}).items()},
        complete=case.get("complete", False),
    )


def found_in(case: dict[str, Any], rule: str) -> list[Finding]:
    if "file" in case:
        document = linter.read(case["file"], "\n".join(case["text"]) + "\n")
        found = linter.check(document, linter.parse_context(case.get("context", "")))
    else:
        found = rules.process_findings(scene_of(case))
    return [one for one in found if one.rule == rule]


def agrees(finding: Finding, expected: dict[str, Any]) -> bool:
    place = finding.place
    shown = {
        "setting": finding.setting,
        "severity": finding.severity.value,
        "line": place.line if place else None,
        "column": place.column if place else None,
        "fix": finding.fix,
        "tuning": finding.tuning,
    }
    says = expected.get("says", "")
    return says in finding.message and all(
        shown[key] == value for key, value in expected.items() if key != "says"
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_rule_finds_what_its_case_expects(path: Path) -> None:
    case = json.loads(path.read_text())
    assert case["why"]
    found = found_in(case, path.parent.name)
    assert len(found) == len(case["expect"]), found
    for expected in case["expect"]:
        assert any(agrees(one, expected) for one in found), (expected, found)


@pytest.mark.parametrize("rule", sorted(rules.all_rules()))
def test_every_rule_has_a_positive_and_a_near_miss(rule: str) -> None:
    expected = [bool(json.loads(path.read_text())["expect"]) for path in CASES.glob(f"{rule}/*")]
    assert set(expected) == {True, False}, (
        f"{rule} needs cases of both kinds in tests/cases/{rule}"
    )


def test_cases_belong_to_rules() -> None:
    assert {path.parent.name for path in FILES} <= set(rules.all_rules())
