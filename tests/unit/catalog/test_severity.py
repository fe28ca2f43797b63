"""A severity says what its sentence says: who exits is an error, who misreads is none."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from tests.contracts.test_rules import FILES, scene_of
from trimtab import linter, rules
from trimtab.catalog import CATALOG
from trimtab.catalog.values import Acceptance
from trimtab.model.finding import Finding, Severity

ENDS = re.compile(
    r"\b(exits?|exception|raises|refuses? (?:it|all|both|the)|is refused|the start (?:ends|fails)"
    r"|ends (?:the|its) start|ends at the start)\b"
)
GOES_ON = re.compile(
    r"\b(counts? as|is taken for (?!another)|takes (?:its|the) default"
    r"|has no effect|is ignored|ignores|"
    r"means none of these|nothing reads)\b"
)
CONDITIONAL = re.compile(r"\(if |\band later\b|^.* unless ")


def sentences() -> Iterator[tuple[str, Acceptance, str]]:
    for tuning in CATALOG.values():
        for word, taken in (("consequence", "taken"), ("junk_consequence", "junk")):
            said = getattr(tuning.accepts, word, "")
            if said and getattr(tuning.accepts, taken, None) is not None:
                yield tuning.name, getattr(tuning.accepts, taken), said


@pytest.mark.parametrize(("name", "taken", "said"), sorted(sentences()))
def test_what_an_entry_says_of_a_bad_value_is_how_it_is_taken(
    name: str, taken: Acceptance, said: str
) -> None:
    if GOES_ON.search(said):
        assert taken is Acceptance.MISREAD, said
    elif ENDS.search(said):
        assert taken is Acceptance.REFUSED, said


def found() -> Iterator[Finding]:
    for path in FILES:
        case = json.loads(path.read_text())
        if "file" in case:
            document = linter.read(case["file"], "\n".join(case["text"]) + "\n")
            yield from linter.check(document, linter.parse_context(case.get("context", "")))
        else:
            yield from rules.process_findings(scene_of(case))


def test_no_recorded_finding_contradicts_its_severity() -> None:
    wrong = []
    for one in found():
        ends, goes_on = ENDS.search(one.message), GOES_ON.search(one.message)
        conditional = CONDITIONAL.search(one.message) is not None
        if goes_on and not ends and one.severity is Severity.ERROR:
            wrong.append(f"{one.severity} {one.rule}: {one.message}")
        asked = one.rule.endswith("-unsaid")  # about a name in prose, not about a value
        if (
            ends
            and not (goes_on or asked)
            and not conditional
            and one.severity is not Severity.ERROR
        ):
            wrong.append(f"{one.severity} {one.rule}: {one.message}")
    assert "\n".join(sorted(set(wrong))) == ""
